//! What must not be learnt is taken out of a history, and its gaps are filled.

use crate::{DAY, WEEK};

/// Fewest slots that anything can be learnt from: three days.
pub const SHORTEST: usize = 3 * DAY;
/// Share of slots that may be missing.
const MOST_MISSING: f64 = 0.3;
/// The last value may be this many slots old.
const MOST_STALE: usize = 4;
/// Share of zeros up to which they count as outages.
const FEW_ZEROS: f64 = 0.1;
/// Slots to each side that a value is compared with.
const NEIGHBOURS: usize = 4;
/// A spike differs by this, as a logarithm: a factor of 4.5.
const SPIKE: f64 = 1.5;
/// What happened once differs by this, as a logarithm: a factor of 2.
const UNLIKE: f64 = 0.7;
/// It takes so many slots: two hours to a day and a half.
const SHORTEST_EPISODE: usize = 8;
const LONGEST_EPISODE: usize = 144;
/// Longest gap, in slots, that a straight line fills.
const SHORT_GAP: usize = 4;

/// A history fit for learning: one finite value, 0 or more, for each slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Cleaned {
    /// The values, oldest first; the last is of the last slot.
    pub values: Vec<f64>,
    /// Values that were taken out: impossible ones, spikes, outages.
    pub removed: usize,
    /// Slots that were filled.
    pub filled: usize,
    /// Whether each value is what was measured.
    pub known: Vec<bool>,
    /// What is added before a logarithm is taken, in the unit of the values.
    pub offset: f64,
}

/// Why a history teaches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unfit {
    /// There is no value.
    Empty,
    /// It has less than three days.
    Short,
    /// All values are the same.
    Constant,
    /// Some value is below 0.
    Negative,
    /// The newest values are missing.
    Stale,
    /// Too many values are missing.
    Gaps,
}

/// Cleans `raw`, one value for each slot, NaN where there is none. Values above `ceiling` are impossible.
///
/// # Errors
/// Why it teaches nothing.
pub fn clean(raw: &[f64], ceiling: Option<f64>) -> Result<Cleaned, Unfit> {
    let known = |value: &f64| value.is_finite();
    if raw
        .iter()
        .filter(|value| known(value))
        .any(|value| *value < 0.0)
    {
        return Err(Unfit::Negative);
    }
    let mut values: Vec<f64> = raw.to_vec();
    let mut removed = 0;
    let mut remove = |values: &mut [f64], at: usize| {
        values[at] = f64::NAN;
        removed += 1;
    };
    for at in 0..values.len() {
        let impossible = ceiling.is_some_and(|ceiling| values[at] > ceiling);
        if impossible || values[at].is_infinite() {
            remove(&mut values, at);
        }
    }
    let Some(first) = values.iter().position(known) else {
        return Err(Unfit::Empty);
    };
    values.drain(..first);
    if values.len() < SHORTEST {
        return Err(Unfit::Short);
    }
    let fresh = values.iter().rev().take(MOST_STALE).any(known);
    if !fresh {
        return Err(Unfit::Stale);
    }
    let middle = median(&mut values.iter().copied().filter(known).collect::<Vec<_>>());
    let zeros = values.iter().filter(|value| **value == 0.0).count();
    if middle > 0.0 && (zeros as f64) < FEW_ZEROS * values.len() as f64 {
        for at in 0..values.len() {
            if values[at] == 0.0 {
                remove(&mut values, at);
            }
        }
    }
    let offset = offset(&values);
    for at in spikes(&values, offset) {
        remove(&mut values, at);
    }
    for at in episodes(&values, offset) {
        remove(&mut values, at);
    }
    let missing = values.iter().filter(|value| !known(value)).count();
    if missing as f64 > MOST_MISSING * values.len() as f64 {
        return Err(Unfit::Gaps);
    }
    let measured = values.iter().map(known).collect();
    fill(&mut values);
    let (least, most) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &value| {
            (a.min(value), b.max(value))
        });
    if most - least <= 1e-9 * most {
        return Err(Unfit::Constant);
    }
    Ok(Cleaned {
        values,
        removed,
        filled: missing,
        known: measured,
        offset,
    })
}

/// A hundredth of the median of what is not 0, so that zeros have a logarithm that is no outlier.
fn offset(values: &[f64]) -> f64 {
    let mut positive: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| *value > 0.0)
        .collect();
    if positive.is_empty() {
        1.0
    } else {
        0.01 * median(&mut positive)
    }
}

/// Slots whose value is like neither its neighbours nor the same slot of other days, by Hampel's rule in logarithms.
fn spikes(values: &[f64], offset: f64) -> Vec<usize> {
    let logs: Vec<f64> = values.iter().map(|value| (value + offset).ln()).collect();
    let mut found = Vec::new();
    for (at, &log) in logs.iter().enumerate() {
        if !log.is_finite() {
            continue;
        }
        let near = (at.saturating_sub(NEIGHBOURS)..logs.len().min(at + NEIGHBOURS + 1))
            .filter(|&other| other != at);
        let far = (at % DAY..logs.len())
            .step_by(DAY)
            .filter(|&other| other != at);
        if strange(log, &logs, near) && strange(log, &logs, far) {
            found.push(at);
        }
    }
    found
}

