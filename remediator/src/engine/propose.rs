//! What is proposed and never typed from here.

use crate::decide::{Evidence, Plan, PlannedStep};
use crate::drift::{Drift, WayBack};
use crate::job::{Job, State};
use crate::journal::JournalError;
use crate::platform::Way;
use crate::rails::Rail;
use crate::runbook::Level;

use super::Engine;

impl Engine {
    /// The way back of a configuration, as a plan for people, whatever the level and whoever asks.
    pub(super) async fn propose(&self, job: &mut Job) -> Result<(), JournalError> {
        let setup = (self.parts.setup)();
        let inventory = self.parts.feed.current();
        let Some(device) = inventory.device(&job.device) else {
            let why = "the device is not in the inventory any more";
            return self.step(job, State::Escalated, why).await;
        };
        job.level = setup.level(&job.runbook, device);
        if let Some((held, why)) = self.hands_off(job, device).await {
            return self.hold(job, held, &why).await;
        }
        let rule = job.port.clone().unwrap_or_default();
        let back = match self.parts.archive.drift(&job.device, &rule).await {
            Ok(Drift::Back(back)) => back,
            Ok(Drift::None(why)) => {
                return self.leave(job, Rail::Precheck, State::Cancelled, why).await;
            }
            Ok(Drift::NoWay(why)) => return self.give_up(job, why).await,
            Err(error) => {
                self.parts.metrics.suppressed(Rail::Precheck);
                let why = format!("the archive cannot be asked: {error}");
                return self.give_up(job, why).await;
            }
        };
        let why = told(&back);
        let plan = plan(job, &rule, back);
        job.plan_hash = plan.hash();
        job.plan = Some(plan);
        self.step(
            job,
            State::Prechecked,
            "the rule is broken, and there is a way back",
        )
        .await?;
        self.parts.metrics.suppressed(Rail::Level);
        let asked = job.requester.is_some();
        match job.level {
            Level::Observe if !asked => self.step(job, State::Observed, why).await,
            _ => self.step(job, State::Proposed, why).await,
        }
    }
}

fn plan(job: &Job, rule: &str, back: WayBack) -> Plan {
    let evidence = Evidence::from([
        ("rule".to_owned(), format!("{rule}: {}", back.title)),
        ("from".to_owned(), back.from),
        ("to".to_owned(), back.to.clone()),
        ("changed by".to_owned(), back.by),
        ("changed at".to_owned(), back.at.to_string()),
    ]);
    Plan {
        runbook: job.runbook.clone(),
        device: job.device.clone(),
        port: job.port.clone(),
        steps: vec![PlannedStep {
            step: format!("restore {}", back.to),
            way: Way::Configure,
            lines: back.lines,
        }],
        rollback: Vec::new(),
        evidence,
        timer: None,
    }
}

/// What people are told, one sentence or two.
fn told(back: &WayBack) -> String {
    let by = if back.by.is_empty() {
        "somebody"
    } else {
        &back.by
    };
    let at = jiff::Timestamp::from_second(back.at).map_or(String::new(), |at| format!(" at {at}"));
    let secrets = match back.secrets {
        0 => String::new(),
        count => format!(" In {count} of them a fingerprint stands in the place of a secret."),
    };
    let short: String = back.to.chars().take(8).collect();
    format!(
        "{by} broke the rule{at}: people may type the {} lines back to version {short}.{secrets}",
        back.lines.len()
    )
}
