//! Direct multi-step regression: how far a series is from the median of its last weeks tells how far it will be.
//!
//! For each three hours ahead, ridge regression of the distance to the median of the same slot of the last seasons on that distance in the last
//! hour, six hours, day and week, and at the same time of the day before (direct forecasts: Marcellino, Stock and Watson 2006). No library has
//! it in this form; it learns a month in a millisecond and follows the level at no cost.

use serde::{Deserialize, Serialize};

use super::{Error, Learnt, Model, Past};
use crate::clean::median;
use crate::{DAY, WEEK};

/// Seasons whose median is the base.
const CYCLES: usize = 3;
/// What the distance is told from.
const FEATURES: usize = 5;
/// Slots ahead that share their weights.
const BUCKET: usize = 12;
const BUCKETS: usize = DAY / BUCKET;
/// Slots from one beginning that is learnt from to the next.
const STRIDE: usize = 6;
/// What pulls the weights to 0, as a part of the mean square of what they weigh.
const RIDGE: f64 = 0.05;
/// Distances are learnt up to this many standard deviations.
const WINSOR: f64 = 4.0;

type Row = [f64; FEATURES];

/// The model with its season.
#[derive(Debug, Clone, Copy)]
pub struct Direct {
    /// Length of the season in slots.
    pub period: usize,
}

/// The weights that were learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    period: usize,
    edge: f64,
    buckets: [Row; BUCKETS],
}

/// Distances from the base, from the slot `first` on, with their running sums.
struct Distances {
    first: usize,
    values: Vec<f64>,
    sums: Vec<f64>,
}

/// The median of the same slot of the last seasons that had ended before `known`; nothing before there was one.
fn base(values: &[f64], period: usize, slot: usize, known: usize) -> Option<f64> {
    let nearest = (slot + 1).saturating_sub(known).div_ceil(period).max(1);
    let mut same = [0.0; CYCLES];
    let mut count = 0;
    for cycle in nearest..nearest + CYCLES {
        let Some(at) = slot.checked_sub(cycle * period) else {
            break;
        };
        same[count] = values[at];
        count += 1;
    }
    (count > 0).then(|| median(&mut same[..count]))
}

impl Distances {
    /// Of the last `count` slots.
    fn of(values: &[f64], period: usize, count: usize) -> Self {
        let first = period.max(values.len().saturating_sub(count));
        let distance =
            |slot: usize| values[slot] - base(values, period, slot, slot).unwrap_or(values[slot]);
        let values: Vec<f64> = (first..values.len()).map(distance).collect();
        Self {
            first,
            values,
            sums: Vec::new(),
        }
        .summed()
    }

    fn summed(mut self) -> Self {
        let mut sum = 0.0;
        self.sums = std::iter::once(0.0)
            .chain(self.values.iter().map(|value| {
                sum += value;
                sum
            }))
            .collect();
        self
    }

    /// What is beyond is unusual.
    fn edge(&self) -> f64 {
        let mut sizes: Vec<f64> = self.values.iter().map(|value| value.abs()).collect();
        // Where most are alike something has to be left to differ.
        (WINSOR * 1.4826 * median(&mut sizes)).max(0.05)
    }

    /// Unusual distances are cut off, so that one strange day is neither what is learnt nor what is told from.
    fn winsorised(mut self, edge: f64) -> Self {
        for value in &mut self.values {
            *value = value.clamp(-edge, edge);
        }
        self.summed()
    }

    /// The mean of the `count` slots before `end`, or of as many as there are.
    fn mean(&self, end: usize, count: usize) -> f64 {
        let end = end - self.first;
        let begin = end.saturating_sub(count);
        (self.sums[end] - self.sums[begin]) / (end - begin).max(1) as f64
    }

    /// What tells the distance `ahead` slots after the last known one, the one before `known`.
    fn features(&self, known: usize, ahead: usize) -> Row {
        let slot = known + ahead;
        let before = slot - DAY * (ahead / DAY + 1);
        let end = (before + 3).min(known);
        [
            self.mean(known, 4),
            self.mean(known, 24),
            self.mean(known, DAY),
            self.mean(known, WEEK),
            self.mean(end, end - (before - 2).max(self.first)),
        ]
    }
}

