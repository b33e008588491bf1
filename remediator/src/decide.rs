//! What a runbook comes to for one target: the checks, who did it, and the plan. Nothing here changes a device.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ssh::{Drivers, Timer};

use crate::platform::{Fields, Platform, Way};
use crate::ports;
use crate::proof::Proof;
use crate::runbook::{Check, Runbook, Verdict, holds};
use crate::session::Session;
use crate::snmp::Series;
use crate::text;

/// What was seen, by question; it belongs to the hash of a plan.
pub type Evidence = BTreeMap<String, String>;

/// What would be typed, and on what grounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The runbook.
    pub runbook: String,
    /// The device.
    pub device: String,
    /// The port, neighbour or unit.
    pub port: Option<String>,
    /// Step by step the lines.
    pub steps: Vec<PlannedStep>,
    /// The lines that would take it back.
    pub rollback: Vec<PlannedStep>,
    /// What was seen before.
    pub evidence: Evidence,
    /// How the device is made to take the lines back by itself, where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<PlannedTimer>,
}

/// A timer on the device that takes the lines back unless they are confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedTimer {
    /// How long the device waits, in minutes.
    pub minutes: u32,
    /// What is typed in front of the lines.
    pub before: Vec<String>,
    /// What is typed behind them.
    pub after: Vec<String>,
    /// What is typed once they have helped.
    pub confirm: Vec<String>,
}

/// A step with its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// Its name.
    pub step: String,
    /// How its lines are typed.
    #[serde(default, skip_serializing_if = "Way::is_configure")]
    pub way: Way,
    /// What is typed.
    pub lines: Vec<String>,
}

impl Plan {
    /// All lines that would be typed.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.steps
            .iter()
            .flat_map(|step| step.lines.clone())
            .collect()
    }

    /// Its steps, those that follow each other in configuration mode as one: a timer is for one change.
    #[must_use]
    pub fn joined(&self) -> Vec<PlannedStep> {
        let mut joined: Vec<PlannedStep> = Vec::new();
        for step in &self.steps {
            match joined.last_mut() {
                Some(last) if last.way == Way::Configure && step.way == Way::Configure => {
                    last.step.push_str(", ");
                    last.step.push_str(&step.step);
                    last.lines.extend_from_slice(&step.lines);
                }
                _ => joined.push(step.clone()),
            }
        }
        joined
    }

    /// Gives it a timer where the platform knows one and there is one change for it to take back.
    pub fn arm(&mut self, platform: &Platform, timer: &Timer) {
        let joined = self.joined();
        let mut changes = joined.iter().filter(|step| step.way == Way::Configure);
        if changes.next().is_none() || changes.next().is_some() {
            return;
        }
        let driver = Drivers::built_in().get(&platform.platform);
        let driver = driver.filter(|_| platform.commit_confirm);
        let lines = driver.and_then(|driver| driver.timer_lines(timer));
        self.timer = lines.map(|[before, after, confirm]| PlannedTimer {
            minutes: timer.minutes(),
            before,
            after,
            confirm,
        });
    }

    /// Whether nothing of it changes anything.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        let mut steps = self.steps.iter().chain(&self.rollback);
        steps.all(|step| step.way == Way::Look)
    }

    /// SHA-256 of what is done to what on which grounds, in hexadecimal: what an approval is for.
    #[must_use]
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// What a runbook comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Act, as far as the level goes.
    Act(Plan),
    /// A person did it: propose. With what shows it.
    Propose(Plan, String),
    /// Somebody said hands off. With what shows it.
    Hold(String),
    /// What would be mended is not so.
    Nothing(String),
    /// It cannot be told what is so.
    Unproven(String),
}

/// The values that commands and queries may use: names that the inventory and the device vouch for.
#[must_use]
pub fn values(runbook: &Runbook, device: &str, thing: Option<&str>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::from([("device".to_owned(), device.to_owned())]);
    if let (Some((kind, _)), Some(thing)) = (runbook.target.thing(), thing) {
        values.insert(kind.to_owned(), thing.to_owned());
    }
    values
}

