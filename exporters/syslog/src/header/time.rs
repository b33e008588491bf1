//! The times that devices write.

use super::scan::digits;

/// A device's own clock reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTime {
    /// What was written.
    pub clock: Clock,
    /// The device marks its clock as not set or not synchronised (Cisco's `*` and `.`).
    pub unsynchronised: bool,
}

/// What a clock reading consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// A date and a time of day.
    Civil {
        /// The year, when it was written.
        year: Option<i16>,
        /// Month, 1 to 12.
        month: i8,
        /// Day of the month.
        day: i8,
        /// Hour, 0 to 23.
        hour: i8,
        /// Minute.
        minute: i8,
        /// Second, 0 to 60.
        second: i8,
        /// Fraction of the second.
        nanosecond: i32,
        /// Seconds east of UTC, when a zone was written.
        offset: Option<i32>,
    },
    /// Nanoseconds since 1970.
    Unix(i64),
    /// Seconds since the device started.
    Uptime(u64),
}

const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

fn month(text: &str) -> Option<(i8, &str)> {
    let (head, rest) = text.as_bytes().split_first_chunk::<3>()?;
    let head = head.map(|b| b.to_ascii_lowercase());
    let at = MONTHS.iter().position(|m| **m == head)?;
    rest.first()
        .is_some_and(|b| *b == b' ')
        .then(|| (at as i8 + 1, &text[3..]))
}

/// The name of a month before a dash, as in `2026-Nov- 9`.
fn named_month(text: &str) -> Option<(u32, &str)> {
    let head = text.as_bytes().first_chunk::<3>()?;
    let at = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(head))?;
    Some((at as u32 + 1, &text[3..]))
}

/// A number of one to `most` digits up to `limit`.
fn number(text: &str, most: usize, limit: u32) -> Option<(u32, &str)> {
    // Every caller asks for few digits, which have room in the number.
    let (mut value, mut length) = (0u32, 0);
    for byte in text.bytes().take_while(u8::is_ascii_digit) {
        length += 1;
        if length > most.min(9) {
            return None;
        }
        value = value * 10 + u32::from(byte - b'0');
    }
    (length > 0 && value <= limit).then(|| (value, &text[length..]))
}

struct Day {
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
}

/// `HH:MM:SS`, a fraction behind `.` or `,`, and a second fraction that some devices add.
fn day(text: &str) -> Option<(Day, &str)> {
    let (hour, rest) = number(text, 2, 23)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2, 59)?;
    let (second, mut rest) = number(rest.strip_prefix(':')?, 2, 60)?;
    let mut nanosecond = 0;
    if let Some(behind) = rest.strip_prefix(['.', ',']) {
        let (fraction, behind) = digits(behind);
        if !fraction.is_empty() {
            let mut value: i32 = fraction
                .get(..9.min(fraction.len()))
                .and_then(|f| f.parse().ok())
                .unwrap_or(0);
            for _ in fraction.len()..9 {
                value *= 10;
            }
            nanosecond = value;
            rest = behind;
            if let Some(behind) = rest.strip_prefix('.') {
                rest = digits(behind).1;
            }
        }
    }
    // Comware writes milliseconds behind a third colon.
    if let Some(behind) = rest.strip_prefix(':') {
        let (fraction, behind) = digits(behind);
        if fraction.len() == 3 && behind.starts_with(' ') {
            nanosecond = fraction.parse::<i32>().unwrap_or(0) * 1_000_000;
            rest = behind;
        }
    }
    let (mut hour, mut rest) = (hour as i8, rest);
    for (mark, add) in [(" AM", 0), (" PM", 12)] {
        if let Some(behind) = rest.strip_prefix(mark)
            && hour <= 12
        {
            hour = hour % 12 + add;
            // Cisco's call manager writes the fraction behind the half of the day.
            let (fraction, after) = digits(behind.strip_prefix('.').unwrap_or_default());
            rest = if fraction.is_empty() { behind } else { after };
        }
    }
    Some((
        Day {
            hour,
            minute: minute as i8,
            second: second as i8,
            nanosecond,
        },
        rest,
    ))
}

