//! Waivers: a device may break a rule until a day, and somebody answers for that.

use inventory::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scope::Scope;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWaiver {
    rule: String,
    #[serde(flatten)]
    scope: Scope,
    owner: String,
    /// The last day, in UTC.
    until: String,
    reason: String,
}

/// A device may break a rule until a day.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Waiver {
    #[serde(skip)]
    pub(crate) rule: String,
    #[serde(skip)]
    scope: Scope,
    /// Who answers for it.
    pub(crate) owner: String,
    /// When it ends, Unix seconds.
    pub(crate) until: i64,
    /// Why.
    pub(crate) reason: String,
}

impl Waiver {
    /// Whether it is of this rule and for this device.
    pub(super) fn is_for(&self, rule: &str, device: &Device) -> bool {
        self.rule == rule && self.scope.holds(device)
    }

    /// Whether it holds at a time (Unix seconds).
    pub(crate) fn holds(&self, now: i64) -> bool {
        now < self.until
    }
}

impl TryFrom<RawWaiver> for Waiver {
    /// What is wrong, and where.
    type Error = (&'static str, &'static str);

    fn try_from(raw: RawWaiver) -> Result<Self, Self::Error> {
        if raw.scope.is_empty() {
            return Err(("rule", "expected devices, sites or groups that it is for"));
        }
        if raw.owner.trim().is_empty() || raw.reason.trim().is_empty() {
            return Err(("owner", "expected who answers for it, and a reason"));
        }
        let day = raw.until.parse::<jiff::civil::Date>();
        let end = day.ok().and_then(|day| day.tomorrow().ok());
        let end = end.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let end = end.ok_or(("until", "expected a day, such as 2026-12-31"))?;
        Ok(Self {
            rule: raw.rule,
            scope: raw.scope,
            owner: raw.owner,
            until: end.timestamp().as_second(),
            reason: raw.reason,
        })
    }
}
