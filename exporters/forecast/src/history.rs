//! The history of many series from Prometheus, a day at a time, in bounded memory.

use std::collections::BTreeMap;

use promapi::{Error, Labels, Prometheus, Range};

use crate::capacity::busy;
use crate::{DAY, SLOT};

/// Days that models learn from.
pub const LEARNT_DAYS: usize = 28;
/// Days that a trend is made of: twelve weeks.
pub const TREND_DAYS: usize = 84;
/// Values of one answer, about.
const ANSWER: usize = 400_000;
/// Most days of one question.
const MOST_DAYS: usize = 14;
/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;
/// Most labels of a series.
const MOST_LABELS: usize = 24;
/// Longest value of a label.
const LONGEST_LABEL: usize = 256;
/// Labels that the forecast itself has.
const OWN_LABELS: [&str; 6] = [
    "confidence",
    "forecast",
    "horizon",
    "model",
    "quantile",
    "state",
];

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// The values of the last [`LEARNT_DAYS`], oldest first, NaN where there is none; the last is that of the end.
    pub slots: Vec<f32>,
    /// The 95th percentile of each of the last [`TREND_DAYS`], oldest first, NaN where unknown.
    pub days: Vec<f64>,
}

/// What came.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The end of the last slot, seconds since the epoch.
    pub end: i64,
    /// The series.
    pub series: BTreeMap<Labels, Raw>,
    /// Series beyond the bound, whose history was not kept.
    pub too_many: usize,
    /// Series whose labels cannot be passed on.
    pub unnamed: usize,
}

/// Asks for the history of `query` up to the last whole slot before `now`; at most `most` series, those with the least labels first.
///
/// # Errors
/// Why there is no answer to one of the questions.
pub async fn fetch(
    client: &Prometheus,
    query: &str,
    now: i64,
    most: usize,
) -> Result<History, Error> {
    let mut history = History {
        end: now.div_euclid(SLOT) * SLOT,
        ..History::default()
    };
    // The newest day says which series there are.
    take(client, query, &mut history, 0, 1, Some(most)).await?;
    let values = (history.series.len() * DAY).max(1);
    let stride = (ANSWER / values).clamp(1, MOST_DAYS);
    let mut back = 1;
    while back < TREND_DAYS && !history.series.is_empty() {
        let days = stride.min(TREND_DAYS - back);
        take(client, query, &mut history, back, days, None).await?;
        back += days;
    }
    Ok(history)
}

/// Asks for `days` days, the last of which ends `back` days before the end; with `most` new series are taken in.
async fn take(
    client: &Prometheus,
    query: &str,
    history: &mut History,
    back: usize,
    days: usize,
    most: Option<usize>,
) -> Result<(), Error> {
    let last = history.end - back as i64 * DAY_SECONDS;
    let first = last - days as i64 * DAY_SECONDS + SLOT;
    let range = Range {
        start: first as f64,
        end: last as f64,
        step: SLOT as f64,
    };
    for mut series in client.range(query, range).await?.series {
        series.labels.remove("__name__");
        if most.is_some() && !named(&series.labels) {
            history.unnamed += 1;
            continue;
        }
        if most.is_some_and(|most| history.series.len() < most) {
            history
                .series
                .entry(series.labels.clone())
                .or_insert_with(|| Raw {
                    slots: vec![f32::NAN; LEARNT_DAYS * DAY],
                    days: vec![f64::NAN; TREND_DAYS],
                });
        }
        let Some(raw) = history.series.get_mut(&series.labels) else {
            history.too_many += usize::from(most.is_some());
            continue;
        };
        let mut values = vec![f64::NAN; days * DAY];
        for (at, value) in series.points {
            let slot = (at.round() as i64 - first).div_euclid(SLOT);
            let slot = usize::try_from(slot).ok().filter(|_| value.is_finite());
            if let Some(place) = slot.and_then(|slot| values.get_mut(slot)) {
                *place = value;
            }
        }
        raw.put(back, days, &values);
    }
    Ok(())
}

impl Raw {
    /// Takes in `days` days, the last of which ends `back` days before the end.
    fn put(&mut self, back: usize, days: usize, values: &[f64]) {
        for (index, day) in values.chunks_exact(DAY).enumerate() {
            let ago = back + days - 1 - index;
            if let Some(place) = TREND_DAYS.checked_sub(ago + 1) {
                self.days[place] = busy(day);
            }
            if let Some(begin) = LEARNT_DAYS.checked_sub(ago + 1) {
                let slots = &mut self.slots[begin * DAY..(begin + 1) * DAY];
                for (slot, value) in slots.iter_mut().zip(day) {
                    *slot = *value as f32;
                }
            }
        }
    }
}

/// Whether the labels can be passed on beside those of the forecast, and are bounded.
fn named(labels: &Labels) -> bool {
    labels.len() <= MOST_LABELS
        && labels.iter().all(|(name, value)| {
            !OWN_LABELS.contains(&name.as_str()) && value.len() <= LONGEST_LABEL
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_land_where_they_belong() {
        let mut raw = Raw {
            slots: vec![f32::NAN; LEARNT_DAYS * DAY],
            days: vec![f64::NAN; TREND_DAYS],
        };
        raw.put(0, 1, &[7.0; DAY]);
        // Two days, of which the younger one is still learnt from.
        let two = [vec![1.0; DAY], vec![2.0; DAY]].concat();
        raw.put(LEARNT_DAYS - 1, 2, &two);
        assert_eq!(raw.slots[0], 2.0);
        assert_eq!(raw.slots[DAY - 1], 2.0);
        assert!(raw.slots[DAY].is_nan());
        assert_eq!(raw.slots[LEARNT_DAYS * DAY - 1], 7.0);
        assert_eq!(raw.days[TREND_DAYS - 1], 7.0);
        assert_eq!(raw.days[TREND_DAYS - LEARNT_DAYS], 2.0);
        assert_eq!(raw.days[TREND_DAYS - LEARNT_DAYS - 1], 1.0);
    }

    #[test]
    fn labels_of_the_forecast_itself_and_endless_ones_are_refused() {
        let labels = |name: &str, value: &str| Labels::from([(name.to_owned(), value.to_owned())]);
        assert!(named(&labels("device", "r1")));
        assert!(!named(&labels("horizon", "1h")));
        assert!(!named(&labels("device", &"x".repeat(257))));
    }
}
