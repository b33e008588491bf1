//! Runbooks: what is done about which alert, as files.
//!
//! A runbook is data. It names what it is for (`match`), what it acts on (`target`), what has to be true before (`precheck`), what shows
//! that a person did it (`person`) or that nobody may touch it (`hold`), what is done (`steps`, typed per platform) and what has to be
//! true afterwards (`postcheck`). Its `cases` are recorded answers with the decision that they have to lead to; `sotp-remediator test`
//! runs them. Nothing of an alert's text reaches a device: the device comes from the inventory, the port has to be the device's own.

pub mod cases;
mod check;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::{ConfigError, yaml};

pub use check::{Check, Verdict, holds};

use crate::platform::{Platform, Platforms, Way};
use crate::text;
use cases::Case;

/// Files of the built-in runbooks.
const BUILT_IN: [(&str, &str); 6] = [
    (
        "bgp-soft-clear.yaml",
        include_str!("../runbooks/bgp-soft-clear.yaml"),
    ),
    (
        "config-drift.yaml",
        include_str!("../runbooks/config-drift.yaml"),
    ),
    (
        "diagnostics.yaml",
        include_str!("../runbooks/diagnostics.yaml"),
    ),
    (
        "err-disabled.yaml",
        include_str!("../runbooks/err-disabled.yaml"),
    ),
    ("port-up.yaml", include_str!("../runbooks/port-up.yaml")),
    (
        "service-restart.yaml",
        include_str!("../runbooks/service-restart.yaml"),
    ),
];

/// How far a runbook may go.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Looks, and says what it would do.
    #[default]
    Observe,
    /// Makes a plan that people carry out themselves.
    Propose,
    /// Acts when somebody approves its plan.
    Approve,
    /// Acts.
    Auto,
}

impl Level {
    /// Every level, the most careful first.
    pub const ALL: [Self; 4] = [Self::Observe, Self::Propose, Self::Approve, Self::Auto];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Propose => "propose",
            Self::Approve => "approve",
            Self::Auto => "auto",
        }
    }
}

/// A runbook as its file has it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "SOTP runbook")]
pub struct Runbook {
    /// Its name, the `runbook` label of every series.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,31}$"))]
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What it does and when, for people.
    #[serde(default)]
    pub about: String,
    /// Labels that an alert has to have, with their values.
    #[serde(rename = "match")]
    pub matches: BTreeMap<String, String>,
    /// Labels of the alert that name what is acted on.
    pub target: Target,
    /// Whether doing it twice does no more than doing it once: then it is decided anew, once, after a crash in the middle.
    #[serde(default)]
    pub idempotent: bool,
    /// What has to be true before, or there is nothing to do. One that only looks needs none.
    #[serde(default)]
    pub precheck: Vec<Check>,
    /// What SNMP has to say besides, where `snmp` of the configuration names an sotp-snmp and the inventory says how the device is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub precheck_snmp: Vec<Check>,
    /// Each shows that a person did it: then it is proposed only.
    #[serde(default)]
    pub person: Vec<Check>,
    /// Whether `desired: up` in the inventory is stronger than a person.
    #[serde(default)]
    pub desired_up_overrules_person: bool,
    /// Each shows that nobody may touch it.
    #[serde(default)]
    pub hold: Vec<Check>,
    /// Steps of the platform, in order.
    #[serde(default)]
    pub steps: Vec<String>,
    /// In the place of steps: what people are proposed, whatever the level. Nothing of it is ever typed from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposes: Option<Proposal>,
    /// What has to be true afterwards. One that only looks needs nothing.
    #[serde(default)]
    pub postcheck: Vec<Check>,
    /// What Prometheus has to say besides, where `snmp_proof_within` of the configuration asks for it: `{since}` in its queries is when the
    /// lines were typed, in seconds since the epoch, so that no older sample counts.
    #[serde(default)]
    pub postcheck_snmp: Vec<Check>,
    /// How long it may take to become true, `1s` to `10m`.
    #[serde(default = "ten_seconds")]
    pub verify_within: String,
    /// Steps that take it back when it did not become true.
    #[serde(default)]
    pub rollback: Vec<String>,
    /// What people are told when it does not help.
    pub escalation: String,
    /// Recorded answers with the decision that they have to lead to; one at least, but for a runbook that proposes only.
    #[serde(default)]
    pub cases: Vec<Case>,
}

