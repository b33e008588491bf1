//! Durations as Go writes them: `300ms`, `1.5s`, `2m45s`, `1h`, and a bare `0`.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

const UNITS: [(&str, f64); 7] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3_600.0),
];

/// Reads one; `None` when it is none or negative.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() || total.is_zero() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, tail) = tail.split_at(end.unwrap_or(tail.len()));
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        if tail.is_empty() {
            break;
        }
        rest = tail;
    }
    Some(total)
}

/// As Go prints it.
pub(super) fn text(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".into(),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    }
}

/// For fields of a configuration.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map(Some).ok_or_else(|| {
        D::Error::custom(format!(
            "{text:?}: expected a duration such as 300ms, 1.5s or 2m45s"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        for (written, millis) in [
            ("300ms", 300),
            ("1.5s", 1_500),
            ("2m45s", 165_000),
            ("1h0m0s", 3_600_000),
            ("500000us", 500),
            (".5s", 500),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(
                parse(written),
                Some(Duration::from_millis(millis)),
                "{written}"
            );
        }
        for wrong in ["", "5", "-1s", "1d", "s", "1s5", "1 s", "1..5s", "."] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        for same in ["300ms", "1s", "165s", "2m", "1h"] {
            assert_eq!(text(parse(same).unwrap()), same);
        }
    }
}
