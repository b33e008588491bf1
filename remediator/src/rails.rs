//! Guard rails that count: how much is done to what in which time. All are on by default.
//!
//! [`Rails::try_start`] looks and books in one call, so that two jobs that start together are counted one after the other. What is booked
//! is a start of typing lines, whatever comes of it. The other rails stand where they belong: claim and cooldown in the journal, checks in
//! [`decide`](crate::decide), windows and the switch in the engine, what a command may look like in [`text`](crate::text).

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Starts that are remembered at most; a day of the largest rate that can be configured is less.
const REMEMBERED: usize = 200_000;
/// Alerts that are remembered as firing at most.
const FIRING: usize = 100_000;
/// What counts as lately for cooldown: later starts are forgotten. An alert that was not told again for so long fires no more: its
/// `resolved` was lost.
pub(crate) const DAY: i64 = 24 * 3_600_000;
/// Beginnings of a target's alerts that lie so near to each other are one: each of a pair of Prometheus has its own.
const TOGETHER: i64 = 15_000;

/// A rail, as it is named in metrics and in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rail {
    /// The level does not let it act.
    Level,
    /// Another open job has the target.
    Claim,
    /// What has to be true before is not, or cannot be told.
    Precheck,
    /// A person did it, or says hands off.
    Person,
    /// Too many targets of a device, site or role in a short time.
    BlastRadius,
    /// So much is down at once that no single repair is the answer.
    Correlated,
    /// Too many starts in a short time.
    Rate,
    /// Sessions of the device, or all of them, are in use.
    Concurrency,
    /// The target was acted on lately.
    Cooldown,
    /// The target comes and goes.
    Flap,
    /// Planned work.
    Window,
    /// A line that is not allowed, or a target that the device does not know.
    Command,
    /// The proof after acting did not come in time.
    Postcheck,
    /// The device took the lines back since they were not confirmed.
    CommitConfirm,
    /// Nobody approved, or the plan was another one by then.
    Approval,
    /// Everything is stopped.
    Paused,
}

impl Rail {
    /// Every rail.
    pub const ALL: [Self; 16] = [
        Self::Level,
        Self::Claim,
        Self::Precheck,
        Self::Person,
        Self::BlastRadius,
        Self::Correlated,
        Self::Rate,
        Self::Concurrency,
        Self::Cooldown,
        Self::Flap,
        Self::Window,
        Self::Command,
        Self::Postcheck,
        Self::CommitConfirm,
        Self::Approval,
        Self::Paused,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::Claim => "claim",
            Self::Precheck => "precheck",
            Self::Person => "person",
            Self::BlastRadius => "blast_radius",
            Self::Correlated => "correlated",
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::Cooldown => "cooldown",
            Self::Flap => "flap",
            Self::Window => "window",
            Self::Command => "command",
            Self::Postcheck => "postcheck",
            Self::CommitConfirm => "commit_confirm",
            Self::Approval => "approval",
            Self::Paused => "paused",
        }
    }
}

/// How much is too much.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// Starts on one device, site and role within `span`.
    pub per_device: u32,
    /// See `per_device`.
    pub per_site: u32,
    /// See `per_device`.
    pub per_role: u32,
    /// The time that blast radius is counted over.
    pub span: Duration,
    /// Starts in a minute, of everything.
    pub per_minute: u32,
    /// Starts in an hour, of one runbook.
    pub per_runbook_hour: u32,
    /// Share of the devices that may have an alert at once; above it nothing starts.
    pub correlated_share: f64,
    /// So many devices with an alert are no correlated outage, whatever their share.
    pub correlated_least: u32,
    /// Pauses after each start on a target within a day; after the last it is left to people.
    pub cooldown: Vec<Duration>,
    /// Alerts of one target within `flap_span` that count as coming and going.
    pub flap_count: u32,
    /// See `flap_count`.
    pub flap_span: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            per_device: 3,
            per_site: 5,
            per_role: 10,
            span: Duration::from_secs(600),
            per_minute: 10,
            per_runbook_hour: 30,
            correlated_share: 0.3,
            correlated_least: 5,
            cooldown: [15, 60, 240]
                .map(|minutes| Duration::from_secs(minutes * 60))
                .to_vec(),
            flap_count: 3,
            flap_span: Duration::from_secs(3_600),
        }
    }
}

/// What is about to be acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The key of the claim: runbook, device and port.
    pub key: String,
    /// The runbook.
    pub runbook: String,
    /// The device.
    pub device: String,
    /// Its site.
    pub site: String,
    /// Its role.
    pub role: String,
}

/// Why something does not start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The rail.
    pub rail: Rail,
    /// When it is worth looking again, milliseconds since the epoch; `None` when people have to look.
    pub until: Option<i64>,
}

#[derive(Debug)]
struct Start {
    at: i64,
    subject: Subject,
}

