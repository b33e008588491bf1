//! Durations as Go reads and prints them (`time.ParseDuration`, `time.Duration.String`), for the files and flags of programs in Go.

use std::fmt;
use std::str::FromStr;
use std::time::Duration as Std;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3_600.0),
];

/// Reads one: numbers with units in any order, `1h0m0s`, `.5s`, and a bare `0`; not a negative one.
///
/// # Errors
/// What was expected.
pub fn duration(text: &str) -> Result<Std, String> {
    read(text)
        .ok_or_else(|| format!("expected a duration such as 300ms, 1.5s or 2m45s, found {text:?}"))
}

fn read(text: &str) -> Option<Std> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Std::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = Std::ZERO;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, tail) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (unit, tail) = tail.split_at(tail.find(is_number).unwrap_or(tail.len()));
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Std::try_from_secs_f64(number * seconds).ok()?)?;
        rest = tail;
    }
    Some(total)
}

/// As Go prints it: `1h30m0s`, `1m30s`, `1.5s`, `10ms`, `0s`.
#[must_use]
pub fn spelled(duration: Std) -> String {
    let nanos = duration.as_nanos();
    let scaled = |unit: u128, name: &str, digits: usize| {
        let fraction = format!("{:0digits$}", nanos % unit);
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        format!("{}{dot}{fraction}{name}", nanos / unit)
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => scaled(1_000, "µs", 3),
        1_000_000..1_000_000_000 => scaled(1_000_000, "ms", 6),
        _ => {
            let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60);
            let rest = duration - Std::from_secs(duration.as_secs() / 60 * 60);
            let seconds = if rest.is_zero() {
                "0s".to_owned()
            } else {
                let fraction = format!("{:09}", rest.subsec_nanos());
                let fraction = fraction.trim_end_matches('0');
                let dot = if fraction.is_empty() { "" } else { "." };
                format!("{}{dot}{fraction}s", rest.as_secs())
            };
            match (hours, minutes) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// A duration of a file that a program in Go reads too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub Std);

impl FromStr for GoDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        duration(text).map(Self)
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spelled(self.0))
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&spelled(self.0))
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// For fields of a file: `#[serde(deserialize_with = "go::deserialize")]`.
///
/// # Errors
/// It is no duration.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Std>, D::Error> {
    let read = Option::<GoDuration>::deserialize(from)?;
    Ok(read.map(|read| read.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_in_go() {
        for (text, nanos, printed) in [
            ("300ms", 300_000_000, "300ms"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("2m45s", 165_000_000_000, "2m45s"),
            ("1h0m0s", 3_600_000_000_000, "1h0m0s"),
            ("1.5h", 5_400_000_000_000, "1h30m0s"),
            ("500000us", 500_000_000, "500ms"),
            ("1500ns", 1_500, "1.5µs"),
            (".5s", 500_000_000, "500ms"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
        ] {
            assert_eq!(duration(text), Ok(Std::from_nanos(nanos)), "{text}");
            assert_eq!(spelled(Std::from_nanos(nanos)), printed);
        }
        for wrong in [
            "", "+", "5", "-1s", "1d", "s", "1s5", "1 s", "1..5s", ".", ".s", "1m-3s",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
