//! Answers of Grafana itself.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;

use super::Answer;

pub(super) fn new(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    new(status, "application/json; charset=UTF-8", value.to_string())
}

/// How Grafana says what is wrong.
pub(super) fn message(status: StatusCode, text: &str) -> Answer {
    json(status, &serde_json::json!({ "message": text }))
}

pub(super) fn text(status: StatusCode, text: &str) -> Answer {
    new(status, "text/plain; charset=utf-8", format!("{text}\n"))
}
