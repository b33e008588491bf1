//! Answers that many pages share: with an entity tag, or with a problem.

use access::Problem;
use http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use toolkit::web::response;
use toolkit::{Request, Response};

/// `body` as JSON under `tag`, or 304 when the caller has it (RFC 9110 section 13.1.2).
pub(crate) fn tagged(request: &Request, tag: &str, body: impl FnOnce() -> Vec<u8>) -> Response {
    let tag = format!("\"{tag}\"");
    let mut answer = if matches(request.headers(), &tag) {
        let mut answer = Response::default();
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        response::new(StatusCode::OK, "application/json", body())
    };
    let headers = answer.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    given
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// A problem as RFC 9457 writes it.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response {
    Problem::new(status).detail(detail).response()
}
