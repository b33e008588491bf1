//! The series of the service; what counts events is there at 0 from the start.

use std::collections::HashMap;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, opts,
};

use crate::job::{Job, State};
use crate::rails::Rail;
use crate::runbook::{Level, Runbooks};
use crate::webhook::Refused;

/// How console commands end.
const VERDICTS: [&str; 3] = ["answered", "failed", "refused"];
/// Why an alert that a runbook matches names no target; `platform`: one that the runbook is not for; `bad_labels`: more or longer ones than are
/// taken.
const UNMATCHED: [&str; 6] = [
    "bad_labels",
    "no_device",
    "unknown_device",
    "no_port",
    "bad_port",
    "platform",
];
/// Who reports changes by people.
const SOURCES: [&str; 1] = ["syslog"];

/// All series.
#[derive(Debug)]
pub struct Metrics {
    fired: IntCounterVec,
    actions: IntCounterVec,
    suppressed: IntCounterVec,
    fix_seconds: HistogramVec,
    jobs: IntGaugeVec,
    /// Lines that were typed on devices.
    pub lines: IntCounter,
    /// Alerts of an incident that has or had its job.
    pub repeated: IntCounter,
    /// Alerts that a runbook matches and that name no target.
    pub unmatched: IntCounterVec,
    /// Whether everything is stopped.
    pub paused: IntGauge,
    /// Whether this instance has the lock and works.
    pub active: IntGauge,
    /// The number of the last row.
    pub journal_seq: IntGauge,
    /// Alerts that were taken, by status.
    pub alerts: IntCounterVec,
    refused: IntCounterVec,
    /// Alerts that Alertmanager left out of its webhooks.
    pub truncated: IntCounter,
    /// Seconds from a webhook to its durable answer.
    pub durable_seconds: Histogram,
    /// Changes by people that were reported.
    pub hints: IntCounterVec,
    /// Console commands on single devices.
    pub commands: IntCounterVec,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// A name is taken.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let counters =
            |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
                let counters = IntCounterVec::new(opts!(name, help), labels)?;
                registry.register(Box::new(counters.clone()))?;
                Ok(counters)
            };
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let jobs = IntGaugeVec::new(
            opts!("remediator_jobs", "Jobs that are not over, by state."),
            &["state"],
        )?;
        registry.register(Box::new(jobs.clone()))?;
        let fix_seconds = HistogramVec::new(
            HistogramOpts::new(
                "remediator_time_to_fix_seconds",
                "From the beginning of the alert to the proof that the repair helped, without the wait for an approval.",
            )
            .buckets(vec![1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0]),
            &["runbook"],
        )?;
        registry.register(Box::new(fix_seconds.clone()))?;
        let durable_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "remediator_webhook_durable_seconds",
                "From an accepted webhook until its alerts are on disk.",
            )
            .buckets(vec![0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0]),
        )?;
        registry.register(Box::new(durable_seconds.clone()))?;
        let metrics = Self {
            fired: counters(
                "remediator_fired_total",
                "Jobs that alerts made.",
                &["runbook"],
            )?,
            actions: counters(
                "remediator_actions_total",
                "Jobs that ended, by the level they were decided at and their end.",
                &["runbook", "mode", "outcome"],
            )?,
            suppressed: counters(
                "remediator_suppressed_total",
                "Times that a guard rail held something back.",
                &["rail"],
            )?,
            fix_seconds,
            jobs,
            lines: counter(
                "remediator_lines_typed_total",
                "Lines typed on devices in configuration mode.",
            )?,
            repeated: counter(
                "remediator_alerts_repeated_total",
                "Alerts of an incident that has or had its job.",
            )?,
            unmatched: counters(
                "remediator_alerts_unmatched_total",
                "Alerts that a runbook matches and that name no target.",
                &["reason"],
            )?,
            paused: gauge("remediator_paused", "Whether everything is stopped.")?,
            active: gauge(
                "remediator_active",
                "Whether this instance has the journal's lock and works.",
            )?,
            journal_seq: gauge(
                "remediator_journal_seq",
                "Number of the last row of the journal.",
            )?,
            alerts: counters(
                "remediator_webhook_alerts_total",
                "Alerts that were taken, by their status.",
                &["status"],
            )?,
            refused: counters(
                "remediator_webhook_refused_total",
                "Webhooks that were not taken.",
                &["reason"],
            )?,
            truncated: counter(
                "remediator_webhook_truncated_alerts_total",
                "Alerts that Alertmanager says it left out of its webhooks.",
            )?,
            durable_seconds,
            hints: counters(
                "remediator_person_changes_total",
                "Changes by people that were reported, by who reported them.",
                &["source"],
            )?,
            commands: counters(
                "remediator_commands_total",
                "Console commands on single devices.",
                &["verdict"],
            )?,
        };
        for rail in Rail::ALL {
            metrics.suppressed.with_label_values(&[rail.as_str()]);
        }
        for refused in Refused::ALL {
            metrics.refused.with_label_values(&[refused.as_str()]);
        }
        for (counters, values) in [
            (&metrics.alerts, &["firing", "resolved"][..]),
            (&metrics.commands, &VERDICTS),
            (&metrics.unmatched, &UNMATCHED),
            (&metrics.hints, &SOURCES),
        ] {
            for value in values {
                counters.with_label_values(&[value]);
            }
        }
        metrics.open(&HashMap::new());
        Ok(metrics)
    }

    /// Bears the series of the runbooks at 0.
    pub fn runbooks(&self, runbooks: &Runbooks) {
        for runbook in runbooks.iter() {
            self.fired.with_label_values(&[&*runbook.name]);
            self.fix_seconds.with_label_values(&[&*runbook.name]);
            for level in Level::ALL {
                for state in State::ALL.into_iter().filter(|state| state.is_final()) {
                    self.actions.with_label_values(&[
                        &*runbook.name,
                        level.as_str(),
                        state.as_str(),
                    ]);
                }
            }
        }
    }

    pub(crate) fn fired(&self, runbook: &str) {
        self.fired.with_label_values(&[runbook]).inc();
    }

    /// A guard rail held something back.
    pub fn suppressed(&self, rail: Rail) {
        self.suppressed.with_label_values(&[rail.as_str()]).inc();
    }

    /// How often a guard rail held something back.
    #[must_use]
    pub fn suppressions(&self, rail: Rail) -> u64 {
        self.suppressed.with_label_values(&[rail.as_str()]).get()
    }

    /// A webhook was not taken.
    pub fn refused(&self, refused: Refused) {
        self.refused.with_label_values(&[refused.as_str()]).inc();
    }

    pub(crate) fn open(&self, counts: &HashMap<State, i64>) {
        for state in State::ALL.into_iter().filter(|state| !state.is_final()) {
            let count = counts.get(&state).copied().unwrap_or_default();
            self.jobs.with_label_values(&[state.as_str()]).set(count);
        }
    }

    pub(crate) fn ended(&self, job: &Job) {
        let labels = [&*job.runbook, job.level.as_str(), job.state.as_str()];
        self.actions.with_label_values(&labels).inc();
        if job.state == State::Succeeded && job.starts_at > 0 {
            let seconds = (job.updated - job.starts_at - job.waited).max(0) as f64 / 1e3;
            self.fix_seconds
                .with_label_values(&[&*job.runbook])
                .observe(seconds);
        }
    }
}
