//! Numbers and times as people read them. Whoever computes reads the CSV.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::month::Millis;

/// What stands where there is no value.
pub const NONE: &str = "not known";

/// A share as per cent with three decimals, cut and not rounded: 99.9996 % is not 100 %.
#[must_use]
pub fn percent(share: Option<f64>) -> String {
    let Some(share) = share else {
        return NONE.to_owned();
    };
    // A little is added for what binary fractions lose: 0.999 stays 99.900.
    let cut = (share * 100_000.0 + 1e-6).floor() / 1_000.0;
    format!("{cut:.3} %")
}

/// The difference of two shares in per cent points, with its sign.
#[must_use]
pub fn points(from: f64, to: f64) -> String {
    let difference = (to - from) * 100.0;
    if difference.abs() < 0.000_5 {
        return "unchanged".to_owned();
    }
    format!("{difference:+.3} points")
}

/// A length of time: `1 d 2 h 3 min 4 s`, without what is nothing.
#[must_use]
pub fn length(millis: Millis) -> String {
    if millis < 0 {
        return format!("−{}", length(millis.saturating_neg()));
    }
    let seconds = millis / 1_000;
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let told: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    match (told.is_empty(), millis) {
        (true, 0) => "0 s".to_owned(),
        (true, _) => format!("{millis} ms"),
        (false, _) => told.join(" "),
    }
}

/// A time in a zone, with its offset: `2026-10-25 02:30:00+01:00`.
#[must_use]
pub fn local(time: Millis, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(time)
        .map(|time| {
            time.to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M:%S%:z")
                .to_string()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_rounded_up_to_whole() {
        assert_eq!(percent(Some(0.999_999_9)), "99.999 %");
        assert_eq!(percent(Some(1.0)), "100.000 %");
        assert_eq!(percent(Some(0.999)), "99.900 %");
        assert_eq!(percent(Some(0.0)), "0.000 %");
        assert_eq!(percent(None), NONE);
        assert_eq!(points(0.999, 0.9985), "-0.050 points");
        assert_eq!(points(0.999, 0.999), "unchanged");
    }

    #[test]
    fn lengths_and_times() {
        assert_eq!(length(0), "0 s");
        assert_eq!(length(900), "900 ms");
        assert_eq!(length(90_061_500), "1 d 1 h 1 min 1 s");
        assert_eq!(length(-60_000), "−1 min");
        let zone = TimeZone::get("Europe/Warsaw").unwrap();
        assert_eq!(local(1_792_891_800_000, &zone), "2026-10-25 02:30:00+01:00");
        assert_eq!(local(1_792_888_200_000, &zone), "2026-10-25 02:30:00+02:00");
    }
}
