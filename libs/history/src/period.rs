//! From when until when, and what happened in between.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};

use crate::STEP;

/// The time that a history covers, in seconds since the Unix epoch; both ends are whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first sample.
    pub from: i64,
    /// The last sample.
    pub to: i64,
}

/// Something that happened, from its first second to the one after its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident {
    /// Its first second.
    pub from: i64,
    /// The second after its last.
    pub to: i64,
}

impl Incident {
    pub(crate) fn holds(self, at: i64) -> bool {
        (self.from..self.to).contains(&at)
    }
}

impl Period {
    /// From the first day of the last whole month but one (UTC) until `now`: 59 to 92 days.
    #[must_use]
    pub fn until(now: Timestamp) -> Self {
        let from = month(now, 2);
        Self {
            from,
            to: now.as_second().div_euclid(STEP) * STEP,
        }
    }

    /// A device and its link fail: the 10th of the last whole month, 13:07 to 15:52 UTC.
    #[must_use]
    pub fn outage(self) -> Incident {
        self.incident(9, [13, 7], [15, 52])
    }

    /// A window of planned work: the 18th of that month, 01:00 to 03:00 UTC.
    #[must_use]
    pub fn maintenance(self) -> Incident {
        self.incident(17, [1, 0], [3, 0])
    }

    /// In it the device does not answer: 01:20 to 01:52 UTC.
    #[must_use]
    pub fn work(self) -> Incident {
        self.incident(17, [1, 20], [1, 52])
    }

    /// Nothing is watched, as when the monitoring itself is restarted: the 5th of that month, 03:10 to 03:31 UTC.
    #[must_use]
    pub fn gap(self) -> Incident {
        self.incident(4, [3, 10], [3, 31])
    }

    fn incident(self, day: i64, from: [i64; 2], to: [i64; 2]) -> Incident {
        let end = Timestamp::from_second(self.to).unwrap_or(Timestamp::UNIX_EPOCH);
        let midnight = month(end, 1) + day * 86_400;
        let at = |[hour, minute]: [i64; 2]| midnight + hour * 3_600 + minute * 60;
        Incident {
            from: at(from),
            to: at(to),
        }
    }
}

/// The first second of the month that began `back` months before that of `now` (UTC).
fn month(now: Timestamp, back: i64) -> i64 {
    let first = |zoned: Zoned| zoned.date().first_of_month();
    let this = first(now.to_zoned(TimeZone::UTC));
    let date = this.checked_sub(back.months()).unwrap_or(this);
    date.to_datetime(Time::midnight())
        .to_zoned(TimeZone::UTC)
        .map_or(0, |zoned| zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_the_last_whole_month_but_one() {
        for (now, from) in [
            ("2026-11-30T05:00:31Z", "2026-09-01T00:00:00Z"),
            ("2026-01-01T00:00:00Z", "2025-11-01T00:00:00Z"),
            ("2027-03-31T23:59:59Z", "2027-01-01T00:00:00Z"),
        ] {
            let now: Timestamp = now.parse().unwrap();
            let period = Period::until(now);
            assert_eq!(
                period.from,
                from.parse::<Timestamp>().unwrap().as_second(),
                "{now}"
            );
            assert!(period.to <= now.as_second() && now.as_second() - period.to < STEP);
            let days = (period.to - period.from) / 86_400;
            assert!((59..=92).contains(&days), "{now}: {days} days");
            for incident in [period.outage(), period.maintenance(), period.gap()] {
                assert!(incident.from > period.from && incident.to < period.to);
            }
        }
    }
}