/// What was done lately and what fires.
#[derive(Debug, Default)]
pub struct Rails {
    starts: VecDeque<Start>,
    firing: HashMap<String, (String, i64)>,
    begun: HashMap<String, VecDeque<i64>>,
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl Rails {
    /// Notes that an alert was told at `at` to fire for a device, or not to any more.
    pub fn alert(&mut self, fingerprint: &str, device: &str, firing: bool, at: i64) {
        if !firing {
            self.firing.remove(fingerprint);
            return;
        }
        if self.firing.len() >= FIRING {
            self.firing.retain(|_, (_, told)| *told > at - DAY);
        }
        if self.firing.len() < FIRING || self.firing.contains_key(fingerprint) {
            self.firing
                .insert(fingerprint.to_owned(), (device.to_owned(), at));
        }
    }

    /// Notes that an incident of a target began; the same one may be told of many times.
    pub fn incident(&mut self, key: &str, starts_at: i64) {
        let seen = self.begun.entry(key.to_owned()).or_default();
        if !seen.iter().any(|at| (at - starts_at).abs() < TOGETHER) {
            seen.push_back(starts_at);
            if seen.len() > 100 {
                seen.pop_front();
            }
        }
        if self.begun.len() > REMEMBERED {
            let newest = starts_at - DAY;
            self.begun
                .retain(|_, seen| seen.back().is_some_and(|last| *last >= newest));
        }
    }

    /// Notes a start that the journal knows of, oldest first: for the beginning of the process.
    pub fn recall(&mut self, subject: Subject, at: i64) {
        self.starts.push_back(Start { at, subject });
    }

    /// When something was last started on a device within `span` before `now`.
    #[must_use]
    pub fn started_near(&self, device: &str, at: i64, span: i64) -> bool {
        self.starts
            .iter()
            .rev()
            .any(|start| start.subject.device == device && (start.at - at).abs() <= span)
    }

    /// Whether something may start on the subject now; `devices` is how many the inventory has.
    ///
    /// # Errors
    /// The rail that holds it back, and until when.
    pub fn check(
        &self,
        bounds: &Bounds,
        subject: &Subject,
        devices: usize,
        now: i64,
    ) -> Result<(), Held> {
        let held = |rail, until| Err(Held { rail, until });
        let flaps = self.begun.get(&subject.key).map_or(0, |seen| {
            let from = now - millis(bounds.flap_span);
            seen.iter().filter(|at| **at >= from).count()
        });
        if flaps >= usize::try_from(bounds.flap_count.max(2)).unwrap_or(usize::MAX) {
            return held(Rail::Flap, None);
        }
        let mut of_key = self
            .starts
            .iter()
            .filter(|start| start.subject.key == subject.key && start.at > now - DAY);
        if let Some(last) = of_key.next_back() {
            let before = of_key.count();
            match bounds.cooldown.get(before) {
                None => return held(Rail::Cooldown, None),
                Some(pause) if last.at + millis(*pause) > now => {
                    return held(Rail::Cooldown, Some(last.at + millis(*pause)));
                }
                Some(_) => {}
            }
        }
        let told = self.firing.values().filter(|(_, at)| *at > now - DAY);
        let hit: HashSet<&str> = told.map(|(device, _)| device.as_str()).collect();
        let share = hit.len() as f64 / devices.max(1) as f64;
        if hit.len() > usize::try_from(bounds.correlated_least).unwrap_or(usize::MAX)
            && share > bounds.correlated_share
        {
            return held(Rail::Correlated, None);
        }
        let span = millis(bounds.span);
        for (most, span, rail, same) in [
            (
                bounds.per_device,
                span,
                Rail::BlastRadius,
                &(|s: &Subject| s.device == subject.device) as &dyn Fn(&Subject) -> bool,
            ),
            (bounds.per_site, span, Rail::BlastRadius, &|s: &Subject| {
                s.site == subject.site
            }),
            (bounds.per_role, span, Rail::BlastRadius, &|s: &Subject| {
                s.role == subject.role
            }),
            (bounds.per_minute, 60_000, Rail::Rate, &|_: &Subject| true),
            (
                bounds.per_runbook_hour,
                3_600_000,
                Rail::Rate,
                &|s: &Subject| s.runbook == subject.runbook,
            ),
        ] {
            let within = self
                .starts
                .iter()
                .rev()
                .take_while(|start| start.at > now - span);
            let mut times: Vec<i64> = within
                .filter(|start| same(&start.subject))
                .map(|start| start.at)
                .collect();
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            if times.len() >= most {
                // One more may start when so many have left the span that fewer than `most` are in it; `times` has the newest first.
                times.truncate(most.max(1));
                let leaves = times.last().copied().unwrap_or(now);
                return held(rail, Some(leaves + span));
            }
        }
        Ok(())
    }

    /// As [`check`](Self::check), and books the start when it may be.
    ///
    /// # Errors
    /// The rail that holds it back, and until when.
    pub fn try_start(
        &mut self,
        bounds: &Bounds,
        subject: &Subject,
        devices: usize,
        now: i64,
    ) -> Result<(), Held> {
        self.check(bounds, subject, devices, now)?;
        while self
            .starts
            .front()
            .is_some_and(|start| start.at <= now - DAY)
            || self.starts.len() >= REMEMBERED
        {
            self.starts.pop_front();
        }
        self.starts.push_back(Start {
            at: now,
            subject: subject.clone(),
        });
        Ok(())
    }
}
