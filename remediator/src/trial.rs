//! Runs the cases of runbooks: recorded answers in the place of a device.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::BoxFuture;

use crate::decide::{Decision, Evidence, checks, decide, values};
use crate::platform::Platforms;
use crate::proof::Proof;
use crate::runbook::cases::{Case, Outcome, Wanted};
use crate::runbook::{Runbook, Verdict};
use crate::session::{AccessError, Session};
use crate::snmp::Series;

/// A device that answers what was recorded.
struct Recorded {
    answers: HashMap<String, String>,
}

impl Session for Recorded {
    fn run<'a>(&'a mut self, command: &'a str) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(async move {
            let answer = self.answers.get(command).cloned();
            answer.ok_or_else(|| {
                AccessError::new(
                    "no_answer",
                    format!("the case has no answer to {command:?}"),
                )
            })
        })
    }

    fn configure<'a>(&'a mut self, _: &'a [String]) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(async { Ok(String::new()) })
    }

    fn act<'a>(&'a mut self, _: &'a [String]) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(async { Ok(String::new()) })
    }
}

/// A Prometheus that answers what was recorded.
struct Metrics<'a>(&'a BTreeMap<String, f64>);

impl Proof for Metrics<'_> {
    fn number<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Option<f64>, String>> {
        Box::pin(async move { Ok(self.0.get(query).copied()) })
    }

    fn snmp<'a>(
        &'a self,
        _: &'a str,
        series: &'a Series,
    ) -> BoxFuture<'a, Result<Option<f64>, String>> {
        Box::pin(async move { Ok(self.0.get(&series.to_string()).copied()) })
    }
}

/// Runs one case.
///
/// # Errors
/// What came instead of what was expected.
pub async fn run(runbook: &Runbook, case: &Case, platforms: &Platforms) -> Result<(), String> {
    let Some(platform) = platforms.get(&case.platform) else {
        return Err(format!("there is no platform {:?}", case.platform));
    };
    let values = values(runbook, "r1", case.port.as_deref());
    let answers = |map: &BTreeMap<String, String>| Recorded {
        answers: map.clone().into_iter().collect(),
    };
    let proof = Metrics(&case.metrics);
    let wanted = case.desired == Some(Wanted::Up);
    let mut session = answers(&case.answers);
    let decision = decide(
        runbook,
        platform,
        &values,
        wanted,
        &[],
        &mut session,
        &proof,
    )
    .await;
    let (outcome, plan) = match &decision {
        Decision::Act(plan) => (Outcome::Act, Some(plan)),
        Decision::Propose(plan, _) => (Outcome::Propose, Some(plan)),
        Decision::Hold(_) => (Outcome::Hold, None),
        Decision::Nothing(_) => (Outcome::Nothing, None),
        Decision::Unproven(_) => (Outcome::Unproven, None),
    };
    if outcome != case.expect.outcome {
        return Err(format!(
            "expected {:?}, came to {decision:?}",
            case.expect.outcome
        ));
    }
    if let Some(wanted) = &case.expect.sends {
        let sends = plan.map(|plan| plan.lines()).unwrap_or_default();
        if sends != *wanted {
            return Err(format!("expected to send {wanted:?}, would send {sends:?}"));
        }
    }
    if !case.after.is_empty() {
        let mut session = answers(&case.after);
        let mut evidence = Evidence::default();
        let verdict = checks(
            &runbook.postcheck,
            platform,
            &values,
            &mut session,
            &proof,
            &mut evidence,
        )
        .await;
        if verdict != Verdict::Holds {
            return Err(format!(
                "the post-check does not hold afterwards: {evidence:?}"
            ));
        }
    }
    Ok(())
}
