//! Cases of a runbook: recorded answers, and what has to be decided with them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a case has to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It would act (as far as its level lets it).
    Act,
    /// A person did it: it proposes.
    Propose,
    /// Somebody said hands off.
    Hold,
    /// There is nothing to do.
    Nothing,
    /// What has to be true before cannot be told.
    Unproven,
}

/// Recorded answers with the decision that they have to lead to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The platform of the device.
    pub platform: String,
    /// The port, neighbour or unit that is acted on.
    #[serde(default)]
    pub port: Option<String>,
    /// Whether the inventory wants the port up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Wanted>,
    /// What the device answers, by command.
    pub answers: BTreeMap<String, String>,
    /// What it answers after the steps.
    #[serde(default)]
    pub after: BTreeMap<String, String>,
    /// What Prometheus answers, by query with its values filled in, and what SNMP does, by `SNMP NAME{LABEL="VALUE"}`.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// What this has to lead to.
    pub expect: Expect,
}

/// What the inventory wants a port to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Up.
    Up,
}

/// What a case has to lead to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The decision.
    pub outcome: Outcome,
    /// The lines that would be typed, all of them in order.
    #[serde(default)]
    pub sends: Option<Vec<String>>,
}
