//! From a reading to a moment, and back to text.

use super::{Clock, DeviceTime};

const HALF_YEAR: i64 = 183 * 86_400;

impl DeviceTime {
    /// The reading as nanoseconds since 1970, seen from the time of receipt: a missing year is the one that brings
    /// it nearest, a missing zone is `assumed` (seconds east of UTC). None for an uptime or an impossible date.
    #[must_use]
    pub fn resolve(&self, received: i64, assumed: i32) -> Option<i64> {
        match self.clock {
            Clock::Unix(nanoseconds) => Some(nanoseconds),
            Clock::Uptime(_) => None,
            Clock::Civil {
                year,
                month,
                day,
                hour,
                minute,
                second,
                nanosecond,
                offset,
            } => {
                let offset = i64::from(offset.unwrap_or(assumed));
                let at = |year: i16| {
                    let days = days(year, month, day)?;
                    let clock = i64::from(hour) * 3_600
                        + i64::from(minute) * 60
                        + i64::from(second.min(59));
                    let seconds = days * 86_400 + clock - offset;
                    seconds
                        .checked_mul(1_000_000_000)?
                        .checked_add(i64::from(nanosecond))
                };
                match year {
                    Some(year) => at(year),
                    None => {
                        let this = civil_date(received.div_euclid(86_400_000_000_000)).0;
                        let this = i16::try_from(this).ok()?;
                        [this, this - 1, this + 1]
                            .into_iter()
                            .filter_map(at)
                            .find(|t| ((t - received) / 1_000_000_000).abs() <= HALF_YEAR)
                    }
                }
            }
        }
    }

    /// Whether the reading leaves the zone open.
    #[must_use]
    pub fn zone_open(&self) -> bool {
        matches!(self.clock, Clock::Civil { offset: None, .. })
    }
}

/// Days since 1970 of a date of the Gregorian calendar; none for a day that the month does not have.
fn days(year: i16, month: i8, day: i8) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    // Years begin in March, so that the leap day is the last of one.
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = (i64::from(month) + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Year, month and day of a day since 1970: the other way round.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (year + era * 400 + later, month, day)
}

/// Appends nanoseconds since 1970 as RFC 3339 in UTC, the fraction without zeros at its end.
pub fn write_time(nanoseconds: i64, into: &mut String) {
    let seconds = nanoseconds.div_euclid(1_000_000_000);
    // A stamp of 64 bits lies between the years 1677 and 2262.
    let (year, month, day) = civil_date(seconds.div_euclid(86_400));
    let clock = seconds.rem_euclid(86_400);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    let fraction = nanoseconds.rem_euclid(1_000_000_000);
    for (place, width, value) in [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, clock / 3_600),
        (14, 2, clock / 60 % 60),
        (17, 2, clock % 60),
        (20, 9, fraction),
    ] {
        let mut value = value as u32;
        for digit in text[place..place + width].iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
    let mut end = if fraction == 0 { 19 } else { 29 };
    while text[end - 1] == b'0' && fraction > 0 {
        end -= 1;
    }
    text[end] = b'Z';
    into.push_str(std::str::from_utf8(&text[..=end]).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn times_are_those_of_the_calendar(nanoseconds: i64) {
            let expected = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap();
            let mut text = String::new();
            write_time(nanoseconds, &mut text);
            proptest::prop_assert_eq!(&text, &expected.to_string());
            let date = expected.to_zoned(jiff::tz::TimeZone::UTC).date();
            let day = nanoseconds.div_euclid(86_400_000_000_000);
            proptest::prop_assert_eq!(days(date.year(), date.month(), date.day()), Some(day));
        }
    }

    #[test]
    fn a_day_that_is_none_is_refused() {
        assert_eq!(days(2023, 2, 29), None);
        assert!(days(2024, 2, 29).is_some());
        assert_eq!(days(1900, 2, 29), None);
        assert_eq!(days(2024, 4, 31), None);
        assert_eq!(days(2024, 13, 1), None);
        assert_eq!(days(2024, 1, 0), None);
    }
}
