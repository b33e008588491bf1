//! `Idempotency-Key` and `validate`: what a request says of itself.

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use toolkit::{Request, Response};

use crate::audit::request_hash;
use crate::caller::Caller;
use crate::{Problem, Refusal};

/// Longest key that is taken.
const LONGEST: usize = 128;

/// A request that may be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// SHA-256 of caller and key, its first 16 bytes in hexadecimal: nobody finds the answers to another.
    pub name: String,
    /// SHA-256 of the request and its condition, in hexadecimal.
    pub request: String,
}

/// What was answered to the request with a key.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// As [`Key::request`].
    pub request: String,
    /// The answer.
    pub answer: Response,
}

/// The key of a request, where it has one.
pub(super) fn of(request: &Request, caller: &Caller) -> Result<Option<Key>, Refusal> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim().trim_matches('"');
    let charset = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if text.is_empty() || text.len() > LONGEST || !text.chars().all(charset) {
        return Err(Problem::new(StatusCode::BAD_REQUEST)
            .detail(
                "Idempotency-Key: expected 1 to 128 letters, digits, \"-\", \"_\", \".\" or \":\"",
            )
            .into());
    }
    let whole = format!("{}\0{}\0{text}", caller.via.as_str(), caller.subject);
    // What was asked for under which condition; the key itself is left out.
    let mut digest = Sha256::new();
    digest.update(request_hash(request));
    digest.update(request.header("if-match").unwrap_or_default());
    Ok(Some(Key {
        name: hex(&Sha256::digest(whole)[..16]),
        request: hex(&digest.finalize()),
    }))
}

/// Whether the request only asks what it would do.
pub(super) fn validate_only(request: &Request) -> Result<bool, Refusal> {
    match request.query("validate").as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Problem::new(StatusCode::BAD_REQUEST)
            .detail(format!("validate is {other:?}; expected true or false"))
            .into()),
    }
}

/// An answer that was given before.
pub(super) fn again(mut answer: Response) -> Response {
    answer.headers_mut().insert(
        HeaderName::from_static("idempotent-replayed"),
        HeaderValue::from_static("true"),
    );
    answer
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
