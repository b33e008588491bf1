//! The series of the service; what counts events is there at 0 from the start.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Registry, opts};

/// Where a report can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading Prometheus.
    Figures,
    /// Making and keeping the files.
    Files,
    /// Sending.
    Mail,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Figures, Self::Files, Self::Mail];

    fn as_str(self) -> &'static str {
        match self {
            Self::Figures => "figures",
            Self::Files => "files",
            Self::Mail => "mail",
        }
    }
}

/// All series.
#[derive(Debug)]
pub struct Metrics {
    /// Reports that the mail server took.
    pub sent: IntCounter,
    failures: IntCounterVec,
    /// Reports that were sent although a part of them is missing.
    pub incomplete: IntCounter,
    /// Mails that were sent again because a process ended while they were on their way.
    pub in_doubt: IntCounter,
    /// Mails that wait in the outbox or were refused.
    pub outbox: IntGauge,
    /// Months that are due by the schedule and not done.
    pub due: IntGauge,
    /// When the last mail was taken.
    pub last_sent: Gauge,
    /// When the next report is due.
    pub next_due: Gauge,
    /// How long the last report took to be made.
    pub build_seconds: Gauge,
    /// Jobs that wait or run.
    pub jobs: IntGauge,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// A name is taken.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            prometheus::Result::Ok(counter)
        };
        let whole = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            prometheus::Result::Ok(gauge)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = Gauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            prometheus::Result::Ok(gauge)
        };
        let failures = IntCounterVec::new(
            opts!(
                "reporter_failures_total",
                "Attempts at a report that failed, by what failed: the figures, the files or the mail."
            ),
            &["stage"],
        )?;
        for stage in Stage::ALL {
            failures.with_label_values(&[stage.as_str()]);
        }
        registry.register(Box::new(failures.clone()))?;
        Ok(Self {
            sent: counter(
                "reporter_reports_sent_total",
                "Reports that the mail server took.",
            )?,
            failures,
            incomplete: counter(
                "reporter_reports_incomplete_total",
                "Reports that were made although Prometheus did not answer for a part of them.",
            )?,
            in_doubt: counter(
                "reporter_mails_in_doubt_total",
                "Mails sent again, with the same Message-ID, because a process ended while they were on their way.",
            )?,
            outbox: whole(
                "reporter_outbox_mails",
                "Mails that wait in the outbox or were refused.",
            )?,
            due: whole(
                "reporter_due_reports",
                "Months that are due by the schedule and whose report is not out.",
            )?,
            last_sent: gauge(
                "reporter_last_sent_timestamp_seconds",
                "When the mail server last took a report; 0 before the first time.",
            )?,
            next_due: gauge(
                "reporter_next_due_timestamp_seconds",
                "When the next report is due; 0 without a schedule.",
            )?,
            build_seconds: gauge(
                "reporter_last_build_seconds",
                "How long the last report took to be read and made.",
            )?,
            jobs: whole("reporter_jobs", "Jobs that wait or run.")?,
        })
    }

    /// Counts an attempt that failed.
    pub fn failed(&self, stage: Stage) {
        self.failures.with_label_values(&[stage.as_str()]).inc();
    }
}
