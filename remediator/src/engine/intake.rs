//! From alerts to jobs.

use std::collections::BTreeMap;

use toolkit::trace::Origin;

use crate::job::{Job, State, new_id};
use crate::journal::{Alert, Filter, JournalError};
use crate::rails::Rail;
use crate::runbook::{Level, Runbook, can_be};

use super::{Engine, locked, moved};

/// Alerts that are taken in one go.
const TAKEN: u32 = 200;

impl Engine {
    /// Makes jobs of the alerts that wait; answers how many alerts there were.
    pub(super) async fn take_alerts(&self) -> Result<usize, JournalError> {
        let alerts = self.parts.journal.open_alerts(TAKEN).await?;
        for alert in &alerts {
            let device = alert.labels.get("device").cloned().unwrap_or_default();
            locked(&self.rails).alert(&alert.fingerprint, &device, alert.firing, alert.at);
            let jobs = if alert.firing {
                self.jobs_of(alert).await?
            } else {
                self.resolved(alert).await?;
                Vec::new()
            };
            let wanted = jobs.len();
            let made = self.parts.journal.settle(alert.seq, jobs).await?;
            for _ in made.len()..wanted {
                self.parts.metrics.suppressed(Rail::Claim);
            }
            for job in &made {
                self.parts.metrics.fired(&job.runbook);
                self.parts.witness.moved(job, None);
            }
        }
        Ok(alerts.len())
    }

    /// The jobs that a firing alert asks for: one for each runbook that it matches, unless there is one for this incident already.
    async fn jobs_of(&self, alert: &Alert) -> Result<Vec<Job>, JournalError> {
        let setup = (self.parts.setup)();
        let mut jobs = Vec::new();
        for runbook in setup
            .runbooks
            .iter()
            .filter(|runbook| runbook.is_for(&alert.labels))
        {
            match self.job_of(alert, runbook) {
                Ok(job) => {
                    locked(&self.rails).incident(&job.key(), alert.starts_at);
                    if self.is_new(&job).await? {
                        jobs.push(job);
                    } else {
                        self.parts.metrics.repeated.inc();
                    }
                }
                Err(reason) => {
                    self.parts
                        .metrics
                        .unmatched
                        .with_label_values(&[reason])
                        .inc();
                    if reason == "platform" {
                        continue;
                    }
                    tracing::warn!(
                        runbook = runbook.name,
                        fingerprint = alert.fingerprint,
                        reason,
                        "alert names no target"
                    );
                }
            }
        }
        Ok(jobs)
    }

    /// Whether no job for this incident was ever made. Alertmanager repeats itself, and each of a pair speaks.
    async fn is_new(&self, job: &Job) -> Result<bool, JournalError> {
        let filter = Filter {
            key: Some(job.key()),
            most: 50,
            ..Filter::default()
        };
        let known = self.parts.journal.jobs(filter).await?;
        Ok(!known.iter().any(|known| {
            !known.state.is_final()
                || (known.fingerprint == job.fingerprint && known.starts_at == job.starts_at)
        }))
    }

    /// The job, or why the alert names no target.
    fn job_of(&self, alert: &Alert, runbook: &Runbook) -> Result<Job, &'static str> {
        let label = |name: &str| alert.labels.get(name).map(String::as_str);
        let device = label(&runbook.target.device).ok_or("no_device")?;
        let inventory = self.parts.feed.current();
        let device = inventory.device(device).ok_or("unknown_device")?;
        let port = match runbook.target.thing() {
            None => None,
            Some((kind, name)) => {
                let thing = label(name).ok_or("no_port")?;
                if !can_be(kind, thing) {
                    return Err("bad_port");
                }
                Some(thing.to_owned())
            }
        };
        let setup = (self.parts.setup)();
        // What is not known at all, people are told about; what a runbook is not for, is none of its.
        if let Some(platform) = setup.platforms.get(&device.platform)
            && !runbook.suits(platform)
        {
            return Err("platform");
        }
        let now = self.parts.clock.now();
        Ok(Job {
            id: new_id(now),
            state: State::Matched,
            reason: "an alert fires".to_owned(),
            runbook: runbook.name.clone(),
            device: device.name.to_string(),
            port,
            site: device.site.to_string(),
            role: device.role.to_string(),
            level: Level::Observe,
            fingerprint: alert.fingerprint.clone(),
            starts_at: alert.starts_at,
            created: now,
            updated: now,
            not_before: 0,
            expires: 0,
            waited: 0,
            armed_until: 0,
            attempts: 0,
            plan: None,
            plan_hash: String::new(),
            requester: None,
            approver: None,
            trace_id: alert.origin.as_ref().map(Origin::trace_id),
            traceparent: alert.origin.clone(),
            output: String::new(),
            labels: alert.labels.clone(),
        })
    }

    /// What waits because of this alert need not be done any more; what is being done is finished and proven.
    async fn resolved(&self, alert: &Alert) -> Result<(), JournalError> {
        for mut job in self.open(None).await? {
            let waits = matches!(
                job.state,
                State::Matched | State::Deferred | State::Prechecked | State::AwaitingApproval
            );
            if waits && job.fingerprint == alert.fingerprint && job.requester.is_none() {
                self.step(&mut job, State::Cancelled, "the alert is resolved")
                    .await
                    .or_else(moved)?;
            }
        }
        Ok(())
    }

    /// A job that a person asks for; it waits for another person's approval, whatever the level. It is not stored yet.
    ///
    /// # Errors
    /// There is no such device, or the port cannot be one.
    pub fn job_for(
        &self,
        runbook: &Runbook,
        device: &str,
        port: Option<&str>,
    ) -> Result<Job, &'static str> {
        let mut labels = BTreeMap::from([(runbook.target.device.clone(), device.to_owned())]);
        if let (Some((_, name)), Some(port)) = (runbook.target.thing(), port) {
            labels.insert(name.to_owned(), port.to_owned());
        }
        let now = self.parts.clock.now();
        let alert = Alert {
            seq: 0,
            at: now,
            fingerprint: String::new(),
            firing: true,
            starts_at: now,
            labels,
            origin: None,
        };
        let mut job = self.job_of(&alert, runbook)?;
        job.reason = "somebody asked for it".to_owned();
        job.labels.clear();
        Ok(job)
    }
}
