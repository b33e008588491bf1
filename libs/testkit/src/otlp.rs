//! A collector of traces for tests: OTLP over HTTP with protobuf, which refuses what Tempo refuses.
//!
//! The contract is <https://opentelemetry.io/docs/specs/otlp/#otlphttp>; the refusals are those of the receiver that Tempo has of the
//! OpenTelemetry Collector (`receiver/otlpreceiver/otlphttp.go`: method 405, content type 415, a body that is too large or no message
//! 400) and of Tempo's distributor (ids of another length 400). Ids of zeros, which OTLP forbids, are refused too. gRPC is left out.

mod proto;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::ensure;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::task::JoinHandle;

/// Largest body in bytes, packed and unpacked: `max_request_body_size` of the receiver.
const LARGEST: usize = 20 << 20;
/// The only content type that is taken here; the receiver takes `application/json` too, which nothing of ours sends.
const PROTOBUF: &str = "application/x-protobuf";

/// A span that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// `service.name` of its process.
    pub service: String,
    /// What was done.
    pub name: String,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The span that it is a part of; empty for the first of a trace.
    pub parent: String,
    /// Attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether it ended with an error.
    pub failed: bool,
}

/// A running collector on a free port of 127.0.0.1; it ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    spans: Vec<Span>,
    refused: Vec<String>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Collector {
    /// Starts it.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::<Mutex<State>>::default();
        let own = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while open.try_join_next().is_some() {}
                let own = Arc::clone(&own);
                open.spawn(async move {
                    let service = service_fn(|request| {
                        let own = Arc::clone(&own);
                        async move { Ok::<_, Infallible>(serve(&own, request).await) }
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { url, state, task })
    }

    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every span so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        locked(&self.state).spans.clone()
    }

    /// The spans of one trace.
    #[must_use]
    pub fn trace(&self, id: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace_id == id);
        spans
    }

    /// Why requests were refused.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        locked(&self.state).refused.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(state: &Mutex<State>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, text) = match taken(request).await {
        Ok(spans) => {
            locked(state).spans.extend(spans);
            // An empty ExportTraceServiceResponse has no bytes.
            (StatusCode::OK, String::new())
        }
        Err((status, text)) => {
            locked(state).refused.push(format!("{status}: {text}"));
            (status, text)
        }
    };
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let kind = if status == StatusCode::OK {
        PROTOBUF
    } else {
        "text/plain"
    };
    answer
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static(kind));
    answer
}

async fn taken(request: Request<Incoming>) -> Result<Vec<Span>, (StatusCode, String)> {
    let (parts, body) = request.into_parts();
    if parts.uri.path() != "/v1/traces" {
        return Err((
            StatusCode::NOT_FOUND,
            format!("{}: expected /v1/traces", parts.uri.path()),
        ));
    }
    if parts.method != Method::POST {
        return Err((
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{}: expected POST", parts.method),
        ));
    }
    let field = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let kind = field("content-type").unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some(PROTOBUF) {
        return Err((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("content type {kind:?}: expected {PROTOBUF}"),
        ));
    }
    let bad = |error: anyhow::Error| (StatusCode::BAD_REQUEST, format!("{error:#}"));
    let body = Limited::new(body, LARGEST).collect().await;
    let body = body
        .map_err(|error| bad(anyhow::anyhow!("body: {error}")))?
        .to_bytes();
    let plain = match field("content-encoding") {
        None | Some("identity" | "") => body,
        Some("gzip") => unpacked(&body).map_err(bad)?,
        Some(other) => {
            return Err((
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("content encoding {other:?}"),
            ));
        }
    };
    spans(&plain).map_err(bad)
}

fn unpacked(body: &[u8]) -> anyhow::Result<Bytes> {
    let mut plain = Vec::new();
    let most = LARGEST as u64 + 1;
    flate2::read::GzDecoder::new(body)
        .take(most)
        .read_to_end(&mut plain)?;
    ensure!(plain.len() <= LARGEST, "body: more than {LARGEST} bytes");
    Ok(plain.into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans of a request, when all of them may be stored.
fn spans(body: &[u8]) -> anyhow::Result<Vec<Span>> {
    let request = proto::Request::decode(body)?;
    let mut taken = Vec::new();
    for process in request.resource_spans {
        let of_process = proto::attributes(process.resource.unwrap_or_default().attributes);
        let service = of_process.get("service.name").cloned().unwrap_or_default();
        for span in process
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans)
        {
            let (trace, id, parent) = (&span.trace_id, &span.span_id, &span.parent_span_id);
            ensure!(
                trace.len() == 16,
                "trace ids must be 128 bit, received {} bits",
                trace.len() * 8
            );
            ensure!(
                id.len() == 8,
                "span ids must be 64 bit, received {} bits",
                id.len() * 8
            );
            ensure!(
                matches!(parent.len(), 0 | 8),
                "the span id of a parent must be 64 bit, received {} bits",
                parent.len() * 8
            );
            for id in [trace, id] {
                ensure!(id.iter().any(|byte| *byte != 0), "an id of zeros");
            }
            taken.push(Span {
                service: service.clone(),
                name: span.name,
                trace_id: hex(trace),
                span_id: hex(id),
                parent: hex(parent),
                attributes: proto::attributes(span.attributes),
                failed: span
                    .status
                    .is_some_and(|status| status.code == proto::ERROR),
            });
        }
    }
    Ok(taken)
}
