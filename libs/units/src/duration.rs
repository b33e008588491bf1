//! The one grammar of durations.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration as Std;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Units from the largest one, in nanoseconds.
const UNITS: [(&str, u128); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// Longest that is read: a hundred years.
const LONGEST: u128 = 100 * 366 * UNITS[0].1;

/// Reads a duration: numbers with the units `d`, `h`, `m`, `s` and `ms`, the larger ones first, such as `1.5s`, `1m30s` or `2d`. Of bare
/// numbers only `0` is one.
///
/// # Errors
/// What was expected.
pub fn duration(text: &str) -> Result<Std, String> {
    read(text).ok_or_else(|| {
        format!("expected a duration such as 250ms, 1.5s, 1m30s or 1h, found {text:?}")
    })
}

fn read(text: &str) -> Option<Std> {
    if text == "0" {
        return Some(Std::ZERO);
    }
    let (mut rest, mut total, mut units) = (text, 0_u128, &UNITS[..]);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let (unit, tail) = tail.split_at(
            tail.find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(tail.len()),
        );
        let at = units.iter().position(|(name, _)| *name == unit)?;
        total += part(number, units[at].1)?;
        (rest, units) = (tail, &units[at + 1..]);
    }
    if text.is_empty() || total > LONGEST {
        return None;
    }
    let nanos = u32::try_from(total % 1_000_000_000).ok()?;
    Some(Std::new(u64::try_from(total / 1_000_000_000).ok()?, nanos))
}

/// `number` times `unit`; what is smaller than a nanosecond is cut off.
fn part(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits =
        |text: &str| (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let (whole, parts): (u128, u128) = (whole.parse().ok()?, fraction.parse().ok()?);
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(whole * unit + parts * unit / scale)
}

/// The shortest spelling in one unit that reads back as the same duration: `250ms`, `90s`, `1h`.
#[must_use]
pub fn spelled(duration: Std) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    // Days are read, not written: readers of older files know none.
    let whole = UNITS[1..]
        .iter()
        .find(|(_, unit)| nanos.is_multiple_of(*unit));
    match whole {
        Some((name, unit)) => format!("{}{name}", nanos / unit),
        None => {
            let fraction = format!("{:06}", nanos % 1_000_000);
            format!("{}.{}ms", nanos / 1_000_000, fraction.trim_end_matches('0'))
        }
    }
}

/// A duration of a flag or a file.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub Std);

impl Duration {
    /// That many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Std::from_secs(seconds))
    }

    /// That many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Std::from_millis(millis))
    }
}

impl Deref for Duration {
    type Target = Std;

    fn deref(&self) -> &Std {
        &self.0
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        duration(text).map(Self)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spelled(self.0))
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&spelled(self.0))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Not `format`: that of this name is another grammar (RFC 3339, appendix A).
        json_schema!({"type": "string", "x-format": "duration"})
    }
}

/// A duration within bounds, both in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationIn<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> DurationIn<MIN, MAX> {
    /// That many milliseconds.
    ///
    /// # Panics
    /// When they are out of bounds; in a constant that is an error of the compiler.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        assert!(MIN <= millis && millis <= MAX, "out of bounds");
        Self(Duration::from_millis(millis))
    }

    fn checked(value: Duration) -> Result<Self, String> {
        let (least, most) = (Duration::from_millis(MIN), Duration::from_millis(MAX));
        if (least..=most).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!(
                "{value} is out of bounds, expected {least} to {most}"
            ))
        }
    }
}

impl<const MIN: u64, const MAX: u64> Deref for DurationIn<MIN, MAX> {
    type Target = Std;

    fn deref(&self) -> &Std {
        &self.0.0
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for DurationIn<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().and_then(Self::checked)
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for DurationIn<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Debug for DurationIn<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for DurationIn<MIN, MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for DurationIn<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::checked(Duration::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for DurationIn<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Duration_{MIN}_{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let (least, most) = (Duration::from_millis(MIN), Duration::from_millis(MAX));
        json_schema!({
            "type": "string",
            "x-format": "duration",
            "x-least": least.to_string(),
            "x-most": most.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("250ms", 250),
            ("1s", 1_000),
            ("1.5s", 1_500),
            ("0.001s", 1),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("1h0m30s", 3_630_000),
            ("1.5h", 5_400_000),
            ("2d", 172_800_000),
            ("1d12h", 129_600_000),
        ] {
            assert_eq!(duration(text), Ok(Std::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_what_was_expected() {
        for text in [
            "",
            "5",
            "1.5",
            "s",
            "-1s",
            "+1s",
            "1 s",
            "1w",
            "1us",
            "1S",
            "1e3s",
            "infs",
            "1s2",
            "1s2s",
            "30s1m",
            ".5s",
            "1.s",
            "1..5s",
            "99999999999999s",
            "9999999999999999999999s",
            "٣s",
        ] {
            let error = duration(text).unwrap_err();
            assert!(
                error.starts_with("expected a duration such as 250ms, 1.5s, 1m30s or 1h, found "),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn bounds_are_named_as_they_would_be_written() {
        type Interval = DurationIn<10, 3_600_000>;
        assert_eq!(
            *"1.5s".parse::<Interval>().unwrap(),
            Std::from_millis(1_500)
        );
        assert_eq!(
            "1ms".parse::<Interval>().unwrap_err(),
            "1ms is out of bounds, expected 10ms to 1h"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in 0_u64..10_000_000_000_000_000) {
            let one = Std::from_nanos(nanos);
            prop_assert_eq!(duration(&spelled(one)), Ok(one));
        }

        #[test]
        fn no_text_panics(text in "[-0-9.dhms +]{0,40}") {
            let _ = duration(&text);
            let _ = crate::go::duration(&text);
        }
    }
}
