//! What was, will be: the forms that ask nothing of a library, and that every other model has to beat.

use serde::{Deserialize, Serialize};

use super::{Error, Learnt, Model, Past};
use crate::DAY;

/// Cycles that a profile averages at most.
const CYCLES: usize = 4;

/// The same slot of the last season.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naive {
    /// Length of the season in slots.
    pub period: usize,
}

/// The mean of the same slot of the last few seasons, without the highest and the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Length of the season in slots.
    pub period: usize,
}

impl Model for Naive {
    fn name(&self) -> &'static str {
        if self.period == DAY {
            "daily_naive"
        } else {
            "weekly_naive"
        }
    }

    fn learn(&self, past: Past<'_>) -> Result<Learnt, Error> {
        past.usable(self.period)?;
        Ok(Learnt::Naive(*self))
    }
}

impl Naive {
    pub(super) fn forecast(&self, past: Past<'_>, steps: usize) -> Result<Vec<f64>, Error> {
        past.usable(self.period)?;
        let season = &past.values[past.values.len() - self.period..];
        Ok(season.iter().copied().cycle().take(steps).collect())
    }
}

impl Model for Profile {
    fn name(&self) -> &'static str {
        "profile"
    }

    fn learn(&self, past: Past<'_>) -> Result<Learnt, Error> {
        past.usable(2 * self.period)?;
        Ok(Learnt::Profile(*self))
    }
}

impl Profile {
    pub(super) fn forecast(&self, past: Past<'_>, steps: usize) -> Result<Vec<f64>, Error> {
        past.usable(2 * self.period)?;
        let history = past.values;
        let cycles = (history.len() / self.period).min(CYCLES);
        let start = history.len() - cycles * self.period;
        let middle = |slot: usize| {
            let same = history[start + slot..].iter().step_by(self.period);
            let mut same: Vec<f64> = same.copied().collect();
            same.sort_unstable_by(f64::total_cmp);
            // The mean of the middle half: as steady as a mean, and one strange week is nothing.
            let cut = if cycles > 2 { 1 } else { 0 };
            let kept = &same[cut..cycles - cut];
            kept.iter().sum::<f64>() / kept.len() as f64
        };
        let season: Vec<f64> = (0..self.period.min(steps)).map(middle).collect();
        Ok(season.iter().copied().cycle().take(steps).collect())
    }
}
