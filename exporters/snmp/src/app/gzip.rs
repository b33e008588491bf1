//! A scrape's answer as an HTTP response.

use http::StatusCode;
use http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use toolkit::web::response;
use toolkit::{Format, Response};

use crate::probe::Answer;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// The answer as a response.
pub(super) fn respond(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status != StatusCode::OK {
        return response::text(status, String::from_utf8_lossy(&answer.body).into_owned());
    }
    let kind = if answer.protobuf {
        Format::Protobuf.content_type()
    } else {
        TEXT
    };
    let mut response = response::new(StatusCode::OK, kind, answer.body.clone());
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if answer.packed {
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether the client takes gzip (RFC 9110 §12.5.3).
pub(super) fn wanted(accept: Option<&str>) -> bool {
    accept.unwrap_or_default().split(',').any(|item| {
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
        for (accept, wish) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("*", true),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(wanted(Some(accept)), wish, "{accept}");
        }
        assert!(!wanted(None));
    }
}
