//! Traces.

use opentelemetry::trace::TraceContextExt as _;

/// The id of the trace that is active on this thread.
pub(crate) fn current_id() -> Option<String> {
    let context = opentelemetry::Context::current();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

/// The id of the active trace when it is sampled, so that somebody can look it up.
pub(crate) fn sampled_id() -> Option<String> {
    let context = opentelemetry::Context::current();
    let span = context.span();
    let span = span.span_context();
    (span.is_valid() && span.is_sampled()).then(|| span.trace_id().to_string())
}
