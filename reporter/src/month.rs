//! A calendar month in a time zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};
use serde::{Deserialize, Serialize};

/// A time as milliseconds since the epoch, the resolution of Prometheus.
pub type Millis = i64;

/// From `start` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Its first millisecond.
    pub start: Millis,
    /// The first one after it.
    pub end: Millis,
}

impl Period {
    /// Its length.
    #[must_use]
    pub fn length(self) -> Millis {
        self.end - self.start
    }
}

/// A month: `2026-10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: Date,
}

impl Month {
    /// The month that a time is in.
    #[must_use]
    pub fn of(time: &Zoned) -> Self {
        Self {
            first: time.date().first_of_month(),
        }
    }

    /// The month before.
    #[must_use]
    pub fn before(self) -> Self {
        let last = self.first.saturating_sub(1.day());
        Self {
            first: last.first_of_month(),
        }
    }

    /// The month after.
    #[must_use]
    pub fn after(self) -> Self {
        Self {
            first: self.first.saturating_add(1.month()),
        }
    }

    /// Year, month and day of its first day.
    #[must_use]
    pub fn first(self) -> Date {
        self.first
    }

    /// From its first midnight to that of the next month in `zone`: 743 or 745 hours where the clock is changed.
    ///
    /// # Errors
    /// The month lies where the calendar ends.
    pub fn period(self, zone: &TimeZone) -> Result<Period, jiff::Error> {
        Ok(Period {
            start: midnight(self.first, zone)?,
            end: midnight(self.after().first, zone)?,
        })
    }

    /// Its days, each from midnight to midnight in `zone`.
    ///
    /// # Errors
    /// As [`period`](Self::period).
    pub fn days(self, zone: &TimeZone) -> Result<Vec<(Date, Period)>, jiff::Error> {
        let mut days = Vec::new();
        let mut day = self.first;
        while day.month() == self.first.month() {
            let next = day.tomorrow()?;
            let period = Period {
                start: midnight(day, zone)?,
                end: midnight(next, zone)?,
            };
            days.push((day, period));
            day = next;
        }
        Ok(days)
    }
}

/// The beginning of a day: where midnight is left out, the first time there is.
fn midnight(day: Date, zone: &TimeZone) -> Result<Millis, jiff::Error> {
    let start = day.to_zoned(zone.clone())?.start_of_day()?;
    Ok(start.timestamp().as_millisecond())
}

/// A time as text in UTC: `2026-10-01T00:00:00Z`.
#[must_use]
pub fn utc(time: Millis) -> String {
    Timestamp::from_millisecond(time)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

/// What is no month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a month such as 2026-10, found {0:?}")]
pub struct NoMonth(pub String);

impl FromStr for Month {
    type Err = NoMonth;

    fn from_str(text: &str) -> Result<Self, NoMonth> {
        let wrong = || NoMonth(text.chars().take(40).collect());
        let digits = text.len() == 7 && text.is_ascii() && text.as_bytes()[4] == b'-';
        if !digits {
            return Err(wrong());
        }
        let year: i16 = text[..4].parse().map_err(|_| wrong())?;
        let month: i8 = text[5..].parse().map_err(|_| wrong())?;
        // Before 1970 there is no Prometheus, and years of four digits are what the text has.
        let first = (1970..=9998)
            .contains(&year)
            .then(|| Date::new(year, month, 1).ok());
        match first.flatten() {
            Some(first) => Ok(Self { first }),
            None => Err(wrong()),
        }
    }
}

impl schemars::JsonSchema for Month {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Month".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"})
    }
}

impl Serialize for Month {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    #[test]
    fn months_in_which_the_clock_is_changed_have_an_hour_less_or_more() {
        let zone = TimeZone::get("Europe/Warsaw").unwrap();
        for (month, hours, days) in [
            ("2026-03", 743, 31),
            ("2026-10", 745, 31),
            ("2026-02", 672, 28),
            ("2028-02", 696, 29),
            ("2026-12", 744, 31),
        ] {
            let month: Month = month.parse().unwrap();
            let period = month.period(&zone).unwrap();
            assert_eq!(period.length(), hours * HOUR, "{month}");
            let all = month.days(&zone).unwrap();
            assert_eq!(all.len(), days);
            assert_eq!(all[0].1.start, period.start);
            assert_eq!(all[days - 1].1.end, period.end);
            assert!(all.windows(2).all(|two| two[0].1.end == two[1].1.start));
        }
        let october: Month = "2026-10".parse().unwrap();
        assert_eq!(
            utc(october.period(&zone).unwrap().start),
            "2026-09-30T22:00:00Z"
        );
        // Midnight does not exist on this day.
        let zone = TimeZone::get("America/Havana").unwrap();
        let days = "2026-03".parse::<Month>().unwrap().days(&zone).unwrap();
        assert_eq!(days[7].1.length(), 23 * HOUR);
    }

    #[test]
    fn neighbours_and_texts() {
        let january: Month = "2026-01".parse().unwrap();
        assert_eq!(january.before().to_string(), "2025-12");
        assert_eq!(january.before().after(), january);
        for text in [
            "2026-13",
            "2026-1",
            "26-01",
            "2026/01",
            "",
            "2026-01-01",
            "+026-01",
            "2026-é",
        ] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
