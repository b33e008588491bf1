//! Responses.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::Full;
use hyper::body::Body as _;
use serde::Serialize;

/// A whole response.
pub type Response = http::Response<Full<Bytes>>;

/// A response of any type.
pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Plain text; a line end is added.
pub fn text(status: StatusCode, text: impl Into<String>) -> Response {
    let mut text = text.into();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    new(status, "text/plain; charset=utf-8", text)
}

/// A page.
pub fn html(status: StatusCode, page: impl Into<String>) -> Response {
    new(status, "text/html; charset=utf-8", page.into())
}

/// A value as JSON; 500 when it cannot be written as JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => new(status, "application/json", body),
        Err(error) => {
            tracing::error!(%error, "response cannot be written as JSON");
            text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the response cannot be written as JSON",
            )
        }
    }
}

/// The body of a whole response.
#[must_use]
pub fn bytes(response: &Response) -> Bytes {
    let mut body = response.body().clone();
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(&mut body).poll_frame(&mut context) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    }
}

/// Text safe inside HTML, in elements and in quoted attributes.
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
