//! Changes that the device takes back by itself: kept once they have helped, waited for otherwise.
//!
//! Nothing is typed to undo them. Who has the device's lock holds it until the timer is over, since on some platforms the next commit of
//! anybody confirms what waits.

use crate::job::{Job, State};
use crate::journal::JournalError;
use crate::rails::Rail;
use crate::runbook::Verdict;
use crate::session::Account;

use super::Engine;
use super::bench::{Bench, timer};

impl Engine {
    /// It helped, and is confirmed where it waits for that. Whether it is so still, and what was seen.
    pub(super) async fn keep(&self, job: &Job, bench: &Bench, seen: String) -> (bool, String) {
        if job.armed_until == 0 {
            return (true, seen);
        }
        let timer = timer(job, bench);
        let why = loop {
            let confirmed = match self.session(&bench.device, Account::Repair).await {
                Ok(mut session) => session.confirm(&timer).await,
                Err(error) => Err(error),
            };
            match confirmed {
                Ok(_) => return (true, format!("{seen}, confirmed")),
                Err(error) if self.parts.clock.now() >= job.armed_until => break error,
                Err(_) => tokio::time::sleep(bench.setup.look).await,
            }
        };
        tracing::warn!(job = job.id, device = job.device, %why, "a change was not confirmed in time");
        // Its timer is over: what the device does now is what stays.
        let (verdict, now) = self.verify_there(bench).await;
        let told = format!("{now}; it could not be confirmed: {why}");
        (verdict == Verdict::Holds, told)
    }

    /// It did not help, and the device takes it back: people are called, with what it is now.
    pub(super) async fn taken_back(
        &self,
        job: &mut Job,
        bench: &Bench,
        seen: &str,
    ) -> Result<(), JournalError> {
        self.until_taken_back(job, bench).await;
        self.parts.metrics.suppressed(Rail::CommitConfirm);
        let (verdict, evidence) = self.look(bench, &bench.runbook.precheck).await;
        let now: Vec<String> = evidence.into_values().collect();
        let (now, people) = (now.join(", "), &bench.runbook.escalation);
        match verdict {
            Verdict::Holds => {
                let why =
                    format!("it did not help ({seen}), and the device took it back. {people}");
                self.step(job, State::RolledBack, why).await
            }
            _ => {
                let why = format!(
                    "it did not help ({seen}); the device should have taken it back, and it cannot be told that it did ({now}). {people}"
                );
                self.step(job, State::Failed, why).await
            }
        }
    }

    /// Waits until the device has taken the lines back; at once where it can be told to.
    pub(super) async fn until_taken_back(&self, job: &Job, bench: &Bench) {
        if let Ok(mut session) = self.session(&bench.device, Account::Repair).await
            && let Ok(Some(_)) = session.revert(&timer(job, bench)).await
        {
            return;
        }
        while self.parts.clock.now() < job.armed_until {
            tokio::time::sleep(bench.setup.look).await;
        }
    }
}
