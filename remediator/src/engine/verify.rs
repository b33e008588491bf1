//! Whether it helped, and what is done when it did not.

use tokio::time::Instant;

use crate::decide::{self, Evidence, Plan};
use crate::job::{Job, State};
use crate::journal::JournalError;
use crate::runbook::{Check, Verdict};
use crate::session::Account;

use super::Engine;
use super::bench::Bench;

impl Engine {
    /// Looks until it helped or the time is over; answers what was seen last. Where it is configured, SNMP has to say so too, with a sample
    /// from after `typed_at` (milliseconds since the epoch).
    pub(super) async fn verify(&self, bench: &Bench, typed_at: i64) -> (Verdict, String) {
        let (verdict, seen) = self.verify_there(bench).await;
        let (within, checks) = (bench.setup.snmp_proof, &bench.runbook.postcheck_snmp);
        if verdict != Verdict::Holds || within.is_zero() || checks.is_empty() {
            return (verdict, seen);
        }
        let mut values = bench.values.clone();
        let since = format!("{}.{:03}", typed_at / 1_000, typed_at % 1_000);
        values.insert("since".to_owned(), since);
        let deadline = Instant::now() + within;
        loop {
            let mut evidence = Evidence::new();
            let verdict = decide::numbers(checks, &values, &*self.parts.proof, &mut evidence).await;
            let next = Instant::now() + bench.setup.look;
            if verdict == Verdict::Holds {
                return (verdict, format!("{seen}, SNMP says so too"));
            }
            if next >= deadline {
                let said: Vec<String> = evidence.into_values().collect();
                return (verdict, format!("{seen}, SNMP: {}", said.join(", ")));
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// One look at the device: what these checks come to, and what it said; a device that cannot be asked is unknown.
    pub(super) async fn look(&self, bench: &Bench, checks: &[Check]) -> (Verdict, Evidence) {
        let mut evidence = Evidence::new();
        let verdict = match self.session(&bench.device, Account::Repair).await {
            Ok(mut session) => {
                decide::checks(
                    checks,
                    &bench.platform,
                    &bench.values,
                    &mut *session,
                    &*self.parts.proof,
                    &mut evidence,
                )
                .await
            }
            Err(error) => {
                evidence.insert("device".to_owned(), format!("no answer: {error}"));
                Verdict::Unknown
            }
        };
        (verdict, evidence)
    }

    /// Looks at the device until it says that it helped, or the time is over.
    pub(super) async fn verify_there(&self, bench: &Bench) -> (Verdict, String) {
        let deadline = Instant::now() + bench.runbook.verify_within();
        loop {
            let (verdict, evidence) = self.look(bench, &bench.runbook.postcheck).await;
            let seen: Vec<String> = evidence
                .into_iter()
                .map(|(question, said)| format!("{question}: {said}"))
                .collect();
            let next = Instant::now() + bench.setup.look;
            if verdict == Verdict::Holds || next >= deadline {
                return (verdict, seen.join(", "));
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// It did not help: takes it back where the runbook says how, and calls people. The caller has the device's lock.
    pub(super) async fn take_back(
        &self,
        job: &mut Job,
        bench: &Bench,
        plan: &Plan,
        seen: &str,
    ) -> Result<(), JournalError> {
        let people = &bench.runbook.escalation;
        if plan.rollback.is_empty() {
            return self
                .step(
                    job,
                    State::Escalated,
                    format!("it did not help ({seen}). {people}"),
                )
                .await;
        }
        let back = Plan {
            steps: plan.rollback.clone(),
            timer: None,
            ..plan.clone()
        };
        let typed = self.type_lines(job, bench, &back).await;
        match (typed.done, typed.output) {
            (Ok(()), output) => {
                job.output = self.kept(&bench.device, &format!("{}\n{output}", job.output));
                let why = format!("it did not help ({seen}) and was taken back. {people}");
                self.step(job, State::RolledBack, why).await
            }
            (Err(error), _) => {
                let why = format!(
                    "it did not help ({seen}) and could not be taken back: {error}. {people}"
                );
                self.step(job, State::Failed, why).await
            }
        }
    }
}
