//! What was, will be: the forms that ask nothing of a library, and that every other model has to beat.

use super::{Error, Model, usable};
use crate::DAY;

/// Cycles that a profile averages at most.
const CYCLES: usize = 4;

/// The same slot of the last season.
#[derive(Debug, Clone, Copy)]
pub struct Naive {
    /// Length of the season in slots.
    pub period: usize,
}

/// The mean of the same slot of the last few seasons.
#[derive(Debug, Clone, Copy)]
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

    fn forecast(&self, history: &[f64], steps: usize) -> Result<Vec<f64>, Error> {
        usable(history, self.period)?;
        let season = &history[history.len() - self.period..];
        Ok(season.iter().copied().cycle().take(steps).collect())
    }
}

impl Model for Profile {
    fn name(&self) -> &'static str {
        "profile"
    }

    fn forecast(&self, history: &[f64], steps: usize) -> Result<Vec<f64>, Error> {
        usable(history, 2 * self.period)?;
        let cycles = (history.len() / self.period).min(CYCLES);
        let start = history.len() - cycles * self.period;
        let mean = |slot: usize| {
            let same = history[start + slot..].iter().step_by(self.period);
            same.sum::<f64>() / cycles as f64
        };
        let season: Vec<f64> = (0..self.period).map(mean).collect();
        Ok(season.iter().copied().cycle().take(steps).collect())
    }
}
