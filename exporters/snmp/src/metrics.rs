//! The exporter's own metrics, under the names of snmp_exporter where it has them.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use crate::engine::Report;
use crate::probe::Shortcut;
use crate::reason::Reason;

/// Every own metric.
#[derive(Clone, Debug)]
pub struct Metrics {
    collection: HistogramVec,
    packet: Histogram,
    packets: IntCounter,
    retries: IntCounter,
    /// Scrapes under way.
    pub in_flight: IntGauge,
    /// Whether targets are restricted.
    pub restricted: IntGauge,
    /// Requests refused with status 400.
    pub request_errors: IntCounter,
    /// Requests answered with the scrape of another.
    pub coalesced: IntCounter,
    unexpected: IntCounter,
    errors: IntCounterVec,
    ignored: IntCounterVec,
    kept: IntCounterVec,
    shortcuts_off: IntCounterVec,
    discovery: IntCounter,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// A name is taken.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| IntCounter::new(name, help);
        let buckets = prometheus::exponential_buckets(0.0001, 2.0, 15)?;
        let metrics = Self {
            collection: HistogramVec::new(
                HistogramOpts::new(
                    "snmp_collection_duration_seconds",
                    "Duration of collections by the SNMP exporter",
                ),
                &["module"],
            )?,
            packet: Histogram::with_opts(
                HistogramOpts::new(
                    "snmp_packet_duration_seconds",
                    "A histogram of latencies for SNMP packets.",
                )
                .buckets(buckets),
            )?,
            packets: counter(
                "snmp_packets_total",
                "Number of SNMP packet sent, including retries.",
            )?,
            retries: counter(
                "snmp_packet_retries_total",
                "Number of SNMP packet retries.",
            )?,
            in_flight: IntGauge::new(
                "snmp_request_in_flight",
                "Current number of SNMP scrapes being requested.",
            )?,
            restricted: IntGauge::new(
                "snmp_targets_restricted",
                "Whether only devices of the inventory and --snmp.targets get named credentials; 0 sends them to any address that a request names.",
            )?,
            request_errors: counter(
                "snmp_request_errors_total",
                "Errors in requests to the SNMP exporter",
            )?,
            coalesced: counter(
                "snmp_coalesced_scrapes_total",
                "Requests answered with the scrape of an identical request under way.",
            )?,
            unexpected: counter(
                "snmp_unexpected_pdu_type_total",
                "Answers that hold a value or structure that cannot be read.",
            )?,
            errors: IntCounterVec::new(
                Opts::new(
                    "snmp_errors_total",
                    "Parts of scrapes that failed, by reason.",
                ),
                &["reason"],
            )?,
            ignored: IntCounterVec::new(
                Opts::new(
                    "snmp_ignored_answers_total",
                    "Answers that did not count, by reason.",
                ),
                &["reason"],
            )?,
            kept: IntCounterVec::new(
                Opts::new(
                    "snmp_column_cache_lookups_total",
                    "Scrapes by what became of the label columns kept from an earlier one: hit, miss (there were none) or changed.",
                ),
                &["result"],
            )?,
            shortcuts_off: IntCounterVec::new(
                Opts::new(
                    "snmp_shortcuts_off_total",
                    "Devices for which something is not left out any more, because they contradicted what it rests on.",
                ),
                &["shortcut"],
            )?,
            discovery: counter(
                "snmp_engine_discoveries_total",
                "Messages sent to learn the identity of a version 3 engine.",
            )?,
        };
        for reason in Reason::ALL {
            metrics.errors.with_label_values(&[reason.name()]);
            metrics.ignored.with_label_values(&[reason.name()]);
        }
        registry.register(Box::new(metrics.collection.clone()))?;
        registry.register(Box::new(metrics.packet.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.restricted.clone()))?;
        for one in [
            &metrics.packets,
            &metrics.retries,
            &metrics.request_errors,
            &metrics.coalesced,
            &metrics.unexpected,
            &metrics.discovery,
        ] {
            registry.register(Box::new(one.clone()))?;
        }
        registry.register(Box::new(metrics.errors.clone()))?;
        registry.register(Box::new(metrics.ignored.clone()))?;
        registry.register(Box::new(metrics.kept.clone()))?;
        registry.register(Box::new(metrics.shortcuts_off.clone()))?;
        for shortcut in Shortcut::ALL {
            metrics.shortcuts_off.with_label_values(&[shortcut.name()]);
        }
        for result in ["hit", "miss", "changed"] {
            metrics.kept.with_label_values(&[result]);
        }
        Ok(metrics)
    }

    /// Makes the series of the modules exist before their first scrape.
    pub fn modules<'a>(&self, names: impl IntoIterator<Item = &'a String>) {
        for name in names {
            self.collection.with_label_values(&[name]);
        }
    }

    pub(crate) fn collection(&self, module: &str, took: Duration) {
        self.collection
            .with_label_values(&[module])
            .observe(took.as_secs_f64());
    }

    pub(crate) fn error(&self, reason: Reason, count: u64) {
        self.errors
            .with_label_values(&[reason.name()])
            .inc_by(count);
        if matches!(reason, Reason::Decode) {
            self.unexpected.inc_by(count);
        }
    }

    pub(crate) fn kept(&self, result: &str) {
        self.kept.with_label_values(&[result]).inc();
    }

    pub(crate) fn shortcut_off(&self, shortcut: Shortcut) {
        self.shortcuts_off
            .with_label_values(&[shortcut.name()])
            .inc();
    }

    pub(crate) fn session(&self, report: &Report) {
        for counts in &report.outcome.counts {
            self.packets.inc_by(counts.sent);
            self.retries.inc_by(counts.again);
        }
        self.packets.inc_by(report.discovery);
        self.discovery.inc_by(report.discovery);
        for trip in &report.trips {
            self.packet.observe(trip.as_secs_f64());
        }
        for (reason, count) in &report.ignored {
            self.ignored
                .with_label_values(&[reason.name()])
                .inc_by(*count);
        }
    }
}
