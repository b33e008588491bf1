//! `/metrics`: format by `Accept`, gzip by `Accept-Encoding`, one encoding at a time.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
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
    last: Mutex<Option<Body>>,
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
            last: Mutex::new(None),
        }
    }

    /// The response to one scrape.
    pub(crate) async fn answer(self: &Arc<Self>, headers: &HeaderMap) -> Response {
        let format = wanted_format(headers);
        let gzip = wants_gzip(headers);
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        // Scrapes that waited while another one was encoded share the next encoding: it began after they asked.
        let shared = last
            .clone()
            .filter(|body| body.began >= asked && body.format == format && body.gzip == gzip);
        let bytes = if let Some(body) = shared {
            body.bytes
        } else {
            let own = Arc::clone(self);
            let began = Instant::now();
            let room = last.take().map_or(4096, |body| body.bytes.len());
            match tokio::task::spawn_blocking(move || own.encode(format, gzip, room)).await {
                Ok(bytes) => {
                    *last = Some(Body {
                        began,
                        format,
                        gzip,
                        bytes: bytes.clone(),
                    });
                    bytes
                }
                Err(error) => {
                    tracing::error!(%error, "metrics cannot be collected");
                    return super::response::text(
                        http::StatusCode::INTERNAL_SERVER_ERROR,
                        "metrics cannot be collected, see the log",
                    );
                }
            }
        };
        drop(last);
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

    fn encode(&self, format: Format, gzip: bool, room: usize) -> Bytes {
        let began = Instant::now();
        let mut out = Encoder::with_capacity(format, room + room / 8);
        encode_registry(&self.registry, &mut out);
        for source in &self.sources {
            source.collect(&mut out);
        }
        if out.refused() > 0 {
            self.metrics.refused_families.inc_by(out.refused());
        }
        let plain = out.finish();
        let bytes = if gzip { compress(&plain) } else { plain };
        self.took.observe(&[], began.elapsed());
        Bytes::from(bytes)
    }
}

fn compress(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 8), Compression::fast());
    // Writing into memory cannot fail.
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default()
}

/// OpenMetrics 1.0.0 when the client asks for it at least as much as for plain text, RFC 9110 section 12.5.1.
pub(crate) fn wanted_format(headers: &HeaderMap) -> Format {
    let mut open = 0.0;
    let mut text = 0.0;
    for (range, parameters, quality) in ranges(headers, ACCEPT.as_str()) {
        let version = parameters
            .iter()
            .find_map(|p| p.trim().strip_prefix("version="));
        match range.as_str() {
            "application/openmetrics-text"
                if version.is_none_or(|v| v == "1.0.0" || v == "0.0.1") =>
            {
                open = f32::max(open, quality);
            }
            "text/plain" | "text/*" | "*/*" => text = f32::max(text, quality),
            _ => {}
        }
    }
    if open > 0.0 && open >= text {
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
