//! How unlike its forecast a series is now.
//!
//! A forecast that is a little high stays so for hours, which is no anomaly. So the slow part of the error is followed and taken off, as quickly
//! as it was best followed on the days that were played back. What comes suddenly is measured by what came suddenly on those days and stayed
//! for a second quarter of an hour: one strange value is nothing to wake anybody for, and a series that has many must not hide a change that lasts.

use serde::{Deserialize, Serialize};

use crate::DAY;
use crate::backtest::STRIDE;
use crate::clean::quantile;

/// The parts of an error that a level may follow in a slot; the one with the least edge is taken, the first of equal ones.
const GAINS: [f64; 5] = [0.5, 0.7, 0.35, 0.2, 0.1];
/// The share of sudden errors that stayed for a second slot and lie within the edge, which is that much wider: the days to come are a little less
/// like those played back than these are like each other.
const WITHIN: f64 = 0.99;
const WIDER: f64 = 1.2;
/// An edge is at least a tenth wide, as a logarithm: what is steadier than that is not worth waking anybody.
const NARROWEST: f64 = 0.095;

/// Parts of a day that have a scale of their own.
const HOURS: usize = 24;
/// Slots of an hour.
const HOUR: usize = DAY / HOURS;
/// The part of a scale by time of day that is that of the whole day.
const SHRINK: f64 = 0.5;

/// The level that is followed, and the edges.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tracker {
    level: f64,
    /// The part of an error that the level follows in a slot.
    gain: f64,
    /// The edge by the hour of the day.
    edges: [f32; HOURS],
}

impl Tracker {
    /// A tracker whose edges are those of the errors of forecasts that were played back; the slot after the first beginning is at the place
    /// `phase` of its day, and the others follow in strides.
    pub(crate) fn of(errors: &[Vec<f64>], phase: usize) -> Self {
        let all = GAINS.map(|gain| Self::with(errors, phase, gain));
        let wide = |tracker: &Self| tracker.edges.iter().sum::<f32>();
        let least = |one: Self, other: Self| {
            if wide(&other) < wide(&one) {
                other
            } else {
                one
            }
        };
        all.into_iter().reduce(least).unwrap_or(all[0])
    }

    /// A tracker that follows by this part.
    fn with(errors: &[Vec<f64>], phase: usize, gain: f64) -> Self {
        // Sudden errors, and the lesser of two in a row on the same side, with their hours.
        let (mut sudden, mut lasting) = (Vec::new(), Vec::new());
        for (at, day) in errors.iter().enumerate() {
            let known = |error: &&f64| error.is_finite();
            let mut level = day.iter().find(known).copied().unwrap_or(0.0);
            let mut first: Option<(f64, f64)> = None;
            for (step, error) in day.iter().enumerate() {
                if !error.is_finite() {
                    first = None;
                    continue;
                }
                let hour = (phase + at * STRIDE + step) % DAY / HOUR;
                if let Some((before, one)) = first {
                    let two = error - before;
                    let least = if one * two > 0.0 {
                        one.abs().min(two.abs())
                    } else {
                        0.0
                    };
                    lasting.push((hour, least));
                }
                let one = error - level;
                sudden.push((hour, one.abs()));
                first = Some((level, one));
                level += gain * one;
            }
        }
        let all = sudden.iter().map(|(_, size)| size).sum::<f64>() / sudden.len().max(1) as f64;
        let mut hours = [(0.0, 0.0); HOURS];
        for (hour, size) in &sudden {
            for near in [hour + HOURS - 1, *hour, hour + 1] {
                let (sum, count) = &mut hours[near % HOURS];
                (*sum, *count) = (*sum + size, *count + 1.0);
            }
        }
        let scales = hours.map(|(sum, count)| {
            let own = if count > 0.0 { sum / count } else { all };
            SHRINK * all + (1.0 - SHRINK) * own
        });
        let mut scaled: Vec<f64> = lasting
            .iter()
            .map(|(hour, size)| size / scales[*hour].max(1e-9))
            .collect();
        let edge = WIDER * quantile(&mut scaled, WITHIN);
        Self {
            level: 0.0,
            gain,
            edges: scales.map(|scale| (edge * scale).max(NARROWEST) as f32),
        }
    }

    fn edge(&self, phase: usize) -> f64 {
        f64::from(self.edges[phase % DAY / HOUR])
    }

    /// The score of an error in the slot at this place of its day: 1 at the edge.
    pub(crate) fn score(&self, error: f64, phase: usize) -> f64 {
        (error - self.level).abs() / self.edge(phase)
    }

    /// Follows the error of a slot; one beyond the edge moves the level no further than the edge would.
    pub(crate) fn follow(&mut self, error: f64, phase: usize) {
        let edge = self.edge(phase);
        let sudden = (error - self.level).clamp(-edge, edge);
        self.level += self.gain * sudden;
    }

    /// Whether an error is above what is followed.
    pub(crate) fn above(&self, error: f64) -> bool {
        error > self.level
    }

    /// Goes on with a forecast from which errors differ by this.
    pub(crate) fn shift(&mut self, by: f64) {
        self.level += by;
    }

    /// Begins with the error that there is: a forecast is no anomaly at its first slot.
    pub(crate) fn begin(&mut self, error: f64) {
        self.level = error;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_error_is_no_anomaly_and_a_sudden_one_is() {
        let mut random = fastrand::Rng::with_seed(5);
        let day = |random: &mut fastrand::Rng| -> Vec<f64> {
            (0..96).map(|_| 0.2 + 0.1 * (random.f64() - 0.5)).collect()
        };
        let days: Vec<_> = (0..7).map(|_| day(&mut random)).collect();
        let mut tracker = Tracker::of(&days, 0);
        tracker.begin(0.2);
        for error in day(&mut random) {
            assert!(tracker.score(error, 0) < 1.5, "{tracker:?} {error}");
            tracker.follow(error, 0);
        }
        assert!(tracker.score(0.2 + 2.0_f64.ln(), 0) > 3.0);
        assert!(tracker.score(0.2 - 2.0_f64.ln(), 0) > 3.0);
    }

    #[test]
    fn a_lasting_change_becomes_the_level_in_hours_and_not_at_once() {
        let mut tracker = Tracker::of(&[vec![0.0; 96]], 0);
        tracker.follow(1.0, 0);
        assert!(tracker.score(1.0, 0) > 5.0);
        for _ in 0..96 {
            tracker.follow(1.0, 0);
        }
        assert!(tracker.score(1.0, 0) < 0.1);
    }
}