impl Model for Direct {
    fn name(&self) -> &'static str {
        if self.period == DAY {
            "direct_daily"
        } else {
            "direct_weekly"
        }
    }

    fn learn(&self, past: Past<'_>) -> Result<Learnt, Error> {
        past.usable(2 * self.period + 3 * DAY)?;
        let last = past.values.len();
        let distances = Distances::of(past.values, self.period, last);
        let edge = distances.edge();
        let distances = distances.winsorised(edge);
        let begin = distances.first + DAY + 2;
        let mut buckets = [[0.0; FEATURES]; BUCKETS];
        for (bucket, weights) in buckets.iter_mut().enumerate() {
            let mut normal = [[0.0; FEATURES]; FEATURES];
            let mut right = [0.0; FEATURES];
            for known in (begin..last - DAY).step_by(STRIDE) {
                for ahead in [2, 6, 10].map(|ahead| bucket * BUCKET + ahead) {
                    let row = distances.features(known, ahead);
                    let is = distances.values[known + ahead - distances.first];
                    for i in 0..FEATURES {
                        right[i] += row[i] * is;
                        for j in 0..=i {
                            normal[i][j] += row[i] * row[j];
                        }
                    }
                }
            }
            *weights = solve(normal, right);
        }
        Ok(Learnt::Direct(Box::new(Weights {
            period: self.period,
            edge,
            buckets,
        })))
    }
}

/// The weights by Cholesky's decomposition of the lower half of the normal equations, with the ridge; 0 where there is nothing to learn.
fn solve(mut normal: [Row; FEATURES], right: Row) -> Row {
    let trace: f64 = (0..FEATURES).map(|i| normal[i][i]).sum();
    if trace <= 0.0 {
        return [0.0; FEATURES];
    }
    for i in 0..FEATURES {
        normal[i][i] += RIDGE * trace / FEATURES as f64;
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| normal[i][k] * normal[j][k]).sum();
            let value = normal[i][j] - sum;
            normal[i][j] = if i == j {
                value.max(f64::MIN_POSITIVE).sqrt()
            } else {
                value / normal[j][j]
            };
        }
    }
    let mut weights = right;
    for i in 0..FEATURES {
        let sum: f64 = (0..i).map(|k| normal[i][k] * weights[k]).sum();
        weights[i] = (weights[i] - sum) / normal[i][i];
    }
    for i in (0..FEATURES).rev() {
        let sum: f64 = (i + 1..FEATURES).map(|k| normal[k][i] * weights[k]).sum();
        weights[i] = (weights[i] - sum) / normal[i][i];
    }
    weights
}

impl Weights {
    /// The weights of a slot ahead, between those of the two nearest buckets.
    fn at(&self, ahead: usize) -> Row {
        let place = ((ahead as f64 + 0.5) / BUCKET as f64 - 0.5).clamp(0.0, (BUCKETS - 1) as f64);
        let below = place as usize;
        let above = (below + 1).min(BUCKETS - 1);
        let part = place - below as f64;
        std::array::from_fn(|i| {
            let (a, b) = (self.buckets[below][i], self.buckets[above][i]);
            a + (b - a) * part
        })
    }
}

impl Weights {
    pub(super) fn forecast(&self, past: Past<'_>, steps: usize) -> Result<Vec<f64>, Error> {
        past.usable(self.period + WEEK.min(2 * self.period))?;
        let last = past.values.len();
        let distances = Distances::of(past.values, self.period, WEEK + DAY).winsorised(self.edge);
        let forecast = (0..steps).map(|ahead| {
            let row = distances.features(last, ahead);
            let distance: f64 = row
                .iter()
                .zip(self.at(ahead))
                .map(|(is, weight)| is * weight)
                .sum();
            base(past.values, self.period, last + ahead, last).unwrap_or(0.0)
                + distance.clamp(-self.edge, self.edge)
        });
        Ok(forecast.collect())
    }
}
