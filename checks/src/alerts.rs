//! Alert rules, their runbooks and their tests: whether each has the others.

mod lives;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

pub use lives::life_problems;

/// A file of rules.
#[derive(Debug, Deserialize)]
pub struct RuleFile {
    /// Its groups.
    pub groups: Vec<Group>,
}

/// A group of rules.
#[derive(Debug, Deserialize)]
pub struct Group {
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// One rule, of either kind.
#[derive(Debug, Clone, Deserialize)]
pub struct Rule {
    /// Name of the alert, when it is one.
    pub alert: Option<String>,
    /// Name of the series, when it records one.
    pub record: Option<String>,
    /// The query.
    pub expr: String,
    /// What is added to the labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What is told to people.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// A file of promtool tests.
#[derive(Debug, Deserialize)]
pub struct TestFile {
    /// Its cases.
    pub tests: Vec<Case>,
}

/// One case: series, and what they lead to.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// Time between two samples.
    #[serde(default)]
    pub interval: String,
    /// The series.
    #[serde(default)]
    pub input_series: Vec<Series>,
    /// What is expected when, in the order of the file.
    #[serde(default)]
    pub alert_rule_test: Vec<Moment>,
}

/// One series of a case.
#[derive(Debug, Deserialize)]
pub struct Series {
    /// Its name and labels.
    pub series: String,
    /// Its samples, in promtool's short form.
    pub values: String,
}

/// What is expected of one alert at one moment.
#[derive(Debug, Deserialize)]
pub struct Moment {
    /// When.
    #[serde(default)]
    pub eval_time: String,
    /// Name of the alert.
    pub alertname: String,
    /// What fires.
    #[serde(default)]
    pub exp_alerts: Vec<Fired>,
}

/// An alert that is expected to fire.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fired {
    /// Its labels.
    pub exp_labels: BTreeMap<String, String>,
    /// What it tells people.
    pub exp_annotations: BTreeMap<String, String>,
}

/// Severities that the routes know.
const SEVERITIES: [&str; 2] = ["critical", "warning"];
/// Labels that are there to route and to group by.
const ROUTING: [&str; 4] = ["severity", "job", "role", "site"];
/// What every runbook tells.
const CHAPTERS: [&str; 4] = ["## What it means", "## Check", "## Fix", "## Escalate"];
/// Where runbooks lie, seen from the repository's folder.
const RUNBOOKS: &str = "alerts/runbooks";

/// Every rule under `folder`.
///
/// # Errors
/// When a file cannot be read or is no file of rules.
pub fn rules(folder: &Path) -> anyhow::Result<Vec<Rule>> {
    let files: Vec<RuleFile> = all(folder)?;
    Ok(files
        .into_iter()
        .flat_map(|file| file.groups)
        .flat_map(|group| group.rules)
        .collect())
}

/// Every test case under `folder`.
///
/// # Errors
/// When a file cannot be read or is no file of tests.
pub fn cases(folder: &Path) -> anyhow::Result<Vec<Case>> {
    let files: Vec<TestFile> = all(folder)?;
    Ok(files.into_iter().flat_map(|file| file.tests).collect())
}

fn all<T: serde::de::DeserializeOwned>(folder: &Path) -> anyhow::Result<Vec<T>> {
    let read = |path: &std::path::PathBuf| -> anyhow::Result<T> {
        let text = std::fs::read_to_string(path)?;
        serde_saphyr::from_str(&text).with_context(|| path.display().to_string())
    };
    crate::files(folder, ".yaml")?.iter().map(read).collect()
}

/// What is wrong with one alert, where `runbooks` are the names of the runbook files.
#[must_use]
pub fn rule_problems(rule: &Rule, runbooks: &BTreeSet<String>) -> Vec<String> {
    let Some(name) = &rule.alert else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for annotation in ["summary", "description", "runbook_url"] {
        if rule
            .annotations
            .get(annotation)
            .is_none_or(String::is_empty)
        {
            problems.push(format!("{name}: has no {annotation}"));
        }
    }
    if !rule
        .labels
        .get("severity")
        .is_some_and(|severity| SEVERITIES.contains(&severity.as_str()))
    {
        problems.push(format!("{name}: severity must be one of {SEVERITIES:?}"));
    }
    for label in missing_labels(rule) {
        let bare = format!("{{{{ $labels.{label} }}}}");
        let texts = ["summary", "description"].map(|key| rule.annotations.get(key));
        if texts.into_iter().flatten().any(|text| text.contains(&bare)) {
            problems.push(format!(
                "{name}: {label} may be missing; its text needs {{{{ with $labels.{label} }}}}"
            ));
        }
    }
    let expected = format!("{RUNBOOKS}/{name}.md");
    if rule
        .annotations
        .get("runbook_url")
        .is_some_and(|url| !url.ends_with(&expected))
    {
        problems.push(format!("{name}: runbook_url must end with {expected}"));
    }
    if !runbooks.contains(name) {
        problems.push(format!("{name}: {expected} is missing"));
    }
    problems
}

