//! A collector of traces for tests: OTLP over HTTP with protobuf, which refuses what Tempo refuses.
//!
//! The contract is <https://opentelemetry.io/docs/specs/otlp/#otlphttp>; the refusals are those of the receiver that Tempo has of the
//! OpenTelemetry Collector (`receiver/otlpreceiver/otlphttp.go`: method 405, content type 415, a body that is too large or no message
//! 400) and of Tempo's distributor (ids of another length 400). Ids of zeros, which OTLP forbids, are refused too. gRPC is left out.

mod proto;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::tls::{Files, accepted};

/// Where spans are sent.
const TRACES: &str = "/v1/traces";
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
    _tasks: JoinSet<()>,
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
        Self::start_at(&[SocketAddr::from(([127, 0, 0, 1], 0))]).await
    }

    /// Starts it on these addresses, of which the first is its own; all do the same.
    ///
    /// # Errors
    /// One of them cannot be bound.
    pub async fn start_at(addresses: &[SocketAddr]) -> anyhow::Result<Self> {
        Self::start_with(addresses, None).await
    }

    /// The same, with TLS where there are files.
    ///
    /// # Errors
    /// One of them cannot be bound.
    pub async fn start_with(addresses: &[SocketAddr], tls: Option<Files>) -> anyhow::Result<Self> {
        let (mut url, mut tasks) = (None, JoinSet::new());
        let state = Arc::<Mutex<State>>::default();
        for address in addresses {
            let listener = tokio::net::TcpListener::bind(address).await?;
            url.get_or_insert(format!("http://{}", listener.local_addr()?));
            tasks.spawn(listen(listener, Arc::clone(&state), tls.clone()));
        }
        let url = url.context("expected an address")?;
        Ok(Self {
            url,
            state,
            _tasks: tasks,
        })
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

async fn listen(listener: TcpListener, state: Arc<Mutex<State>>, tls: Option<Files>) {
    let mut open = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while open.try_join_next().is_some() {}
        let (state, tls) = (Arc::clone(&state), tls.clone());
        open.spawn(async move {
            let Ok(stream) = accepted(tls.as_ref(), stream).await else {
                return;
            };
            let service = service_fn(|request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(serve(&state, request).await) }
            });
            let server = hyper::server::conn::http1::Builder::new();
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// What Tempo answers at `/ready` and `/api/traces/ID`: the spans as OTLP's JSON has them, ids in base64, under `batches`.
fn told(state: &Mutex<State>, path: &str) -> Option<Value> {
    if path == "/ready" {
        return Some(json!("ready"));
    }
    let id = path.strip_prefix("/api/traces/")?;
    let state = locked(state);
    let spans: Vec<&Span> = state
        .spans
        .iter()
        .filter(|span| span.trace_id == id)
        .collect();
    let attribute =
        |(key, value): (&String, &String)| json!({"key": key, "value": {"stringValue": value}});
    let batch = |span: &&Span| {
        json!({
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": span.service}}]},
            "scopeSpans": [{"spans": [{
                "traceId": base64(&span.trace_id), "spanId": base64(&span.span_id), "parentSpanId": base64(&span.parent),
                "name": span.name, "attributes": span.attributes.iter().map(attribute).collect::<Vec<_>>(),
            }]}],
        })
    };
    (!spans.is_empty()).then(|| json!({"batches": spans.iter().map(batch).collect::<Vec<_>>()}))
}

/// Hexadecimal digits as base64.
fn base64(hex: &str) -> String {
    let bytes = (0..hex.len() / 2)
        .filter_map(|at| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok());
    STANDARD.encode(bytes.collect::<Vec<_>>())
}

async fn serve(state: &Mutex<State>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() == Method::GET && request.uri().path() != TRACES {
        let told = told(state, request.uri().path());
        let status = if told.is_some() {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        let mut answer =
            Response::new(Full::new(Bytes::from(told.unwrap_or_default().to_string())));
        *answer.status_mut() = status;
        return answer;
    }
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
    if parts.uri.path() != TRACES {
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
