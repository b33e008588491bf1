//! Traces: W3C context in and out, spans over OTLP when a collector is named.
//!
//! The standard variables decide (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>). Without
//! `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` nothing is built; the context of a caller is still carried
//! into log lines, exemplars and outgoing requests.

mod export;
mod origin;
mod tls;

use std::future::Future;

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub(crate) use export::{Exporter, layer};
pub use origin::{Origin, resumed};

/// The target of spans that are the first of their process in a trace.
pub(crate) const ROOT: &str = "toolkit::trace";

/// Puts the active trace context into the header fields of an outgoing request, as W3C `traceparent` and `tracestate`.
pub fn inject(headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&Context::current(), &mut Outgoing(headers));
}

/// The id of the trace that is active here, as 32 hexadecimal digits.
#[must_use]
pub fn current_id() -> Option<String> {
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

/// The id of the active trace when it is sampled, so that somebody can look it up.
pub(crate) fn sampled_id() -> Option<String> {
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    (span.is_valid() && span.is_sampled()).then(|| span.trace_id().to_string())
}

/// The span of one request and the context it came with.
pub(crate) struct Span {
    span: tracing::Span,
    caller: Option<Context>,
}

impl Span {
    /// The span of a request. Unless the caller traces, the pages of the toolkit have none, and that of a reading is for log lines alone:
    /// who polls would fill the trace store.
    pub(crate) fn of_request(parts: &Parts, route: &str, is_page: bool, peer: &str) -> Self {
        let caller = parts.headers.contains_key("traceparent").then(|| {
            TraceContextPropagator::new()
                .extract_with_context(&Context::new(), &Fields(&parts.headers))
        });
        let caller = caller.filter(|context| context.span().span_context().is_valid());
        if is_page && caller.is_none() {
            return Self {
                span: tracing::Span::none(),
                caller,
            };
        }
        macro_rules! request {
            ($target:expr) => {
                tracing::info_span!(
                    target: $target,
                    "request",
                    otel.name = format!("{} {route}", parts.method),
                    otel.kind = "server",
                    otel.status_code = tracing::field::Empty,
                    http.request.method = parts.method.as_str(),
                    http.route = route,
                    http.response.status_code = tracing::field::Empty,
                    client.address = peer,
                )
            };
        }
        let polls = matches!(parts.method, Method::GET | Method::HEAD) && caller.is_none();
        let span = if polls {
            request!("toolkit::poll")
        } else {
            request!(ROOT)
        };
        if let Some(caller) = &caller {
            // Fails only when the span is disabled or began before, neither of which loses anything.
            let _ = span.set_parent(caller.clone());
        }
        Self { span, caller }
    }

    /// Runs a future inside the span and the caller's context.
    pub(crate) async fn around<F: Future>(self, inner: F) -> F::Output {
        let context = self.caller.unwrap_or_default();
        inner.instrument(self.span).with_context(context).await
    }
}

/// Carries the active span and context with a future to a task of its own, which would else have neither.
pub fn carried<F: Future>(inner: F) -> impl Future<Output = F::Output> {
    inner.in_current_span().with_context(Context::current())
}

/// Notes the status of the response on the span of its request.
pub(crate) fn answered(status: StatusCode) {
    let span = tracing::Span::current();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

struct Fields<'a>(&'a HeaderMap);

impl Extractor for Fields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (key.parse::<http::HeaderName>(), value.parse()) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parts(traceparent: &str) -> Parts {
        let request = http::Request::builder()
            .header("traceparent", traceparent)
            .body(());
        request.unwrap().into_parts().0
    }

    async fn outgoing(traceparent: &str) -> (Option<String>, Option<String>, HeaderMap) {
        let span = Span::of_request(&parts(traceparent), "/x", true, "peer");
        span.around(async {
            let mut headers = HeaderMap::new();
            inject(&mut headers);
            (current_id(), sampled_id(), headers)
        })
        .await
    }

    #[tokio::test]
    async fn context_of_the_caller_goes_out_again() {
        let (id, sampled, headers) = outgoing(PARENT).await;
        assert_eq!(id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(id, sampled);
        assert_eq!(headers["traceparent"], PARENT);
        let (id, sampled, _) = outgoing(&PARENT.replace("-01", "-00")).await;
        assert!(
            id.is_some() && sampled.is_none(),
            "who does not sample gets no exemplar"
        );
    }

    #[tokio::test]
    async fn broken_context_is_none() {
        for broken in [
            "",
            "00-0-0-01",
            "zz",
            &PARENT
                .replace('4', "0")
                .replace(|c: char| c.is_ascii_hexdigit() && c != '0' && c != '1', "0"),
        ] {
            let (id, _, headers) = outgoing(broken).await;
            assert_eq!(id, None, "{broken}");
            assert!(headers.get("traceparent").is_none(), "{broken}");
        }
        assert_eq!(current_id(), None);
    }
}
