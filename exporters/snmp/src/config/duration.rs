//! Durations as Go writes them: `1m30s`, `10ms`, `1.5h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A duration in Go's text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoDuration(pub Duration);

const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

impl FromStr for GoDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}`: expected a duration such as 5s, 1m30s or 500ms");
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let (mut rest, mut seconds) = (text, 0.0);
        if rest.is_empty() {
            return Err(expected());
        }
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .ok_or_else(expected)?;
            let number: f64 = rest[..digits].parse().map_err(|_| expected())?;
            rest = &rest[digits..];
            let unit = rest
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(rest.len());
            let (_, scale) = UNITS
                .iter()
                .find(|(name, _)| *name == &rest[..unit])
                .ok_or_else(expected)?;
            seconds += number * scale;
            rest = &rest[unit..];
        }
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| expected())
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.as_secs();
        let (hours, minutes, seconds) = (
            whole / 3600,
            whole / 60 % 60,
            self.0.as_secs_f64() - (whole / 60 * 60) as f64,
        );
        if whole == 0 && !self.0.is_zero() {
            let millis = self.0.as_secs_f64() * 1e3;
            return if millis >= 1.0 {
                write!(out, "{millis}ms")
            } else {
                write!(out, "{}ns", self.0.as_nanos())
            };
        }
        if hours > 0 {
            write!(out, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(out, "{minutes}m")?;
        }
        write!(out, "{seconds}s")
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        String::deserialize(source)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read_and_written() {
        for (text, millis, shown) in [
            ("5s", 5000, "5s"),
            ("1m30s", 90_000, "1m30s"),
            ("10ms", 10, "10ms"),
            ("1.5h", 5_400_000, "1h30m0s"),
            ("0", 0, "0s"),
        ] {
            let duration: GoDuration = text.parse().unwrap();
            assert_eq!(duration.0, Duration::from_millis(millis), "{text}");
            assert_eq!(duration.to_string(), shown);
        }
        for bad in ["", "5", "s", "5 s", "-5s", "5d", "1m-3s", "."] {
            assert!(bad.parse::<GoDuration>().is_err(), "{bad}");
        }
    }
}
