//! `/metrics`: format by `Accept`, gzip by `Accept-Encoding`, one encoding at a time.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use http_body_util::Full;
use tokio::sync::Mutex;

use super::Response;
use crate::encoder::{Encoder, Format, encode_registry, ranges};
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
        let format = Format::wanted(headers);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
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
