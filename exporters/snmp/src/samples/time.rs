//! Dates and times as Unix seconds.

use jiff::fmt::strtime;

/// Seconds from 1900, where NTP counts from, to 1970 (RFC 5905 §6).
const NTP_TO_UNIX: i64 = 2_208_988_800;

/// DateAndTime (RFC 2579 §2): eight octets are UTC, eleven carry their zone. Other lengths are no date.
///
/// Fields beyond their range carry over, as they do in Go.
#[must_use]
pub fn date_and_time(octets: &[u8]) -> Option<i64> {
    let zone = match *octets {
        [_, _, _, _, _, _, _, _] => 0,
        [.., sign, hours, minutes] if octets.len() == 11 => {
            let sign = match sign {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            if hours > 24 || minutes >= 60 {
                return None;
            }
            sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60)
        }
        _ => return None,
    };
    let at = |index: usize| i64::from(octets[index]);
    let days = days(at(0) << 8 | at(1), at(2), at(3));
    Some(days * 86_400 + at(4) * 3600 + at(5) * 60 + at(6) + at(7) / 10 - zone)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; the month may lie outside 1 to 12.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let months = year * 12 + month - 1;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let shifted = year - i64::from(month <= 2);
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// An NTP timestamp (RFC 5905 §6) of at least eight octets; the fraction is dropped.
#[must_use]
pub fn ntp(octets: &[u8]) -> Option<i64> {
    let seconds = octets.get(..8)?.first_chunk::<4>()?;
    Some(i64::from(u32::from_be_bytes(*seconds)) - NTP_TO_UNIX)
}

/// A text read by a strptime pattern; without a zone it is UTC.
#[must_use]
pub fn parse(text: &str, pattern: &str) -> Option<i64> {
    let read = strtime::parse(pattern, text).ok()?;
    // Seconds since 1970 (`%s`) are the whole of it.
    if pattern.contains("%s") {
        return read.to_timestamp().ok().map(|stamp| stamp.as_second());
    }
    let year = read.year().unwrap_or(1900).into();
    let date = match (read.month(), read.day(), read.day_of_year()) {
        (None, None, Some(day)) => {
            let date = days(year, 1, day.into());
            (date < days(year + 1, 1, 1)).then_some(date)?
        }
        (month, day, _) => days(year, month.unwrap_or(1).into(), day.unwrap_or(1).into()),
    };
    if let Some(stamp) = read.to_timestamp().ok().filter(|_| read.offset().is_some()) {
        return Some(stamp.as_second());
    }
    let clock = |part: Option<i8>| i64::from(part.unwrap_or(0));
    Some(
        date * 86_400
            + clock(read.hour()) * 3600
            + clock(read.minute()) * 60
            + clock(read.second()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_since_1970_and_days_of_the_year_are_read() {
        assert_eq!(parse("1700000000", "%s"), Some(1_700_000_000));
        assert_eq!(parse("060 2024", "%j %Y"), Some(1_709_164_800));
        assert_eq!(parse("2024-366", "%Y-%j"), Some(1_735_603_200));
        assert_eq!(parse("2023-366", "%Y-%j"), None);
    }

    #[test]
    fn dates_read_with_and_without_a_zone() {
        let date = [7, 226, 1, 2, 3, 4, 5, 6];
        assert_eq!(date_and_time(&date), Some(1_514_862_245));
        assert_eq!(
            date_and_time(&[&date[..], &[b'+', 1, 0]].concat()),
            Some(1_514_862_245 - 3600)
        );
        assert_eq!(
            date_and_time(&[&date[..], &[b'-', 5, 30]].concat()),
            Some(1_514_862_245 + 19_800)
        );
        for bad in [
            &date[..7],
            &[&date[..], b"x\x01\x00"].concat(),
            &[&date[..], &[b'+', 25, 0]].concat(),
            &[0; 9],
        ] {
            assert_eq!(date_and_time(bad), None);
        }
        assert_eq!(
            date_and_time(&[0x07, 0xb2, 13, 1, 0, 0, 0, 0]),
            Some(31_536_000)
        );
        assert_eq!(date_and_time(&[0; 8]), Some(-62_169_984_000));
    }

    #[test]
    fn days_agree_with_the_calendar_of_jiff() {
        for (year, month, day) in [
            (1600, 2, 29),
            (1970, 1, 1),
            (2000, 12, 31),
            (2024, 2, 29),
            (2100, 3, 1),
            (1, 1, 1),
        ] {
            let expected = jiff::civil::date(year, month, day)
                .to_zoned(jiff::tz::TimeZone::UTC)
                .unwrap()
                .timestamp()
                .as_second()
                / 86_400;
            assert_eq!(days(year.into(), month.into(), day.into()), expected);
        }
    }

    #[test]
    fn patterns_of_the_default_file_read() {
        assert_eq!(parse("Jan 02 2024", "%b %d %Y"), Some(1_704_153_600));
        assert_eq!(
            parse("Tue Jan 02 03:04:05 2024", "%a %b %d %H:%M:%S %Y"),
            Some(1_704_164_645)
        );
        assert_eq!(
            parse("2024-01-02T03:04:05+0100", "%Y-%m-%dT%H:%M:%S%z"),
            Some(1_704_161_045)
        );
        assert_eq!(parse("nonsense", "%b %d %Y"), None);
        assert_eq!(parse("Jan 02 2024x", "%b %d %Y"), None);
    }

    #[test]
    fn ntp_counts_from_1900() {
        assert_eq!(ntp(&[0x83, 0xaa, 0x7e, 0x80, 0xff, 0, 0, 0]), Some(0));
        assert_eq!(ntp(&[0; 7]), None);
    }
}