/// Names of zones that devices write, in minutes east of UTC. Ambiguous ones have their most common meaning in networks.
const ZONES: [(&str, i32); 60] = [
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("CET", 60),
    ("CEST", 120),
    ("MET", 60),
    ("MEST", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("SAST", 120),
    ("EAT", 180),
    ("IST", 330),
    ("PKT", 300),
    ("GST", 240),
    ("SGT", 480),
    ("HKT", 480),
    ("AWST", 480),
    ("PHT", 480),
    ("WIB", 420),
    ("ICT", 420),
    ("JST", 540),
    ("KST", 540),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
    ("AST", -240),
    ("BRT", -180),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
    ("HDT", -540),
    ("ADT", -180),
    ("NST", -210),
    ("NDT", -150),
    ("ART", -180),
    ("CLT", -240),
    ("CLST", -180),
    ("COT", -300),
    ("PET", -300),
    ("TRT", 180),
    ("AZT", 240),
    ("NPT", 345),
    ("WITA", 480),
    ("WIT", 540),
    ("ACST", 570),
    ("ACDT", 630),
    ("ChST", 600),
];

/// A zone behind a time; gives its offset when it is known.
fn zone(text: &str) -> Option<(Option<i32>, &str)> {
    let rest = text.strip_prefix(' ').unwrap_or(text);
    let spaced = rest.len() != text.len();
    if let Some(sign) = rest.bytes().next().filter(|b| matches!(b, b'+' | b'-')) {
        let (hours, behind) = digits(&rest[1..]);
        let (hours, minutes, behind) = match (hours.len(), behind.strip_prefix(':')) {
            (4, _) => (&hours[..2], &hours[2..], behind),
            (2, Some(more)) => {
                let (minutes, behind) = digits(more);
                if minutes.len() == 2 {
                    (hours, minutes, behind)
                } else {
                    (hours, "00", behind)
                }
            }
            (2, None) => (hours, "00", behind),
            _ => return None,
        };
        let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
        return Some((Some(if sign == b'-' { -seconds } else { seconds }), behind));
    }
    let end = rest
        .bytes()
        .position(|b| !b.is_ascii_uppercase())
        .unwrap_or(rest.len());
    let (word, behind) = rest.split_at(end);
    if word.is_empty() || word.len() > 5 || !(spaced || word == "Z") {
        return None;
    }
    let ends = behind.is_empty() || behind.starts_with([' ', ':']);
    match ZONES.iter().find(|z| z.0 == word) {
        // `UTC+2`, `GMT+08:00`
        Some((_, 0)) if behind.starts_with(['+', '-']) => zone(behind),
        Some((_, minutes)) if ends => Some((Some(minutes * 60), behind)),
        // A zone that an operator named; without the colon it may be the device's name.
        None if word.len() >= 2 && (behind.starts_with(": %") || behind.starts_with(" : %")) => {
            Some((None, behind))
        }
        _ => None,
    }
}

fn civil(year: Option<u32>, month: i8, date: u32, day: &Day, offset: Option<i32>) -> Clock {
    Clock::Civil {
        year: year.and_then(|y| i16::try_from(y).ok()),
        month,
        day: date as i8,
        hour: day.hour,
        minute: day.minute,
        second: day.second,
        nanosecond: day.nanosecond,
        offset,
    }
}

fn year(text: &str) -> Option<(u32, &str)> {
    let (value, rest) = number(text, 4, 2200).filter(|y| (1970..=2200).contains(&y.0))?;
    Some((value, rest))
}

fn spaces(text: &str) -> Option<&str> {
    text.starts_with(' ').then(|| text.trim_start_matches(' '))
}

/// `Mmm dd [yyyy] HH:MM:SS [yyyy] [zone]`
fn month_first(text: &str) -> Option<(Clock, &str)> {
    let (month, rest) = month(text)?;
    let (date, rest) = number(spaces(rest)?, 2, 31).filter(|d| d.0 > 0)?;
    let rest = spaces(rest.strip_prefix(',').unwrap_or(rest))?;
    let (mut years, mut rest) = match year(rest).and_then(|(y, r)| Some((y, spaces(r)?))) {
        Some((year, rest)) => (Some(year), rest),
        None => (None, rest),
    };
    let (day, behind) = day(rest)?;
    rest = behind;
    let (mut offset, mut known) = (None, false);
    if let Some((zone, behind)) = zone(rest) {
        (offset, rest, known) = (zone, behind, true);
    }
    if years.is_none()
        && let Some((year, behind)) = spaces(rest).and_then(year)
        && (behind.is_empty() || behind.starts_with(' ') || behind.starts_with(": "))
    {
        (years, rest) = (Some(year), behind);
    }
    if !known && let Some((zone, behind)) = zone(rest) {
        (offset, rest) = (zone, behind);
    }
    Some((civil(years, month, date, &day, offset), rest))
}

/// `yyyy Mmm dd HH:MM:SS [zone]`
fn year_first(text: &str) -> Option<(Clock, &str)> {
    let (year, rest) = year(text)?;
    let (month, rest) = month(spaces(rest)?)?;
    let (date, rest) = number(spaces(rest)?, 2, 31)?;
    let (day, rest) = day(spaces(rest)?)?;
    let (offset, rest) = zone(rest).unwrap_or((None, rest));
    Some((civil(Some(year), month, date, &day, offset), rest))
}

/// `yyyy-mm-ddTHH:MM:SS[zone]`, also with `/`, with a space, and not padded.
fn iso(text: &str) -> Option<(Clock, &str)> {
    let (year, rest) = year(text)?;
    let dash = rest
        .bytes()
        .next()
        .filter(|b| matches!(b, b'-' | b'/' | b'.'))? as char;
    let (month, rest) = number(&rest[1..], 2, 12)
        .filter(|m| m.0 > 0)
        .or_else(|| named_month(&rest[1..]))?;
    let rest = rest.strip_prefix(dash)?;
    let (date, rest) = number(rest.strip_prefix(' ').unwrap_or(rest), 2, 31).filter(|d| d.0 > 0)?;
    let rest = rest
        .strip_prefix(['T', 't', ' ', '-', ':', '_'])
        .or_else(|| rest.strip_prefix(", "))?;
    let (day, rest) = day(rest.trim_start_matches(' '))?;
    let (offset, rest) = zone(rest).unwrap_or((None, rest));
    Some((civil(Some(year), month as i8, date, &day, offset), rest))
}

/// `dd Mmm [yyyy] HH:MM:SS [zone]`, also with dashes or slashes between.
fn day_first(text: &str) -> Option<(Clock, &str)> {
    let (date, rest) = number(text, 2, 31).filter(|d| d.0 > 0)?;
    let between = rest
        .bytes()
        .next()
        .filter(|b| matches!(b, b' ' | b'-' | b'/'))? as char;
    let (month, rest) = named_month(&rest[1..])?;
    let rest = rest.strip_prefix(between)?;
    let (years, rest) = match year(rest) {
        Some((year, rest)) => (Some(year), rest.strip_prefix([' ', ':', '-'])?),
        None => (None, rest),
    };
    let (day, rest) = day(rest.trim_start_matches(' '))?;
    let (offset, rest) = zone(rest).unwrap_or((None, rest));
    Some((civil(years, month as i8, date, &day, offset), rest))
}

/// `mm/dd/yyyy:HH:MM:SS zone` (Citrix), day first when it cannot be the month.
fn slashes(text: &str) -> Option<(Clock, &str)> {
    let (first, rest) = number(text, 2, 31).filter(|n| n.0 > 0)?;
    let (second, rest) = number(rest.strip_prefix('/')?, 2, 31).filter(|n| n.0 > 0)?;
    let (year, rest) = year(rest.strip_prefix('/')?)?;
    let (day, rest) = day(rest.strip_prefix([':', ' '])?)?;
    let (offset, rest) = zone(rest).unwrap_or((None, rest));
    let (month, date) = if first > 12 {
        (second, first)
    } else {
        (first, second)
    };
    (month <= 12).then(|| (civil(Some(year), month as i8, date, &day, offset), rest))
}

/// Seconds since 1970 with a fraction.
pub(super) fn epoch(text: &str) -> Option<(Clock, &str)> {
    let (seconds, rest) = digits(text);
    if seconds.len() == 13 && (rest.is_empty() || rest.starts_with(' ')) {
        let milliseconds: i64 = seconds.parse().ok()?;
        return Some((Clock::Unix(milliseconds.checked_mul(1_000_000)?), rest));
    }
    if seconds.len() != 10 {
        return None;
    }
    let seconds: i64 = seconds.parse().ok()?;
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(behind) => digits(behind),
        None => ("", rest),
    };
    let mut nanoseconds: i64 = fraction.get(..9.min(fraction.len()))?.parse().unwrap_or(0);
    for _ in fraction.len()..9 {
        nanoseconds *= 10;
    }
    (rest.is_empty() || rest.starts_with(' '))
        .then(|| seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds))?
        .map(|at| (Clock::Unix(at), rest))
}

