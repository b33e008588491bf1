//! Where a trace goes on: what is kept of it for work that is done later, or in another process.

use std::future::Future;

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use super::{Fields, inject};

/// A place in a trace, as the text of a W3C `traceparent`, which may be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(String);

impl Origin {
    /// The place in the trace that is active here; `None` where none is.
    #[must_use]
    pub fn here() -> Option<Self> {
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        Self::parse(headers.get("traceparent")?.to_str().ok()?)
    }

    /// The place that `text` names; `None` when it is no valid `traceparent`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let own = Self(text.to_owned());
        own.context()
            .span()
            .span_context()
            .is_valid()
            .then_some(own)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the trace, as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.context().span().span_context().trace_id().to_string()
    }

    fn context(&self) -> Context {
        let mut headers = HeaderMap::new();
        if let Ok(value) = self.0.parse() {
            headers.insert("traceparent", value);
        }
        TraceContextPropagator::new().extract_with_context(&Context::new(), &Fields(&headers))
    }
}

/// Runs a future as a part of the trace that `origin` names, inside the span that `span` makes there. Without an origin nothing is traced:
/// what nobody asked for in a trace, such as the next round of a schedule, makes none; the fields of the span are in log lines all the same.
pub async fn resumed<F: Future>(
    origin: Option<&Origin>,
    span: impl FnOnce() -> tracing::Span,
    inner: F,
) -> F::Output {
    let context = origin.map(Origin::context).unwrap_or_default();
    let own = context.clone();
    async move {
        // Made inside the context, which becomes its parent.
        let span = {
            let _here = own.attach();
            span()
        };
        inner.instrument(span).await
    }
    .with_context(context)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[tokio::test]
    async fn what_was_stored_of_a_trace_is_gone_on_with() {
        assert_eq!(Origin::here(), None);
        let stored = serde_json::to_string(&Origin::parse(PARENT)).unwrap();
        let origin: Origin = serde_json::from_str(&stored).unwrap();
        assert_eq!(origin.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let inside = async { (super::super::current_id(), Origin::here()) };
        let (id, here) = resumed(Some(&origin), tracing::Span::none, inside).await;
        assert_eq!(id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(here, Some(origin));
        let outside = async { super::super::current_id() };
        assert_eq!(resumed(None, tracing::Span::none, outside).await, None);
    }

    #[test]
    fn what_is_no_place_in_a_trace_is_none() {
        for text in [
            "",
            "x",
            "00-0-0-01",
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            "00\n",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }
}
