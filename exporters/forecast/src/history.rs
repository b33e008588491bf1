//! The history of many series from Prometheus, a day at a time, in bounded memory.

use std::collections::BTreeMap;

use inventory::Shard;
use promapi::{Error, Labels, Prometheus, Range};

use crate::{DAY, SLOT};

mod raw;

pub use raw::Raw;

/// Days that models learn from.
pub const LEARNT_DAYS: usize = 28;
/// Days that a trend is made of: twelve weeks.
pub const TREND_DAYS: usize = 84;
/// Values of one answer, about.
const ANSWER: usize = 400_000;
/// Most days of one question.
const MOST_DAYS: usize = 14;
/// Days that say which series there are: a line that was down for a week is a new one.
const FOUND_DAYS: usize = 7;
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

/// Which series are taken in.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// How many at most; those that come first.
    pub most: usize,
    /// The shard that owns their devices.
    pub shard: Shard,
}

impl Taken {
    /// Whether a series is another shard's. One without a device belongs to the first.
    fn elsewhere(self, labels: &Labels) -> bool {
        match labels.get("device") {
            Some(device) => !self.shard.owns(device),
            None => !self.shard.owns(""),
        }
    }
}

/// Asks for the history of `query` up to `end`.
///
/// # Errors
/// Why there is no answer to one of the questions.
pub async fn fetch(
    client: &Prometheus,
    query: &str,
    end: i64,
    taken: Taken,
) -> Result<History, Error> {
    let mut history = History {
        end,
        ..History::default()
    };
    // The newest days say which series there are.
    take(client, query, &mut history, 0, 1, Some(taken)).await?;
    let values = (history.series.len() * DAY).max(1);
    let stride = (ANSWER / values).clamp(1, MOST_DAYS);
    let mut back = 1;
    while back < TREND_DAYS && !(history.series.is_empty() && back >= FOUND_DAYS) {
        let found = back < FOUND_DAYS;
        let until = if found { FOUND_DAYS } else { TREND_DAYS };
        let days = stride.min(until - back);
        take(
            client,
            query,
            &mut history,
            back,
            days,
            found.then_some(taken),
        )
        .await?;
        back += days;
    }
    Ok(history)
}

/// Asks for `days` days, the last of which ends `back` days before the end; with `taken` new series are taken in.
async fn take(
    client: &Prometheus,
    query: &str,
    history: &mut History,
    back: usize,
    days: usize,
    taken: Option<Taken>,
) -> Result<(), Error> {
    let last = history.end - back as i64 * DAY_SECONDS;
    let first = last - days as i64 * DAY_SECONDS + SLOT;
    let (mut too_many, mut unnamed) = (0, 0);
    for (labels, values) in slots(client, query, first, last).await? {
        if let Some(taken) = taken {
            if !named(&labels) {
                unnamed += 1;
                continue;
            }
            if taken.elsewhere(&labels) {
                continue;
            }
            if history.series.len() < taken.most {
                history.series.entry(labels.clone()).or_default();
            }
        }
        match history.series.get_mut(&labels) {
            Some(raw) => raw.put(back, days, &values),
            None => too_many += usize::from(taken.is_some()),
        }
    }
    history.too_many = history.too_many.max(too_many);
    history.unnamed = history.unnamed.max(unnamed);
    Ok(())
}

/// The values of the slots that end at `first` to `last`, by series; NaN where there is none.
async fn slots(
    client: &Prometheus,
    query: &str,
    first: i64,
    last: i64,
) -> Result<Vec<(Labels, Vec<f64>)>, Error> {
    let range = Range {
        start: first as f64,
        end: last as f64,
        step: SLOT as f64,
    };
    let count = usize::try_from((last - first) / SLOT + 1).unwrap_or(0);
    let answer = client.range(query, range).await?.series.into_iter();
    Ok(answer
        .map(|mut series| {
            series.labels.remove("__name__");
            let mut values = vec![f64::NAN; count];
            for (at, value) in series.points {
                let slot = (at.round() as i64 - first).div_euclid(SLOT);
                let slot = usize::try_from(slot).ok().filter(|_| value.is_finite());
                if let Some(place) = slot.and_then(|slot| values.get_mut(slot)) {
                    *place = value;
                }
            }
            (series.labels, values)
        })
        .collect())
}

/// What came after `end` up to `until`: one value for each slot, of the series that may be taken in.
///
/// # Errors
/// Why there is no answer.
pub async fn since(
    client: &Prometheus,
    query: &str,
    end: i64,
    until: i64,
    shard: Shard,
) -> Result<Vec<(Labels, Vec<f64>)>, Error> {
    let mut series = slots(client, query, end + SLOT, until).await?;
    let taken = Taken { most: 0, shard };
    series.retain(|(labels, _)| named(labels) && !taken.elsewhere(labels));
    Ok(series)
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
    fn labels_of_the_forecast_itself_and_endless_ones_are_refused() {
        let labels = |name: &str, value: &str| Labels::from([(name.to_owned(), value.to_owned())]);
        assert!(named(&labels("device", "r1")));
        assert!(!named(&labels("horizon", "1h")));
        assert!(!named(&labels("device", &"x".repeat(257))));
    }
}
