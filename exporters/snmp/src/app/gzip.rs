//! The body of a scrape, compressed where the client takes it.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use toolkit::Response;
use toolkit::web::response;

use crate::probe::Answer;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// The answer as a response.
pub(super) async fn respond(answer: &Arc<Answer>, accept: Option<&str>) -> Response {
    let compressed = accept.is_some_and(wants);
    let own = Arc::clone(answer);
    let body = if compressed {
        // Level 1: level 6 costs as much again as the whole scrape, for a few percent.
        tokio::task::spawn_blocking(move || pack(own.body.as_bytes()))
            .await
            .unwrap_or_default()
    } else {
        Bytes::copy_from_slice(own.body.as_bytes())
    };
    let mut response = response::new(StatusCode::OK, TEXT, body);
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if compressed {
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn pack(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 6 + 64), Compression::new(1));
    // Writing into memory cannot fail.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default().into()
}

/// Whether the client takes gzip (RFC 9110 §12.5.3).
fn wants(accept: &str) -> bool {
    accept.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let refused =
            |part: &str| part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
        parts
            .next()
            .is_some_and(|coding| coding.eq_ignore_ascii_case("gzip") || coding == "*")
            && !parts.any(refused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_the_clients_choice() {
        for (accept, wanted) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("*", true),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(wants(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn what_is_packed_unpacks() {
        let mut out = String::new();
        let packed = pack(b"a 1\n");
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed.as_ref()), &mut out)
            .unwrap();
        assert_eq!(out, "a 1\n");
    }
}
