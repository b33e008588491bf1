//! Times in which the schedule may collect.

use inventory::Device;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scope::Scope;

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWindow {
    /// Days on which it begins; every day unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    days: Vec<RawDay>,
    /// When it begins, `22:00`.
    from: String,
    /// When it ends; on the next day where that is not later.
    to: String,
    /// Time zone, such as `Europe/Berlin`.
    #[serde(default = "utc")]
    zone: String,
    #[serde(flatten)]
    scope: Scope,
}

fn utc() -> String {
    "UTC".to_owned()
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RawDay {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A time in which the schedule may collect some devices.
#[derive(Debug)]
pub(super) struct Window {
    days: Vec<Weekday>,
    from: Time,
    to: Time,
    zone: TimeZone,
    scope: Scope,
}

impl TryFrom<&RawWindow> for Window {
    /// What is wrong, and where.
    type Error = (&'static str, &'static str);

    fn try_from(raw: &RawWindow) -> Result<Self, Self::Error> {
        let time = |text: &str| Time::strptime("%H:%M", text).ok();
        if raw.scope.is_empty() {
            return Err(("from", "expected devices, sites or groups beside it"));
        }
        let day = |day: &RawDay| match day {
            RawDay::Mon => Weekday::Monday,
            RawDay::Tue => Weekday::Tuesday,
            RawDay::Wed => Weekday::Wednesday,
            RawDay::Thu => Weekday::Thursday,
            RawDay::Fri => Weekday::Friday,
            RawDay::Sat => Weekday::Saturday,
            RawDay::Sun => Weekday::Sunday,
        };
        Ok(Self {
            days: raw.days.iter().map(day).collect(),
            from: time(&raw.from).ok_or(("from", "expected a time such as 22:00"))?,
            to: time(&raw.to).ok_or(("to", "expected a time such as 04:00"))?,
            zone: TimeZone::get(&raw.zone)
                .map_err(|_| ("zone", "expected a time zone such as Europe/Berlin"))?,
            scope: raw.scope.clone(),
        })
    }
}

impl Window {
    pub(super) fn is_for(&self, device: &Device) -> bool {
        self.scope.holds(device)
    }

    pub(super) fn is_open(&self, now: jiff::Timestamp) -> bool {
        let now = now.to_zoned(self.zone.clone());
        let (day, time) = (now.weekday(), now.time());
        let on = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        match self.from < self.to {
            true => on(day) && (self.from..self.to).contains(&time),
            // Over midnight: that of today, or that of yesterday still.
            false => on(day) && time >= self.from || on(day.previous()) && time < self.to,
        }
    }
}
