//! `/metrics`: format by `Accept`, gzip by `Accept-Encoding`, one encoding at a time.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
};
use http_body_util::Full;
use tokio::sync::Mutex;

use super::Response;
use crate::encoder::{Encoder, Format, encode_registry};
use crate::metrics::Metrics;
use crate::{Collect, Latency};

/// Everything that `/metrics` shows.
pub(crate) struct Scrape {
    registry: prometheus::Registry,
    sources: Vec<Arc<dyn Collect>>,
    metrics: Arc<Metrics>,
    took: Latency,
    /// Held by the thread that encodes, so that one stuck in a source is not joined by more.
    last: Arc<Mutex<Option<Body>>>,
}

/// An encoded exposition and when its encoding began.
#[derive(Clone)]
struct Body {
    began: Instant,
    format: Format,
    gzip: bool,
    bytes: Bytes,
}

impl Scrape {
    pub(crate) fn new(
        registry: prometheus::Registry,
        mut sources: Vec<Arc<dyn Collect>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let took = Latency::new(
            "sotp_scrape_encode_seconds",
            "Time taken to encode and compress the metrics.",
            &[],
        );
        sources.push(Arc::new(took.clone()));
        Self {
            registry,
            sources,
            metrics,
            took,
            last: Arc::default(),
        }
    }

    /// The response to one scrape.
    pub(crate) async fn answer(self: &Arc<Self>, headers: &HeaderMap) -> Response {
        let format = wanted_format(headers);
        let gzip = wants_gzip(headers);
        let asked = Instant::now();
        let mut last = Arc::clone(&self.last).lock_owned().await;
        // Scrapes that waited while another one was encoded share the next encoding: it began after they asked.
        let fits = |body: &&Body| body.began >= asked && body.format == format && body.gzip == gzip;
        let shared = last.as_ref().filter(fits).map(|body| body.bytes.clone());
        let encoded = match shared {
            Some(bytes) => Ok(bytes),
            None => {
                let own = Arc::clone(self);
                let began = Instant::now();
                tokio::task::spawn_blocking(move || {
                    let bytes = own.encode(format, gzip, memory_of(last.take()));
                    *last = Some(Body {
                        began,
                        format,
                        gzip,
                        bytes: bytes.clone(),
                    });
                    bytes
                })
                .await
            }
        };
        let Ok(bytes) = encoded else {
            // The panic hook has logged why.
            return super::response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the metrics cannot be collected, see the log",
            );
        };
        let mut response = Response::new(Full::new(bytes));
        let fields = response.headers_mut();
        fields.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(format.content_type()),
        );
        fields.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if gzip {
            fields.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    fn encode(&self, format: Format, gzip: bool, buffer: Vec<u8>) -> Bytes {
        let began = Instant::now();
        let mut out = if gzip {
            Encoder::gzip(format, buffer)
        } else {
            Encoder::reusing(format, buffer)
        };
        encode_registry(&self.registry, &mut out);
        for source in &self.sources {
            source.collect(&mut out);
        }
        if out.refused() > 0 {
            self.metrics.refused_families.inc_by(out.refused());
        }
        let mut bytes = out.finish();
        if bytes.capacity() / 4 > bytes.len() {
            bytes.shrink_to_fit();
        }
        self.took.observe(&[], began.elapsed());
        Bytes::from(bytes)
    }
}

/// The memory of the last body for the next one: to have new pages zeroed for it costs as much as to fill it. While a client still reads the
/// last one there is none.
fn memory_of(last: Option<Body>) -> Vec<u8> {
    let Some(body) = last else {
        return Vec::new();
    };
    match body.bytes.try_into_mut() {
        Ok(mut free) => {
            free.clear();
            free.into()
        }
        Err(taken) => Vec::with_capacity(taken.len() + taken.len() / 8),
    }
}

/// What the client prefers, RFC 9110 section 12.5.1; of equals the first of protobuf, OpenMetrics 1.0.0 and plain text.
pub(crate) fn wanted_format(headers: &HeaderMap) -> Format {
    let [mut protobuf, mut open, mut text] = [0.0_f32; 3];
    for (range, parameters, quality) in ranges(headers, ACCEPT.as_str()) {
        let parameter = |name: &str| {
            parameters
                .iter()
                .find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='))
        };
        match range.as_str() {
            "application/vnd.google.protobuf"
                if parameter("proto") == Some("io.prometheus.client.metricfamily")
                    && parameter("encoding") == Some("delimited") =>
            {
                protobuf = protobuf.max(quality);
            }
            "application/openmetrics-text"
                if parameter("version").is_none_or(|v| v == "1.0.0" || v == "0.0.1") =>
            {
                open = open.max(quality);
            }
            "text/plain" | "text/*" | "*/*" => text = text.max(quality),
            _ => {}
        }
    }
    if protobuf > 0.0 && protobuf >= open && protobuf >= text {
        Format::Protobuf
    } else if open > 0.0 && open >= text {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// Whether the client takes gzip, RFC 9110 section 12.5.3.
pub(crate) fn wants_gzip(headers: &HeaderMap) -> bool {
    let mut any = None;
    for (coding, _, quality) in ranges(headers, ACCEPT_ENCODING.as_str()) {
        match coding.as_str() {
            "gzip" | "x-gzip" => return quality > 0.0,
            "*" => any = Some(quality > 0.0),
            _ => {}
        }
    }
    any.unwrap_or(false)
}

/// The members of a header field with their parameters and quality.
fn ranges(headers: &HeaderMap, name: &str) -> Vec<(String, Vec<String>, f32)> {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|member| {
            let mut parts = member.split(';').map(str::trim);
            let range = parts
                .next()
                .filter(|range| !range.is_empty())?
                .to_ascii_lowercase();
            let (quality, parameters): (Vec<&str>, Vec<&str>) =
                parts.partition(|p| p.starts_with("q="));
            let quality = quality
                .first()
                .map_or(1.0, |q| q.trim_start_matches("q=").parse().unwrap_or(0.0));
            Some((
                range,
                parameters
                    .into_iter()
                    .map(str::to_ascii_lowercase)
                    .collect(),
                quality,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn format_is_what_the_client_prefers() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
                          text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, wanted) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;version=9.0.0", Format::Text),
            (
                "application/openmetrics-text;q=0.1,text/plain;q=0.9",
                Format::Text,
            ),
            ("application/openmetrics-text;q=x", Format::Text),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                 application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::Protobuf,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                Format::Text,
            ),
            ("application/vnd.google.protobuf", Format::Text),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.1,text/plain",
                Format::Text,
            ),
        ] {
            assert_eq!(wanted_format(&headers(ACCEPT, accept)), wanted, "{accept}");
        }
    }

    #[test]
    fn gzip_is_sent_when_taken() {
        for (value, wanted) in [
            ("gzip", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("*", true),
            ("*;q=0", false),
            ("br, gzip;q=0.5", true),
        ] {
            assert_eq!(
                wants_gzip(&headers(ACCEPT_ENCODING, value)),
                wanted,
                "{value}"
            );
        }
        assert!(!wants_gzip(&HeaderMap::new()));
    }
}
