//! Everything that a report is made of, as it was read from its sources: whole numbers only, so that a file keeps it exactly.

use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::month::{Millis, Month};
use crate::timeline::{Planned, State, Timeline};
use crate::totals::Totals;

/// A month as its sources told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// Devices, and what could not be asked for of any source.
    pub history: History,
    /// The month before, where enough of it is known.
    pub previous: Option<Totals>,
    /// Those before it that are kept, the oldest first, back to eleven months ago.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<PastMonth>,
    /// Interfaces, by device and name.
    pub links: Vec<Link>,
    /// Round trips, by device.
    pub paths: Vec<Path>,
    /// How configurations stood to their rules, by device.
    pub compliance: Vec<Compliance>,
    /// Lines that will fill up.
    pub capacity: Vec<Capacity>,
    /// Changes of configurations, in the order of time; `None` where nobody is asked.
    pub changes: Option<Vec<Change>>,
    /// What devices said of themselves, in the order of time; `None` where nobody is asked.
    pub events: Option<Vec<Event>>,
    /// Repairs, in the order of time; `None` where nobody is asked.
    pub repairs: Option<Vec<Repair>>,
}

impl Material {
    /// Nothing but devices.
    #[must_use]
    pub fn of(history: History) -> Self {
        Self {
            history,
            previous: None,
            months: Vec::new(),
            links: Vec::new(),
            paths: Vec::new(),
            compliance: Vec::new(),
            capacity: Vec::new(),
            changes: None,
            events: None,
            repairs: None,
        }
    }
}

/// A month that is over, all devices together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastMonth {
    /// Which.
    pub month: Month,
    /// How long what held.
    pub totals: Totals,
}

/// Bits per second of one direction, of means of five minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Means that there are.
    pub samples: u64,
    /// Means that are missing.
    pub missing: u64,
    /// The 95th percentile by nearest rank: of `n` means in ascending order the one at rank n − ⌊n / 20⌋.
    pub p95: u64,
    /// The highest mean.
    pub highest: u64,
    /// The mean of them.
    pub mean: u64,
}

impl Rate {
    /// Of means in bits per second, out of `expected`; what is no number is missing.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bits per second, finite and not negative"
    )]
    pub fn of(means: &[f64], expected: u64) -> Self {
        let mut sorted: Vec<u64> = means
            .iter()
            .filter(|mean| mean.is_finite() && **mean >= 0.0)
            .map(|mean| mean.round() as u64)
            .collect();
        sorted.sort_unstable();
        let count = sorted.len();
        let samples = count as u64;
        let mean = |sum: u128| u64::try_from(sum / count.max(1) as u128).unwrap_or(u64::MAX);
        Self {
            samples,
            missing: expected.saturating_sub(samples),
            p95: (count - count / 20)
                .checked_sub(1)
                .map_or(0, |rank| sorted[rank]),
            highest: sorted.last().copied().unwrap_or(0),
            mean: mean(sorted.iter().map(|one| u128::from(*one)).sum()),
        }
    }
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its device.
    pub device: String,
    /// `ifName`.
    pub name: String,
    /// `ifAlias`: what people call it.
    pub alias: String,
    /// Bits per second that it can carry; none where nobody says so.
    pub speed: Option<u64>,
    /// Whether it is up.
    pub state: Timeline<State>,
    /// Whether it was switched off on purpose.
    pub off: Timeline<Planned>,
    /// What came in.
    pub incoming: Rate,
    /// What went out.
    pub outgoing: Rate,
}

/// Pings of a device over the month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// The device.
    pub device: String,
    /// Requests sent.
    pub requests: u64,
    /// Requests that were lost or failed.
    pub lost: u64,
    /// Answers that were timed.
    pub answers: u64,
    /// Their round trips together, in nanoseconds.
    pub round_trip_nanoseconds: u64,
}

impl Path {
    /// The lost ones as a share of all.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.lost.min(self.requests) as f64 / self.requests as f64)
    }

    /// The mean round trip in seconds.
    #[must_use]
    pub fn round_trip(&self) -> Option<f64> {
        let seconds = self.round_trip_nanoseconds as f64 / 1e9;
        (self.answers > 0).then(|| seconds / self.answers as f64)
    }
}

/// How the configuration of a device stood to its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compliance {
    /// The device.
    pub device: String,
    /// Hours at whose end it is known.
    pub hours: u64,
    /// Hours at whose end a rule was broken.
    pub broken: u64,
    /// The rules that were broken when the month ended.
    pub rules: Vec<String>,
}

/// A line that will have filled up, as the forecast said when the month ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Its device.
    pub device: String,
    /// `ifName`.
    pub name: String,
    /// `in` or `out`.
    pub direction: String,
    /// Days until it will as likely as not have.
    pub half: Option<u64>,
    /// Days until it will have with 90 %.
    pub sure: Option<u64>,
}

/// A change of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When it was seen.
    pub at: Millis,
    /// The device.
    pub device: String,
    /// Who did it; empty where nobody knows.
    pub user: String,
    /// What had it collected.
    pub trigger: String,
    /// The version in the archive.
    pub commit: String,
    /// Its first line, which says how much was changed.
    pub text: String,
}

/// What a device said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Millis,
    /// The device.
    pub device: String,
    /// What kind of event it is.
    pub kind: String,
    /// The line.
    pub text: String,
}

/// A job of the remediator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// Its id.
    pub id: String,
    /// When the alert began that it is for.
    pub alert: Millis,
    /// When it was made.
    pub created: Millis,
    /// When it ended, or last changed.
    pub updated: Millis,
    /// The device.
    pub device: String,
    /// The port; empty where it is about none.
    pub port: String,
    /// The runbook.
    pub runbook: String,
    /// What came of it.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Who asked for it; empty where an alert did.
    pub requester: String,
    /// Who approved or rejected it; empty where nobody had to.
    pub approver: String,
    /// The trace that it belongs to.
    pub trace: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_the_value_at_its_rank_and_is_never_between_two() {
        let up_to = |count: u32| (1..=count).map(f64::from).collect::<Vec<_>>();
        // Sorted, ⌊n / 20⌋ are dropped from the top, the next one is it.
        for (count, p95) in [
            (1, 1),
            (19, 19),
            (20, 19),
            (39, 38),
            (40, 38),
            (100, 95),
            (8_928, 8_482),
        ] {
            assert_eq!(Rate::of(&up_to(count), 9_000).p95, p95, "{count}");
        }
        let rate = Rate::of(&[30.0, f64::NAN, 10.0, 20.4, f64::INFINITY, -1.0], 8);
        assert_eq!(
            rate,
            Rate {
                samples: 3,
                missing: 5,
                p95: 30,
                highest: 30,
                mean: 20
            }
        );
        assert_eq!(Rate::of(&[], 2).missing, 2);
    }

    #[test]
    fn shares_of_nothing_are_none() {
        let mut path = Path {
            device: String::new(),
            requests: 0,
            lost: 0,
            answers: 0,
            round_trip_nanoseconds: 0,
        };
        assert_eq!((path.loss(), path.round_trip()), (None, None));
        (path.requests, path.lost, path.answers) = (8, 2, 4);
        path.round_trip_nanoseconds = 2_000_000;
        assert_eq!(path.loss(), Some(0.25));
        assert_eq!(path.round_trip(), Some(0.000_5));
    }
}