/// Looks, and decides. `seen` are changes by people that others reported, each as a sentence.
pub async fn decide(
    runbook: &Runbook,
    platform: &Platform,
    values: &BTreeMap<String, String>,
    wanted_up: bool,
    seen: &[String],
    session: &mut dyn Session,
    proof: &dyn Proof,
) -> Decision {
    let mut evidence = Evidence::new();
    match checks(
        &runbook.precheck,
        platform,
        values,
        session,
        proof,
        &mut evidence,
    )
    .await
    {
        Verdict::Holds => {}
        Verdict::Fails => return Decision::Nothing(told(&evidence)),
        Verdict::Unknown => return Decision::Unproven(told(&evidence)),
    }
    // Whatever says hands off counts, and so does not knowing it.
    for check in &runbook.hold {
        match one(check, platform, values, session, proof, &mut evidence).await {
            Verdict::Holds => return Decision::Hold(told(&evidence)),
            Verdict::Fails => {}
            Verdict::Unknown => return Decision::Unproven(told(&evidence)),
        }
    }
    let mut person = None;
    for check in &runbook.person {
        match one(check, platform, values, session, proof, &mut evidence).await {
            Verdict::Holds => {
                person =
                    Some("the device's configuration says that it was shut by somebody".to_owned());
            }
            Verdict::Fails => {}
            Verdict::Unknown => return Decision::Unproven(told(&evidence)),
        }
    }
    let person = person.or_else(|| seen.first().cloned());
    let steps = |names: &[String]| planned(names, platform, values);
    let (done, rollback) = match (steps(&runbook.steps), steps(&runbook.rollback)) {
        (Ok(done), Ok(rollback)) => (done, rollback),
        (Err(why), _) | (_, Err(why)) => return Decision::Unproven(why),
    };
    let plan = Plan {
        runbook: runbook.name.clone(),
        device: values.get("device").cloned().unwrap_or_default(),
        port: thing_of(values),
        steps: done,
        rollback,
        evidence,
        timer: None,
    };
    match person {
        Some(why) if !(wanted_up && runbook.desired_up_overrules_person) => {
            Decision::Propose(plan, why)
        }
        _ => Decision::Act(plan),
    }
}

/// The timer that a change of the runbook would have on a platform, by the proof of the runbook alone.
#[must_use]
pub fn timed(
    runbook: &Runbook,
    platform: &Platform,
    values: &BTreeMap<String, String>,
) -> Option<PlannedTimer> {
    let mut plan = Plan {
        runbook: runbook.name.clone(),
        device: String::new(),
        port: None,
        steps: planned(&runbook.steps, platform, values).ok()?,
        rollback: Vec::new(),
        evidence: Evidence::new(),
        timer: None,
    };
    plan.arm(platform, &timer(runbook.verify_within(), "JOB"));
    plan.timer
}

/// A timer for a change whose proof may take so long: that, and a minute more.
#[must_use]
pub fn timer(proof: Duration, name: &str) -> Timer {
    let minutes = proof.as_secs().div_ceil(60) + 1;
    Timer::new(u32::try_from(minutes).unwrap_or(u32::MAX), name)
}

/// What is acted on beside the device itself.
fn thing_of(values: &BTreeMap<String, String>) -> Option<String> {
    let mut things = values.iter().filter(|(kind, _)| *kind != "device");
    things.next().map(|(_, thing)| thing.clone())
}

/// The lines of steps for these values.
pub(crate) fn planned(
    names: &[String],
    platform: &Platform,
    values: &BTreeMap<String, String>,
) -> Result<Vec<PlannedStep>, String> {
    let mut steps = Vec::new();
    for name in names {
        let step = platform
            .steps
            .get(name)
            .ok_or_else(|| format!("{} has no step {name:?}", platform.title))?;
        let (way, lines) = step.lines();
        let lines = lines.iter().map(|line| text::fill_known(line, values));
        let lines = lines
            .collect::<Result<_, _>>()
            .map_err(|(name, unfit)| format!("{name}: {unfit}"))?;
        steps.push(PlannedStep {
            step: name.clone(),
            way,
            lines,
        });
    }
    Ok(steps)
}

/// What all of `checks` come to together.
pub async fn checks(
    checks: &[Check],
    platform: &Platform,
    values: &BTreeMap<String, String>,
    session: &mut dyn Session,
    proof: &dyn Proof,
    evidence: &mut Evidence,
) -> Verdict {
    let mut verdicts = Vec::new();
    for check in checks {
        verdicts.push(one(check, platform, values, session, proof, evidence).await);
    }
    holds(&verdicts)
}

