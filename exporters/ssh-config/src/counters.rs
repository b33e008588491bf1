//! Series that are counted where something happens.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use ssh::Error;
use toolkit::prometheus;

/// What became of events: values of a label.
const RESULTS: [&str; 5] = [
    "taken",
    "ignored",
    "unknown_device",
    "bad_signature",
    "malformed",
];

/// What became of changes that the webhook was told of: values of a label.
const TOLD: [&str; 5] = ["taken", "failed", "refused", "expired", "dropped"];

/// Series that are counted where something happens.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    pub(crate) failures: IntCounterVec,
    pub(crate) events: IntCounterVec,
    pub(crate) running: IntGauge,
    /// Sessions by where they came from: opened, kept, or dead when they were wanted.
    pub(crate) sessions: IntCounterVec,
    pub(crate) pushes: IntCounterVec,
    /// Changes that somebody else is told of.
    pub(crate) told: IntCounterVec,
}

impl Counters {
    /// Registers them, every one with its first value.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let vector = |name: &str, help: &str, label: &str| {
            IntCounterVec::new(Opts::new(name, help), &[label])
        };
        let counters = Self {
            failures: vector(
                "sshconfig_failures_by_reason_total",
                "Collections of all devices that failed, by why.",
                "reason",
            )?,
            events: vector(
                "sshconfig_events_total",
                "Events of sotp-syslog, by what became of them.",
                "result",
            )?,
            pushes: vector(
                "sshconfig_archive_pushes_total",
                "Times that the archive was sent to the other repository, by how that went.",
                "result",
            )?,
            told: vector(
                "sshconfig_webhook_changes_total",
                "Changes that the webhook was told of: taken, refused, given up after ten minutes (expired) or for lack of room (dropped); failed are attempts that are repeated.",
                "result",
            )?,
            sessions: vector(
                "sshconfig_sessions_total",
                "Sessions of collections: opened (a login), kept from before, or dead when they were wanted.",
                "result",
            )?,
            running: IntGauge::new("sshconfig_collections_running", "Collections under way.")?,
        };
        for reason in Error::REASONS.into_iter().chain(["archive", "credential"]) {
            counters.failures.with_label_values(&[reason]).inc_by(0);
        }
        for result in RESULTS {
            counters.events.with_label_values(&[result]).inc_by(0);
        }
        for result in ["ok", "failed"] {
            counters.pushes.with_label_values(&[result]).inc_by(0);
        }
        for result in ["opened", "kept", "dead"] {
            counters.sessions.with_label_values(&[result]).inc_by(0);
        }
        for result in TOLD {
            counters.told.with_label_values(&[result]).inc_by(0);
        }
        registry.register(Box::new(counters.told.clone()))?;
        registry.register(Box::new(counters.sessions.clone()))?;
        registry.register(Box::new(counters.pushes.clone()))?;
        registry.register(Box::new(counters.failures.clone()))?;
        registry.register(Box::new(counters.events.clone()))?;
        registry.register(Box::new(counters.running.clone()))?;
        Ok(counters)
    }
}
