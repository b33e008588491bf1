//! When a report is due.

use std::collections::BTreeSet;

use croner::Cron;
use jiff::{Timestamp, Zoned};

use crate::month::Month;

/// Most times that are looked at for what was missed.
const TIMES: usize = 400;
/// Most months that are made up for.
const MONTHS: usize = 12;

/// The months whose reports were due after `since` and not after `now`: of each time of the schedule, the month before it. The oldest
/// first, at most twelve.
#[must_use]
pub fn due(cron: &Cron, since: Timestamp, now: &Zoned) -> Vec<Month> {
    let mut months = BTreeSet::new();
    // The one that is searched from is not itself found.
    let Ok(from) = now.checked_add(jiff::Span::new().seconds(1)) else {
        return Vec::new();
    };
    for time in cron.iter_before(from).take(TIMES) {
        if time.timestamp() <= since || months.len() > MONTHS {
            break;
        }
        if time <= *now {
            months.insert(Month::of(&time).before());
        }
    }
    let skipped = months.len().saturating_sub(MONTHS);
    months.into_iter().skip(skipped).collect()
}

/// When the next report is due.
#[must_use]
pub fn next(cron: &Cron, now: &Zoned) -> Option<Zoned> {
    cron.find_next_occurrence(now, false).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn months(cron: &str, since: &str, now: &str) -> Vec<String> {
        let cron: Cron = cron.parse().unwrap();
        let due = due(&cron, since.parse().unwrap(), &now.parse().unwrap());
        due.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_was_missed_is_due_and_what_was_before_the_beginning_is_not() {
        let monthly = "0 6 1 * *";
        let before = "2026-11-01T05:59:59+01:00[Europe/Warsaw]";
        let at = "2026-11-01T06:00:00+01:00[Europe/Warsaw]";
        assert!(months(monthly, "2026-10-15T00:00:00Z", before).is_empty());
        assert_eq!(months(monthly, "2026-10-15T00:00:00Z", at), ["2026-10"]);
        assert!(months(monthly, "2026-11-01T05:00:00Z", at).is_empty());
        let later = "2026-11-20T12:00:00+01:00[Europe/Warsaw]";
        assert_eq!(
            months(monthly, "2026-08-15T00:00:00Z", later),
            ["2026-08", "2026-09", "2026-10"]
        );
        assert_eq!(
            months("0 6 * * *", "2026-10-15T00:00:00Z", later),
            ["2026-09", "2026-10"],
            "every day: the same month is due once"
        );
        assert_eq!(months(monthly, "2020-01-01T00:00:00Z", later).len(), 12);
    }

    #[test]
    fn next_time_is_one_of_the_zone() {
        let cron: Cron = "30 2 29 3 *".parse().unwrap();
        let now = "2026-03-28T12:00:00+01:00[Europe/Warsaw]".parse().unwrap();
        let next = next(&cron, &now).unwrap();
        // Half past two does not exist on this day.
        assert_eq!(next.to_string(), "2026-03-29T03:00:00+02:00[Europe/Warsaw]");
    }
}