async fn one(
    check: &Check,
    platform: &Platform,
    values: &BTreeMap<String, String>,
    session: &mut dyn Session,
    proof: &dyn Proof,
    evidence: &mut Evidence,
) -> Verdict {
    if let Some(name) = &check.snmp {
        return asked(name, check, values, proof, evidence).await;
    }
    let Some(name) = &check.read else {
        return number(check, values, proof, evidence).await;
    };
    let fields = read(name, platform, values, session).await;
    let found = fields.map(|fields| (check.fields(&fields), told(&fields)));
    noted(name.clone(), found, evidence)
}

/// What checks that ask Prometheus come to together.
pub async fn numbers(
    checks: &[Check],
    values: &BTreeMap<String, String>,
    proof: &dyn Proof,
    evidence: &mut Evidence,
) -> Verdict {
    let mut verdicts = Vec::new();
    for check in checks {
        verdicts.push(number(check, values, proof, evidence).await);
    }
    holds(&verdicts)
}

/// What the device's agent says now.
async fn asked(
    name: &str,
    check: &Check,
    values: &BTreeMap<String, String>,
    proof: &dyn Proof,
    evidence: &mut Evidence,
) -> Verdict {
    let mut series = Series {
        name: name.to_owned(),
        labels: BTreeMap::new(),
        module: check.module.clone().unwrap_or_else(|| "if_mib".to_owned()),
    };
    for (label, wanted) in &check.labels {
        match query_of(wanted, values) {
            Ok(wanted) => series.labels.insert(label.clone(), wanted),
            Err((place, unfit)) => {
                return noted(
                    series.to_string(),
                    Err(format!("{place}: {unfit}")),
                    evidence,
                );
            }
        };
    }
    let device = values.get("device").map_or("", String::as_str);
    let found = proof.snmp(device, &series).await.map(|number| {
        let said = number.map_or_else(|| "no value".to_owned(), |n| n.to_string());
        (check.number(number), said)
    });
    noted(series.to_string(), found, evidence)
}

async fn number(
    check: &Check,
    values: &BTreeMap<String, String>,
    proof: &dyn Proof,
    evidence: &mut Evidence,
) -> Verdict {
    let Some(query) = &check.promql else {
        return Verdict::Unknown;
    };
    let query = match query_of(query, values) {
        Ok(query) => query,
        Err((name, unfit)) => {
            return noted(query.clone(), Err(format!("{name}: {unfit}")), evidence);
        }
    };
    let found = proof.number(&query).await.map(|number| {
        let said = number.map_or_else(|| "no value".to_owned(), |n| n.to_string());
        (check.number(number), said)
    });
    noted(query, found, evidence)
}

fn noted(
    question: String,
    found: Result<(Verdict, String), String>,
    evidence: &mut Evidence,
) -> Verdict {
    match found {
        Ok((verdict, said)) => {
            evidence.insert(question, said);
            verdict
        }
        Err(why) => {
            evidence.insert(question, format!("no answer: {why}"));
            Verdict::Unknown
        }
    }
}

/// The query with `{device}` and `{port}` filled in; other braces are PromQL's own.
fn query_of(
    query: &str,
    values: &BTreeMap<String, String>,
) -> Result<String, (String, text::Unfit)> {
    let mut filled = query.to_owned();
    for (name, value) in values {
        text::fit(value).map_err(|unfit| (name.clone(), unfit))?;
        filled = filled.replace(&format!("{{{name}}}"), value);
    }
    Ok(filled)
}

async fn read(
    name: &str,
    platform: &Platform,
    values: &BTreeMap<String, String>,
    session: &mut dyn Session,
) -> Result<Fields, String> {
    let read = platform
        .reads
        .get(name)
        .ok_or_else(|| format!("{} cannot read {name:?}", platform.title))?;
    let command = read
        .command(values)
        .map_err(|(name, unfit)| format!("{name}: {unfit}"))?;
    let answer = session
        .run(&command)
        .await
        .map_err(|error| error.to_string())?;
    let fields = read
        .understand(&answer, values)?
        .ok_or("the device has no such thing")?;
    // The name is the device's own spelling, where its answer repeats it.
    match (fields.get("name"), thing_of(values)) {
        (Some(own), Some(port)) if !ports::same(own, &port) => {
            Err(format!("the device calls it {own:?}"))
        }
        _ => Ok(fields),
    }
}

fn told(fields: &BTreeMap<String, String>) -> String {
    if fields.is_empty() {
        return "nothing of it".to_owned();
    }
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    pairs.join(", ")
}
