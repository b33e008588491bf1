//! What is in force: levels, bounds, runbooks; swapped whole when the configuration changes.

use std::time::Duration;

use inventory::Device;
use schemars::JsonSchema;
use serde::Serialize;

use crate::platform::Platforms;
use crate::rails::Bounds;
use crate::runbook::{Level, Runbooks};

/// A level for the jobs that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LevelRule {
    /// The runbook; every one when it is `None`.
    pub runbook: Option<String>,
    /// A group that the device is in; every device when it is `None`.
    pub group: Option<String>,
    /// The level.
    pub level: Level,
}

/// What the engine goes by.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Levels; the last that names a job holds, and without any it observes.
    pub levels: Vec<LevelRule>,
    /// Successes that a runbook needs before `auto` acts without an approval.
    pub successes: u32,
    /// How much is too much.
    pub bounds: Bounds,
    /// How long an approval is waited for.
    pub approval: Duration,
    /// A change of a port by a person counts when it is not longer ago than this.
    pub person: Duration,
    /// Between two looks whether it helped.
    pub look: Duration,
    /// How long SNMP may take to say, in Prometheus, that it helped; zero: it is not asked.
    pub snmp_proof: Duration,
    /// Whether devices are asked by SNMP before a repair.
    pub snmp: bool,
    /// Whether a device that can is made to take a change back by itself unless it is confirmed.
    pub commit_confirm: bool,
    /// Users that are this service on the devices: their changes are no person's.
    pub own_users: Vec<String>,
    /// Commands and answers of the platforms.
    pub platforms: Platforms,
    /// The runbooks.
    pub runbooks: Runbooks,
}

impl Setup {
    /// The level for a runbook on a device.
    #[must_use]
    pub fn level(&self, runbook: &str, device: &Device) -> Level {
        let names = |rule: &&LevelRule| {
            rule.runbook.as_deref().is_none_or(|name| name == runbook)
                && rule
                    .group
                    .as_deref()
                    .is_none_or(|group| device.groups.iter().any(|own| &**own == group))
        };
        self.levels
            .iter()
            .rev()
            .find(names)
            .map_or(Level::Observe, |rule| rule.level)
    }
}
