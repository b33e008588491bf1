//! Jobs of the remediator, as steps look for them.

use std::collections::BTreeSet;

use anyhow::Context;
use serde_json::Value;

use super::story::{Play, Stage};

/// The jobs on one port that there were before.
#[derive(Debug)]
pub(super) struct Jobs {
    list: String,
    port: &'static str,
    before: BTreeSet<String>,
}

impl Jobs {
    /// Those on this port until now.
    ///
    /// # Errors
    /// The remediator does not answer.
    pub(super) async fn until_now(
        stage: &Stage<'_>,
        device: &str,
        port: &'static str,
    ) -> anyhow::Result<Self> {
        let list = format!(
            "{}/api/v1/jobs?device={device}",
            stage.url("sotp-remediator")
        );
        let mut jobs = Self {
            list,
            port,
            before: BTreeSet::new(),
        };
        let now = jobs.since(&stage.json(&jobs.list).await?)?;
        jobs.before = now.iter().filter_map(id).collect();
        Ok(jobs)
    }

    /// Waits until a new job on the port stands in one of `states`, and returns it with all its steps, which are evidence.
    ///
    /// # Errors
    /// The bound of the step is over, or a new job ended in another way; then the error says how.
    pub(super) async fn until_in(
        &self,
        play: &mut Play<'_>,
        what: &str,
        states: &[&str],
    ) -> anyhow::Result<Value> {
        let stage = play.stage;
        let found = play.until(what, async || {
            let jobs = self.since(&stage.json(&self.list).await?)?;
            let state = |job: &Value| job["state"].as_str().unwrap_or_default().to_owned();
            let wanted = |job: &&Value| states.contains(&state(job).as_str());
            Ok(jobs.iter().find(wanted).and_then(id).or_else(|| {
                // Nobody waits for what cannot come any more.
                let ended = |job: &&Value| ENDS.contains(&state(job).as_str());
                jobs.iter().find(ended).and_then(id)
            }))
        });
        let id = found.await?;
        let url = format!("{}/api/v1/jobs/{id}", stage.url("sotp-remediator"));
        let job = stage.json(&url).await?;
        play.evidence("the job with every step", &url, job.clone());
        let state = job["state"].as_str().unwrap_or_default();
        anyhow::ensure!(
            states.contains(&state),
            "{what}: the job ended as {state}: {}",
            job["reason"]
        );
        Ok(job)
    }

    fn since(&self, answer: &Value) -> anyhow::Result<Vec<Value>> {
        let jobs = answer["jobs"]
            .as_array()
            .context("the remediator: expected a list of jobs")?;
        let new = |job: &&Value| {
            job["port"] == self.port && id(job).is_some_and(|id| !self.before.contains(&id))
        };
        Ok(jobs.iter().filter(new).cloned().collect())
    }
}

/// The states in which a job is left that did not do what was hoped for.
const ENDS: [&str; 4] = ["failed", "rolled_back", "escalated", "suppressed"];

fn id(job: &Value) -> Option<String> {
    job["id"].as_str().map(str::to_owned)
}