fn ten_seconds() -> String {
    "10s".to_owned()
}

/// What people are proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proposal {
    /// The lines that lead from the configuration as it is back to the last one that did not break the rule, by sotp-ssh-config.
    Restore,
}

/// Labels that name what is acted on: the device, and at most one thing of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The label with the name of the device, as the inventory has it.
    pub device: String,
    /// The label with the name of the port, as the device has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The label with the address of the BGP neighbour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbor: Option<String>,
    /// The label with the name of the unit of systemd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The label with the name of the rule that a configuration breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

impl Target {
    /// What kind of thing it is, as a place of commands, and the label that names it.
    #[must_use]
    pub fn thing(&self) -> Option<(&'static str, &str)> {
        let things = [
            ("port", &self.port),
            ("neighbor", &self.neighbor),
            ("unit", &self.unit),
            ("rule", &self.rule),
        ];
        let mut there = things
            .into_iter()
            .filter_map(|(kind, label)| Some((kind, label.as_deref()?)));
        there.next()
    }
}

/// Whether `value` can be a thing of that kind. That the device has it, its own answer has to say.
#[must_use]
pub fn can_be(kind: &str, value: &str) -> bool {
    match kind {
        "neighbor" => value.parse::<std::net::IpAddr>().is_ok(),
        "unit" => text::fit(value).is_ok() && value.ends_with(".service") && !value.contains('/'),
        _ => text::fit(value).is_ok(),
    }
}

impl Runbook {
    /// The runbook in `text`, checked against the platforms.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str, origin: &Path, platforms: &Platforms) -> Result<Self, ConfigError> {
        let runbook: Self = yaml::parse(text, origin)?;
        let wrong = |path: &str, message: String| ConfigError::at(text, origin, path, message);
        let name = |text: &str| {
            text.len() <= 32
                && text.starts_with(|c: char| c.is_ascii_lowercase())
                && text
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        if !name(&runbook.name) {
            return Err(wrong(
                "name",
                "expected 1 to 32 lower-case letters, digits and -, the first a letter".to_owned(),
            ));
        }
        let things = [
            &runbook.target.port,
            &runbook.target.neighbor,
            &runbook.target.unit,
            &runbook.target.rule,
        ];
        if things.into_iter().flatten().count() > 1 {
            let expected = "expected one of port, neighbor, unit and rule at most";
            return Err(wrong("target", expected.to_owned()));
        }
        let proposes = runbook.proposes.is_some();
        if proposes && !(runbook.steps.is_empty() && runbook.rollback.is_empty()) {
            let expected = "expected no steps beside proposes: nothing of it is typed";
            return Err(wrong("steps", expected.to_owned()));
        }
        let acts = platforms
            .iter()
            .any(|platform| !runbook.only_looks(platform));
        for (path, empty, what) in [
            ("match", runbook.matches.is_empty(), "a label"),
            ("precheck", acts && runbook.precheck.is_empty(), "a check"),
            ("steps", !proposes && runbook.steps.is_empty(), "a step"),
            ("postcheck", acts && runbook.postcheck.is_empty(), "a check"),
            ("cases", !proposes && runbook.cases.is_empty(), "a case"),
        ] {
            if empty {
                return Err(wrong(path, format!("expected {what} at least")));
            }
        }
        within(&runbook.verify_within).map_err(|message| wrong("verify_within", message))?;
        for (list, checks) in [
            ("precheck", &runbook.precheck),
            ("precheck_snmp", &runbook.precheck_snmp),
            ("person", &runbook.person),
            ("hold", &runbook.hold),
            ("postcheck", &runbook.postcheck),
            ("postcheck_snmp", &runbook.postcheck_snmp),
        ] {
            for (index, check) in checks.iter().enumerate() {
                let path = format!("{list}[{index}]");
                check.sound().map_err(|message| wrong(&path, message))?;
                if let Some(read) = &check.read
                    && !platforms
                        .iter()
                        .any(|platform| platform.reads.contains_key(read))
                {
                    return Err(wrong(
                        &format!("{path}.read"),
                        format!("no platform can read {read:?}"),
                    ));
                }
            }
        }
        for (list, steps) in [("steps", &runbook.steps), ("rollback", &runbook.rollback)] {
            for (index, step) in steps.iter().enumerate() {
                if !platforms
                    .iter()
                    .any(|platform| platform.steps.contains_key(step))
                {
                    return Err(wrong(
                        &format!("{list}[{index}]"),
                        format!("no platform has the step {step:?}"),
                    ));
                }
            }
        }
        if !platforms.iter().any(|platform| runbook.suits(platform)) {
            let message = "no platform has all of its steps and answers".to_owned();
            return Err(wrong("steps", message));
        }
        Ok(runbook)
    }

