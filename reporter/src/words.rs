//! Numbers, times and sentences as people read them, in their language. Whoever computes reads the CSV.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::month::Millis;

/// The language of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Polish.
    Pl,
}

impl Language {
    /// Its tag (BCP 47).
    #[must_use]
    pub fn tag(self) -> &'static str {
        self.of("en", "pl")
    }

    /// The one of the two that is in this language.
    #[must_use]
    pub fn of<T>(self, english: T, polish: T) -> T {
        match self {
            Self::En => english,
            Self::Pl => polish,
        }
    }

    /// What stands where there is no value.
    #[must_use]
    pub fn none(self) -> &'static str {
        self.of("not known", "brak danych")
    }

    /// A number with this many decimals.
    #[must_use]
    pub fn number(self, value: f64, decimals: usize) -> String {
        let text = format!("{value:.decimals$}");
        self.of(text.clone(), text.replace('.', ","))
    }

    /// A share as per cent with three decimals, cut and not rounded: 99.9996 % is not 100 %.
    #[must_use]
    pub fn percent(self, share: Option<f64>) -> String {
        let Some(share) = share else {
            return self.none().to_owned();
        };
        // A little is added for what binary fractions lose: 0.999 stays 99.900.
        let cut = (share * 100_000.0 + 1e-6).floor() / 1_000.0;
        format!("{} %", self.number(cut, 3))
    }

    /// The difference of two shares in per cent points, with its sign.
    #[must_use]
    pub fn points(self, from: f64, to: f64) -> String {
        let difference = (to - from) * 100.0;
        if difference.abs() < 0.000_5 {
            return self.of("unchanged", "bez zmian").to_owned();
        }
        let sign = if difference > 0.0 { "+" } else { "−" };
        let number = self.number(difference.abs(), 3);
        format!("{sign}{number} {}", self.of("points", "pkt proc."))
    }

    /// Something that is counted: in English one and several, in Polish one, two to four, and five or more.
    #[must_use]
    pub fn counted(self, count: usize, english: [&str; 2], polish: [&str; 3]) -> String {
        let form = match self {
            Self::En => english[usize::from(count != 1)],
            Self::Pl => match (count, count % 10, count / 10 % 10) {
                (1, ..) => polish[0],
                (_, 2..=4, tens) if tens != 1 => polish[1],
                _ => polish[2],
            },
        };
        format!("{count} {form}")
    }

    /// Bits per second: `1.25 Gbit/s`.
    #[must_use]
    pub fn bits(self, bits: u64) -> String {
        let units = [(1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")];
        let value = bits as f64;
        match units.into_iter().find(|(size, _)| value >= *size) {
            Some((size, unit)) => format!("{} {unit}", self.number(value / size, 2)),
            None => format!("{bits} bit/s"),
        }
    }

    /// A mean in milliseconds as a length of time.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a month in milliseconds")]
    pub fn mean(self, millis: Option<f64>) -> String {
        millis.map_or_else(
            || self.none().to_owned(),
            |mean| length(mean.round() as Millis),
        )
    }
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

/// The time of the day beside something whose day is told.
#[must_use]
pub fn clock(time: Millis, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(time)
        .map(|time| {
            let time = time.to_zoned(zone.clone());
            time.strftime("%H:%M:%S").to_string()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Pl};

    #[test]
    fn nothing_is_rounded_up_to_whole() {
        assert_eq!(En.percent(Some(0.999_999_9)), "99.999 %");
        assert_eq!(En.percent(Some(1.0)), "100.000 %");
        assert_eq!(En.percent(Some(0.999)), "99.900 %");
        assert_eq!(Pl.percent(Some(0.999)), "99,900 %");
        assert_eq!(En.percent(Some(0.0)), "0.000 %");
        assert_eq!(En.percent(None), "not known");
        assert_eq!(En.points(0.999, 0.9985), "−0.050 points");
        assert_eq!(Pl.points(0.9985, 0.999), "+0,050 pkt proc.");
        assert_eq!(En.points(0.999, 0.999), "unchanged");
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
        assert_eq!(En.mean(Some(1_499.6)), "1 s");
    }

    #[test]
    fn forms_of_polish_nouns_follow_the_number() {
        let device = |count| Pl.counted(count, ["", ""], ["jeden", "kilka", "wiele"]);
        for (count, form) in [
            (0, "wiele"),
            (1, "jeden"),
            (2, "kilka"),
            (5, "wiele"),
            (12, "wiele"),
            (21, "wiele"),
            (22, "kilka"),
            (112, "wiele"),
            (124, "kilka"),
        ] {
            assert_eq!(device(count), format!("{count} {form}"));
        }
        assert_eq!(En.counted(1, ["device", "devices"], [""; 3]), "1 device");
    }

    #[test]
    fn bits_have_the_unit_that_they_fit() {
        assert_eq!(En.bits(999), "999 bit/s");
        assert_eq!(En.bits(1_500), "1.50 kbit/s");
        assert_eq!(Pl.bits(1_250_000_000), "1,25 Gbit/s");
    }
}