/// Slots of what happened once: of two hours to a day and a half that are like neither the other weeks nor the other days, such as a day on
/// which traffic took another way, a holiday or an attack. What still goes on at the end may be how it is from now on, and stays.
fn episodes(values: &[f64], offset: f64) -> Vec<usize> {
    if values.len() < 3 * WEEK {
        return Vec::new();
    }
    let logs: Vec<f64> = values.iter().map(|value| (value + offset).ln()).collect();
    let usual = |period: usize| -> Vec<(f64, f64)> {
        let of = |phase: usize| {
            let same = logs[phase..].iter().step_by(period).copied();
            let mut same: Vec<f64> = same.filter(|log| log.is_finite()).collect();
            let middle = median(&mut same);
            let mut spread: Vec<f64> = same.iter().map(|log| (log - middle).abs()).collect();
            (middle, 1.4826 * median(&mut spread))
        };
        (0..period).map(of).collect()
    };
    let (weeks, days) = (usual(WEEK), usual(DAY));
    // A week has too few others for a spread of its own.
    let mut all: Vec<f64> = weeks.iter().map(|(_, spread)| *spread).collect();
    let typical = median(&mut all);
    let strange = |at: usize| {
        let (week, _) = weeks[at % WEEK];
        let (day, spread) = days[at % DAY];
        let (from_week, from_day) = (logs[at] - week, logs[at] - day);
        from_week.abs() > UNLIKE.max(6.0 * typical)
            && from_day.abs() > UNLIKE.max(3.0 * spread)
            && (from_week > 0.0) == (from_day > 0.0)
    };
    let mut found = Vec::new();
    let mut run: Vec<usize> = Vec::new();
    let mut close = |run: &mut Vec<usize>| {
        let goes_on = run
            .last()
            .is_some_and(|last| last + LONGEST_EPISODE / 4 >= logs.len());
        if (SHORTEST_EPISODE..=LONGEST_EPISODE).contains(&run.len()) && !goes_on {
            found.append(run);
        }
        run.clear();
    };
    for (at, log) in logs.iter().enumerate() {
        if log.is_finite() && strange(at) {
            if run.last().is_some_and(|last| at - last > NEIGHBOURS) {
                close(&mut run);
            }
            run.push(at);
        }
    }
    close(&mut run);
    found
}

fn strange(log: f64, logs: &[f64], others: impl Iterator<Item = usize>) -> bool {
    let mut others: Vec<f64> = others
        .map(|other| logs[other])
        .filter(|other| other.is_finite())
        .collect();
    if others.len() < 2 {
        return false;
    }
    let middle = median(&mut others);
    let mut spread: Vec<f64> = others.iter().map(|other| (other - middle).abs()).collect();
    let distance = (log - middle).abs();
    distance > SPIKE && distance > 6.0 * 1.4826 * median(&mut spread)
}

/// Fills what is not finite: short gaps by a line, longer ones from the other weeks, then the nearest day, that have the slot, then by a line.
fn fill(values: &mut [f64]) {
    let given = values.to_vec();
    let mut at = 0;
    while at < given.len() {
        if given[at].is_finite() {
            at += 1;
            continue;
        }
        let end = (at..given.len())
            .find(|&slot| given[slot].is_finite())
            .unwrap_or(given.len());
        let long = end - at > SHORT_GAP;
        for (place, slot) in values[at..end].iter_mut().zip(at..) {
            let season = long.then(|| seasonal(&given, slot)).flatten();
            *place = season.unwrap_or_else(|| line(&given, at, end, slot));
        }
        at = end;
    }
}

/// The mean of the same slot of the other weeks, else that of the nearest other day.
fn seasonal(given: &[f64], slot: usize) -> Option<f64> {
    let known = |value: &f64| value.is_finite();
    let weeks = given[slot % WEEK..].iter().step_by(WEEK).copied();
    let (sum, count) = weeks
        .filter(known)
        .fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 {
        return Some(sum / count);
    }
    (1..=given.len() / DAY).find_map(|times| {
        let before = slot.checked_sub(times * DAY).map(|slot| given[slot]);
        let after = given.get(slot + times * DAY).copied();
        before.into_iter().chain(after).find(known)
    })
}

/// Between the values beside the gap from `from` to before `to`; at an end of the history the one there is.
fn line(given: &[f64], from: usize, to: usize, slot: usize) -> f64 {
    let before = from.checked_sub(1).and_then(|slot| given.get(slot));
    match (before, given.get(to)) {
        (Some(before), Some(after)) => {
            let part = (slot + 1 - from) as f64 / (to + 1 - from) as f64;
            before + (after - before) * part
        }
        (Some(one), None) | (None, Some(one)) => *one,
        (None, None) => 0.0,
    }
}

/// The median of finite values; 0 of none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which the share `q` lies, between the two nearest ranks; 0 of none.
pub(crate) fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else {
        return 0.0;
    };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor();
    let (low, high) = (values[below as usize], values[place.ceil() as usize]);
    low + (high - low) * (place - below)
}

#[cfg(test)]
mod tests;