    /// Whether a platform knows everything that the runbook asks and does.
    #[must_use]
    pub fn suits(&self, platform: &Platform) -> bool {
        let lists = [&self.precheck, &self.person, &self.hold, &self.postcheck];
        let mut reads = lists
            .into_iter()
            .flatten()
            .filter_map(|check| check.read.as_ref());
        let mut steps = self.steps.iter().chain(&self.rollback);
        reads.all(|read| platform.reads.contains_key(read))
            && steps.all(|step| platform.steps.contains_key(step))
    }

    /// The runbook with what SNMP has to say among what has to be true before.
    #[must_use]
    pub fn with_snmp(mut self) -> Self {
        self.precheck.append(&mut self.precheck_snmp);
        self
    }

    /// Whether nothing that it does on a platform changes anything.
    #[must_use]
    pub fn only_looks(&self, platform: &Platform) -> bool {
        let looks = |step| {
            let step = platform.steps.get(step);
            step.is_none_or(|step| step.lines().0 == Way::Look)
        };
        self.steps.iter().chain(&self.rollback).all(looks)
    }

    /// How long the post-check may take to become true.
    #[must_use]
    pub fn verify_within(&self) -> Duration {
        within(&self.verify_within).unwrap_or(Duration::from_secs(10))
    }

    /// Whether the runbook is for an alert with these labels.
    #[must_use]
    pub fn is_for(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matches
            .iter()
            .all(|(name, value)| labels.get(name) == Some(value))
    }
}

fn within(text: &str) -> Result<Duration, String> {
    toolkit::duration(text)
        .ok()
        .filter(|time| (Duration::from_secs(1)..=Duration::from_secs(600)).contains(time))
        .ok_or_else(|| format!("expected a duration from 1s to 10m, found {text:?}"))
}

/// The runbooks that are in force, by name.
#[derive(Debug, Clone, Default)]
pub struct Runbooks(BTreeMap<String, Arc<Runbook>>);

impl Runbooks {
    /// The built-in ones.
    ///
    /// # Errors
    /// A built-in file is wrong; a test holds that none is.
    pub fn built_in(platforms: &Platforms) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for (file, text) in BUILT_IN {
            all.add(Runbook::parse(text, Path::new(file), platforms)?);
        }
        Ok(all)
    }

    /// These and the `*.yaml` files of `folder`, which win over others of the same name.
    ///
    /// # Errors
    /// A file cannot be read or is wrong.
    pub fn with_folder(
        mut self,
        folder: &Path,
        platforms: &Platforms,
    ) -> Result<Self, ConfigError> {
        for path in files(folder)? {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| ConfigError::new(&path, format!("cannot be read: {error}")))?;
            self.add(Runbook::parse(&text, &path, platforms)?);
        }
        Ok(self)
    }

    fn add(&mut self, runbook: Runbook) {
        self.0.insert(runbook.name.clone(), Arc::new(runbook));
    }

    /// The runbook of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Runbook>> {
        self.0.get(name)
    }

    /// Each of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Runbook>> {
        self.0.values()
    }
}

/// The YAML files of a folder, by name.
///
/// # Errors
/// The folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>, ConfigError> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| ConfigError::new(folder, format!("cannot be read: {error}")))?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "yaml" || e == "yml"))
        .collect();
    paths.sort();
    Ok(paths)
}

/// The JSON Schema of a runbook, as indented JSON with a final line feed.
#[must_use]
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(Runbook);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
