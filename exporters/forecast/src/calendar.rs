//! Holidays from files: days that are not learnt as what their weekday is, and that are expected to be as Sundays are.
//!
//! A file is a list of dates, `2026-12-25` first on its line and anything after it, `#` before a remark; or an iCalendar file (RFC 5545), of
//! which the all-day events count (`DTSTART;VALUE=DATE`, up to before `DTEND`).

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::clean::median;
use crate::model::Past;
use crate::{DAY, SLOT};

/// Most days of all files.
const MOST: usize = 20_000;
/// Longest event, in days.
const LONGEST: i32 = 366;
/// Sundays that a holiday is told from.
const SUNDAYS: usize = 3;

/// Days that are unlike their weekday.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calendar {
    days: BTreeSet<Date>,
    zone: Option<TimeZone>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A line is no date.
    #[error("line {0}: expected a date such as 2026-12-25")]
    NoDate(usize),
    /// There are too many days.
    #[error("more than {MOST} days")]
    TooMany,
}

impl Calendar {
    /// Without a day, in this time zone.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        Self {
            days: BTreeSet::new(),
            zone: Some(zone),
        }
    }

    /// Takes in the days of a file.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub fn read(&mut self, text: &str) -> Result<(), Error> {
        if text
            .trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with("BEGIN:VCALENDAR")
        {
            return self.read_icalendar(text);
        }
        for (at, line) in text.lines().enumerate() {
            let line = line.trim().trim_start_matches('\u{feff}');
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let date = line
                .split(|byte: char| byte.is_whitespace() || byte == ',' || byte == ';')
                .next();
            let date = date
                .and_then(|date| date.parse().ok())
                .ok_or(Error::NoDate(at + 1))?;
            self.add(date)?;
        }
        Ok(())
    }

    fn read_icalendar(&mut self, text: &str) -> Result<(), Error> {
        let (mut start, mut end) = (None, None);
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let mut parts = name.split(';');
            let property = parts.next().unwrap_or_default().to_ascii_uppercase();
            let whole_day = parts.any(|part| part.eq_ignore_ascii_case("VALUE=DATE"));
            match property.as_str() {
                "BEGIN" => (start, end) = (None, None),
                "DTSTART" | "DTEND" if whole_day => {
                    let date =
                        Date::strptime("%Y%m%d", value).map_err(|_| Error::NoDate(at + 1))?;
                    *(if property == "DTSTART" {
                        &mut start
                    } else {
                        &mut end
                    }) = Some(date);
                }
                "END" if value.eq_ignore_ascii_case("VEVENT") => {
                    let Some(first) = start.take() else { continue };
                    self.add(first)?;
                    let last = end.take().unwrap_or(first);
                    for day in 1..LONGEST {
                        match first.checked_add(day.days()) {
                            Ok(date) if date < last => self.add(date)?,
                            _ => break,
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, date: Date) -> Result<(), Error> {
        self.days.insert(date);
        if self.days.len() > MOST {
            Err(Error::TooMany)
        } else {
            Ok(())
        }
    }

    /// How many days there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.days.len()
    }

    /// The day on which the slot begins that ends at `end`.
    fn date(&self, end: i64) -> Option<Date> {
        let begin = Timestamp::from_second(end - SLOT).ok()?;
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        Some(begin.to_zoned(zone).date())
    }

    /// Whether the slot that ends at `end` is on a holiday.
    fn holds(&self, end: i64) -> bool {
        self.date(end).is_some_and(|date| self.days.contains(&date))
    }

    /// Takes holidays out of a history whose last slot ends at `end`: they become what the nearest week that is none has.
    pub(crate) fn hide(&self, slots: &mut [f64], end: i64) {
        if self.days.is_empty() {
            return;
        }
        let count = slots.len();
        let of = |at: usize| end - (count - 1 - at) as i64 * SLOT;
        let hidden: Vec<bool> = (0..count).map(|at| self.holds(of(at))).collect();
        let week = 7 * DAY;
        let given = slots.to_vec();
        for at in (0..count).filter(|at| hidden[*at]) {
            let places = (1..=count / week).flat_map(|times| {
                let far = times * week;
                [
                    at.checked_sub(far),
                    Some(at + far).filter(|place| *place < count),
                ]
            });
            let other = places
                .flatten()
                .find(|place| !hidden[*place] && given[*place].is_finite());
            slots[at] = other.map_or(f64::NAN, |place| given[place]);
        }
    }

    /// Makes the holidays of a forecast, which begins after `past`, what the last Sundays were.
    pub(crate) fn show(&self, past: Past<'_>, point: &mut [f64]) {
        if self.days.is_empty() {
            return;
        }
        let begin = past.begin + past.values.len() as i64;
        for (step, log) in point.iter_mut().enumerate() {
            let end = (begin + step as i64 + 1) * SLOT;
            if !self.holds(end) {
                continue;
            }
            let sundays = (1..=past.values.len() / DAY + 1).filter_map(|back| {
                let slot = (past.values.len() + step).checked_sub(back * DAY)?;
                let value = past.values.get(slot)?;
                let date = self.date(end - (back * DAY) as i64 * SLOT)?;
                (date.weekday() == Weekday::Sunday).then_some(*value)
            });
            let mut sundays: Vec<f64> = sundays.take(SUNDAYS).collect();
            if !sundays.is_empty() {
                *log = median(&mut sundays);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WEEK;

    fn read(text: &str) -> Result<Calendar, Error> {
        let mut calendar = Calendar::new(TimeZone::get("Europe/Berlin").unwrap());
        calendar.read(text)?;
        Ok(calendar)
    }

    #[test]
    fn lists_and_icalendar_files_are_read() {
        let list = read("# closed\n2026-12-25 Christmas\n\n2026-12-26,Boxing day\n").unwrap();
        let events = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261227\r\nSUMMARY:a: b\r\nEND:VEVENT\r\n\
                      BEGIN:VEVENT\r\nDTSTART:20260101T100000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        assert_eq!(read(events).unwrap(), list);
        assert_eq!(list.count(), 2);
        assert_eq!(read("2026-12-25\n25.12.2026\n"), Err(Error::NoDate(2)));
        assert_eq!(
            read("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:2026\n"),
            Err(Error::NoDate(3))
        );
    }

    #[test]
    fn a_day_is_that_of_the_time_zone() {
        let calendar = read("2026-12-25\n").unwrap();
        // Midnight in Berlin is 23:00 UTC of the day before.
        let midnight = "2026-12-24T23:00:00Z"
            .parse::<Timestamp>()
            .unwrap()
            .as_second();
        assert!(!calendar.holds(midnight));
        assert!(calendar.holds(midnight + SLOT));
        assert!(calendar.holds(midnight + 86_400));
        assert!(!calendar.holds(midnight + 86_400 + SLOT));
    }

    /// 2026-12-25 is a Friday; the history ends before it.
    #[test]
    fn a_holiday_is_hidden_from_learning_and_shown_as_a_sunday() {
        let calendar = read("2026-12-25\n").unwrap();
        let midnight = "2026-12-24T23:00:00Z"
            .parse::<Timestamp>()
            .unwrap()
            .as_second();
        let sunday = |end: i64| calendar.date(end).unwrap().weekday() == Weekday::Sunday;
        let value = |end: i64| if sunday(end) { 1.0 } else { 5.0 };
        let values: Vec<f64> = (0..4 * WEEK as i64)
            .rev()
            .map(|back| value(midnight - back * SLOT))
            .collect();
        let past = Past {
            values: &values,
            begin: midnight / SLOT - values.len() as i64,
        };
        let mut point = vec![5.0; 2 * DAY];
        calendar.show(past, &mut point);
        assert!(point[..DAY].iter().all(|log| (log - 1.0).abs() < 1e-9));
        assert!(point[DAY..].iter().all(|log| (log - 5.0).abs() < 1e-9));

        let later = midnight + 3 * 86_400;
        let mut slots: Vec<f64> = (0..4 * WEEK as i64)
            .rev()
            .map(|back| later - back * SLOT)
            .map(|end| if calendar.holds(end) { 0.5 } else { 5.0 })
            .collect();
        calendar.hide(&mut slots, later);
        assert!(slots.iter().all(|value| (value - 5.0).abs() < 1e-9));
    }
}
