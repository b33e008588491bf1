//! Each form in which a time is written.

use super::Clock;
use super::zone::zone;
use crate::header::scan::digits;

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
        if let Some(behind) = rest.strip_prefix(mark) {
            if hour <= 12 {
                hour = hour % 12 + add;
            }
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
pub(super) fn month_first(text: &str) -> Option<(Clock, &str)> {
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
pub(super) fn year_first(text: &str) -> Option<(Clock, &str)> {
    let (year, rest) = year(text)?;
    let (month, rest) = month(spaces(rest)?)?;
    let (date, rest) = number(spaces(rest)?, 2, 31)?;
    let (day, rest) = day(spaces(rest)?)?;
    let (offset, rest) = zone(rest).unwrap_or((None, rest));
    Some((civil(Some(year), month, date, &day, offset), rest))
}

/// `yyyy-mm-ddTHH:MM:SS[zone]`, also with `/`, with a space, and not padded.
pub(super) fn iso(text: &str) -> Option<(Clock, &str)> {
    let (year, rest) = year(text)?;
    let dash = rest
        .bytes()
        .next()
        .filter(|b| matches!(b, b'-' | b'/' | b'.' | b':'))? as char;
    let (month, rest) = number(&rest[1..], 2, 12)
        .filter(|m| m.0 > 0)
        .or_else(|| named_month(&rest[1..]))?;
    let rest = rest.strip_prefix(dash)?;
    let (date, rest) = number(rest.strip_prefix(' ').unwrap_or(rest), 2, 31).filter(|d| d.0 > 0)?;
    let rest = rest
        .strip_prefix(['T', 't', ' ', '-', ':', '_'])
        .or_else(|| rest.strip_prefix(", "))?;
    let clock = rest.trim_start_matches(' ');
    let (day, rest) = day(clock).or_else(|| minutes(clock))?;
    let (offset, rest) = zone(rest).unwrap_or((None, rest));
    Some((civil(Some(year), month as i8, date, &day, offset), rest))
}

/// `HH:MM` right before a zone, as ISO 8601 allows it: `23:00Z`.
fn minutes(text: &str) -> Option<(Day, &str)> {
    let (hour, rest) = number(text, 2, 23)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2, 59)?;
    if !rest.starts_with(['Z', '+', '-']) {
        return None;
    }
    let day = Day {
        hour: hour as i8,
        minute: minute as i8,
        second: 0,
        nanosecond: 0,
    };
    Some((day, rest))
}

/// `dd Mmm [yyyy] HH:MM:SS [zone]`, also with dashes or slashes between.
pub(super) fn day_first(text: &str) -> Option<(Clock, &str)> {
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
pub(super) fn slashes(text: &str) -> Option<(Clock, &str)> {
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
pub(in crate::header) fn epoch(text: &str) -> Option<(Clock, &str)> {
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
pub(super) fn uptime(text: &str) -> Option<(Clock, &str)> {
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
    // A hardware address goes on behind its third part.
    (rest == ":" || rest.starts_with(": ") || rest.starts_with(":%"))
        .then_some((Clock::Uptime(seconds), rest))
}