/// `1w2d`, `3d04h`, `2y10w`, and `HH:MM:SS` since the start; must be followed by a colon.
fn uptime(text: &str) -> Option<(Clock, &str)> {
    let mut rest = text;
    let mut seconds = 0u64;
    let mut units = 0;
    while units < 2 {
        let (value, behind) = digits(rest);
        let unit = match behind.bytes().next() {
            Some(b'y') => 365 * 86_400,
            Some(b'w') => 7 * 86_400,
            Some(b'd') => 86_400,
            Some(b'h') => 3_600,
            _ => break,
        };
        seconds += value.parse::<u64>().ok().filter(|v| *v < 100_000)? * unit;
        rest = &behind[1..];
        units += 1;
    }
    if units == 0 {
        let (hours, behind) = number(text, 4, 9_999)?;
        let (minutes, behind) = number(behind.strip_prefix(':')?, 2, 59)?;
        let (last, behind) = number(behind.strip_prefix(':')?, 2, 59)?;
        seconds = u64::from(hours) * 3600 + u64::from(minutes) * 60 + u64::from(last);
        rest = behind
            .strip_prefix('.')
            .map_or(behind, |fraction| digits(fraction).1);
    }
    rest.starts_with(':')
        .then_some((Clock::Uptime(seconds), rest))
}

const DAYS: [&str; 7] = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "];

/// Reads a time at the beginning of the text; the colon behind it belongs to it.
pub(super) fn parse(text: &str) -> Option<(DeviceTime, &str)> {
    let plain = text.strip_prefix(['*', '.', ';']).unwrap_or(text);
    let unsynchronised = plain.len() != text.len() && !text.starts_with(';');
    let first = plain.bytes().next()?;
    let found = if first.is_ascii_digit() {
        iso(plain)
            .or_else(|| year_first(plain))
            .or_else(|| slashes(plain))
            .or_else(|| day_first(plain))
            .or_else(|| uptime(plain))
    } else if first.is_ascii_alphabetic() {
        let dayless = DAYS
            .iter()
            .find_map(|day| plain.strip_prefix(day))
            .unwrap_or(plain);
        month_first(dayless)
    } else {
        None
    };
    let (clock, rest) = found?;
    if !(rest.is_empty() || rest.starts_with([' ', ':', ',', ';', ']', ')', '\t', '|'])) {
        return None;
    }
    Some((
        DeviceTime {
            clock,
            unsynchronised,
        },
        rest.strip_prefix(':').unwrap_or(rest),
    ))
}

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
