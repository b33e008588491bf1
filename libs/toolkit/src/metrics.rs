//! The series of the toolkit itself.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, opts};

use crate::{Identity, Latency};

/// Why the server closes a connection.
const CLOSED: &[&str] = &[
    "connections",
    "evicted",
    "header_size",
    "header_time",
    "idle",
    "response_time",
    "slow_reader",
    "tls_handshake",
];
/// Why the server refuses a request.
const REFUSED: &[&str] = &[
    "auth",
    "auth_queue",
    "body_memory",
    "body_size",
    "draining",
    "duplicate_key",
    "max_requests",
    "rate",
    "request_time",
    "response_memory",
];

/// Handles on the series that every service has.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) reload_good: IntGauge,
    pub(crate) reload_time: Gauge,
    pub(crate) requests: IntCounterVec,
    pub(crate) request_seconds: Latency,
    pub(crate) in_flight: IntGauge,
    pub(crate) connections: IntGauge,
    pub(crate) closed: IntCounterVec,
    pub(crate) refused: IntCounterVec,
    pub(crate) refused_families: IntCounter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry, identity: &Identity) -> prometheus::Result<Self> {
        let build = IntGaugeVec::new(
            opts!(
                "sotp_build_info",
                "Constant 1; the labels say what was built from what."
            ),
            &["service", "version", "revision", "rustversion", "target"],
        )?;
        build
            .with_label_values(&[
                identity.name,
                identity.version,
                Identity::REVISION,
                Identity::RUSTC,
                Identity::TARGET,
            ])
            .set(1);
        let metrics = Self {
            reload_good: IntGauge::new(
                "sotp_config_last_reload_successful",
                "1 when the last reading of the configuration succeeded, else 0.",
            )?,
            reload_time: Gauge::new(
                "sotp_config_last_reload_success_timestamp_seconds",
                "Unix time of the last successful reading of the configuration.",
            )?,
            requests: IntCounterVec::new(
                opts!(
                    "sotp_http_requests_total",
                    "Answered requests by route and status."
                ),
                &["path", "code"],
            )?,
            request_seconds: Latency::new(
                "sotp_http_request_duration_seconds",
                "Time from the head of a request to its response.",
                &["path"],
            ),
            in_flight: IntGauge::new(
                "sotp_http_requests_in_flight",
                "Requests being answered now.",
            )?,
            connections: IntGauge::new("sotp_http_connections", "Open connections.")?,
            closed: IntCounterVec::new(
                opts!(
                    "sotp_http_connections_closed_total",
                    "Connections closed by the server, by limit hit."
                ),
                &["reason"],
            )?,
            refused: IntCounterVec::new(
                opts!(
                    "sotp_http_requests_refused_total",
                    "Requests refused, by limit hit."
                ),
                &["reason"],
            )?,
            refused_families: IntCounter::new(
                "sotp_scrape_families_refused_total",
                "Metric families left out of a scrape because they were there twice or badly formed.",
            )?,
        };
        for reason in CLOSED {
            metrics.closed.with_label_values(&[*reason]);
        }
        for reason in REFUSED {
            metrics.refused.with_label_values(&[*reason]);
        }
        registry.register(Box::new(build))?;
        registry.register(Box::new(metrics.reload_good.clone()))?;
        registry.register(Box::new(metrics.reload_time.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.closed.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.refused_families.clone()))?;
        Ok(metrics)
    }
}
