//! Sending spans to a collector.

use std::time::Duration;

use anyhow::{anyhow, bail};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData};
use prometheus::IntCounter;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt as _, Targets, dynamic_filter_fn};
use tracing_subscriber::layer::Context as LayerContext;
use tracing_subscriber::registry::LookupSpan;

use crate::Identity;
use crate::carriers::CARRIERS;

/// Variables that name the collector.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// The running exporter of spans.
#[derive(Debug)]
pub(crate) struct Exporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Exporter {
    /// Builds what the environment asks for; `None` when it names no collector. Must be called on a thread that is not part of a
    /// runtime, inside the context of one that lives on.
    ///
    /// # Errors
    /// A variable that cannot be honoured.
    pub(crate) fn start(
        identity: &Identity,
        registry: &prometheus::Registry,
    ) -> anyhow::Result<Option<Self>> {
        if !wanted()? {
            return Ok(None);
        }
        let builder = SpanExporter::builder();
        let inner = match super::tls::Client::from_environment()? {
            Some(client) => builder.with_http().with_http_client(client).build(),
            None => builder.build(),
        };
        let inner = inner.map_err(|error| {
            let reason = without_users(&crate::chain(&error));
            anyhow!("OpenTelemetry exporter cannot be built from the OTEL_* variables: {reason}")
        })?;
        let sent = IntCounter::new(
            "sotp_trace_spans_sent_total",
            "Spans that the collector took.",
        )?;
        let failed = IntCounter::new(
            "sotp_trace_spans_failed_total",
            "Spans that the collector did not take.",
        )?;
        registry.register(Box::new(sent.clone()))?;
        registry.register(Box::new(failed.clone()))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Counting {
                inner,
                sent,
                failed,
            })
            .with_resource(resource(identity))
            .build();
        let tracer = provider.tracer(identity.name);
        Ok(Some(Self { provider, tracer }))
    }

    /// Sends what is left, within the time given; blocks.
    pub(crate) fn finish(&self, within: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(within) {
            tracing::warn!(%error, "last spans were not sent");
        }
    }
}

/// The layer that turns our spans into OpenTelemetry's: requests, and whatever is done inside a trace. The spans of the libraries that
/// carry them out are left out, since each batch sent would make new ones.
pub(crate) fn layer<S>(exporter: &Exporter) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut targets = Targets::new().with_default(LevelFilter::INFO);
    for carrier in CARRIERS {
        targets = targets.with_target(*carrier, LevelFilter::OFF);
    }
    let traced = dynamic_filter_fn(|metadata: &Metadata<'_>, _: &LayerContext<'_, S>| {
        !metadata.is_span()
            || metadata.target() == super::ROOT
            || Context::current().span().span_context().is_valid()
    });
    tracing_opentelemetry::layer()
        .with_tracer(exporter.tracer.clone())
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(targets.and(traced))
}

/// A variable of the environment that is not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether spans are to be sent, by the standard variables.
fn wanted() -> anyhow::Result<bool> {
    let disabled =
        variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let endpoint = ENDPOINTS.into_iter().find_map(variable);
    if disabled || endpoint.is_none() {
        return Ok(false);
    }
    match variable("OTEL_TRACES_EXPORTER").as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(false),
        Some(other) => bail!("OTEL_TRACES_EXPORTER: expected otlp or none, found {other:?}"),
    }
    for name in [
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ] {
        match variable(name).as_deref() {
            None | Some("grpc" | "http/protobuf") => {}
            Some(other) => bail!("{name}: expected grpc or http/protobuf, found {other:?}"),
        }
    }
    Ok(true)
}

/// The message without what stands before the `@` of an endpoint, where a password may be.
fn without_users(message: &str) -> String {
    let mut message = message.to_owned();
    for value in ENDPOINTS.into_iter().filter_map(variable) {
        if let Some((_, host)) = value.rsplit_once('@') {
            message = message.replace(&value, &format!("…@{host}"));
        }
    }
    message
}

/// The service by its own name, unless the environment names it.
fn resource(identity: &Identity) -> Resource {
    let named = variable("OTEL_SERVICE_NAME").is_some()
        || variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|all| {
            all.split(',')
                .any(|pair| pair.trim_start().starts_with("service.name="))
        });
    let builder =
        Resource::builder().with_attribute(KeyValue::new("service.version", identity.version));
    if named {
        builder
    } else {
        builder.with_service_name(identity.name)
    }
    .build()
}

/// Counts what the collector took.
#[derive(Debug)]
struct Counting {
    inner: SpanExporter,
    sent: IntCounter,
    failed: IntCounter,
}

impl opentelemetry_sdk::trace::SpanExporter for Counting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let done = self.inner.export(batch).await;
        match &done {
            Ok(()) => self.sent.inc_by(spans),
            Err(error) => {
                self.failed.inc_by(spans);
                tracing::warn!(%error, spans, "spans were not sent");
            }
        }
        done
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