/// Labels that an alert of the rule may lack: nobody has to describe an interface, and what is absent has no address.
fn missing_labels(rule: &Rule) -> impl Iterator<Item = &'static str> {
    let absent = rule.expr.contains("absent(");
    ["ifAlias"].into_iter().chain(absent.then_some("instance"))
}

/// Longest summary, in characters: what a phone shows of a message.
const SUMMARY: usize = 120;

/// Expected texts that nobody would say: what a missing name leaves behind, a placeholder that was not filled, a summary too long for a phone,
/// a description that is no sentence.
#[must_use]
pub fn sentence_problems(cases: &[Case]) -> BTreeSet<String> {
    const LEFT: [&str; 12] = [
        "  ", "()", "( ", " )", " ,", " .", " :", "{{", "}}", "%!", "no value", "NaN",
    ];
    let moments = cases.iter().flat_map(|case| &case.alert_rule_test);
    let mut problems = BTreeSet::new();
    for moment in moments {
        for fired in &moment.exp_alerts {
            for key in ["summary", "description"] {
                let Some(text) = fired.exp_annotations.get(key) else {
                    continue;
                };
                let left = LEFT.iter().find(|left| text.trim_end().contains(**left));
                let wrong = match (key, left) {
                    (_, Some(left)) => format!("has {left:?}"),
                    ("summary", _) if text.chars().count() > SUMMARY => {
                        format!("is longer than {SUMMARY} characters")
                    }
                    ("summary", _) if text.ends_with('.') => "ends with a full stop".to_owned(),
                    ("description", _) if !text.trim_end().ends_with('.') => {
                        "is no sentence".to_owned()
                    }
                    _ => continue,
                };
                problems.insert(format!("{}: its {key} {wrong}: {text}", moment.alertname));
            }
        }
    }
    problems
}

/// What is wrong with a runbook, where `alerts` are the names of all alerts.
#[must_use]
pub fn runbook_problems(name: &str, text: &str, alerts: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    if !alerts.contains(name) {
        problems.push(format!("{RUNBOOKS}/{name}.md: there is no such alert"));
    }
    for chapter in CHAPTERS {
        if !text.lines().any(|line| line == chapter) {
            problems.push(format!(
                "{RUNBOOKS}/{name}.md: the chapter `{chapter}` is missing"
            ));
        }
    }
    problems
}

/// Alerts that no case shows silent, then firing, and then silent again.
#[must_use]
pub fn coverage_problems(alerts: &BTreeSet<String>, cases: &[Case]) -> Vec<String> {
    let mut problems = Vec::new();
    for alert in alerts {
        let shown = |pattern: [bool; 2]| {
            cases.iter().any(|case| {
                let moments: Vec<bool> = case
                    .alert_rule_test
                    .iter()
                    .filter(|moment| moment.alertname == *alert)
                    .map(|moment| !moment.exp_alerts.is_empty())
                    .collect();
                moments.windows(2).any(|pair| pair == pattern)
            })
        };
        if !shown([false, true]) {
            problems.push(format!("{alert}: no test shows it silent and then firing"));
        }
        if !shown([true, false]) {
            problems.push(format!(
                "{alert}: no test shows it firing and then silent again"
            ));
        }
    }
    problems
}

/// Expected alerts whose text leaves out a label, such as the interface or the neighbour: whoever is woken reads the text.
#[must_use]
pub fn text_problems(cases: &[Case]) -> BTreeSet<String> {
    let moments = cases.iter().flat_map(|case| &case.alert_rule_test);
    let mut problems = BTreeSet::new();
    for moment in moments {
        for fired in &moment.exp_alerts {
            let text = |key| fired.exp_annotations.get(key).map_or("", String::as_str);
            let text = format!("{} {}", text("summary"), text("description"));
            for (label, value) in &fired.exp_labels {
                // Who watches a device is not what is wrong with it.
                let watcher = label == "instance" && fired.exp_labels.contains_key("device");
                let routing = ROUTING.contains(&label.as_str()) || watcher;
                if !routing && !text.contains(value.as_str()) {
                    problems.insert(format!(
                        "{}: its text does not name {label}",
                        moment.alertname
                    ));
                }
            }
        }
    }
    problems
}

/// The names of the alerts among `rules`.
#[must_use]
pub fn names(rules: &[Rule]) -> BTreeSet<String> {
    rules.iter().filter_map(|rule| rule.alert.clone()).collect()
}
