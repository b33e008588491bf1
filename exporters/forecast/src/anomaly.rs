//! How unlike its forecast a series is now.
//!
//! A forecast that is a little high stays so for hours, which is no anomaly. So the slow part of the error is followed and taken off, and what
//! comes suddenly is measured by what came suddenly on the days that were played back.

use serde::{Deserialize, Serialize};

use crate::DAY;
use crate::backtest::STRIDE;
use crate::clean::quantile;

/// The part of an error that the level follows in a slot.
const FOLLOW: f64 = 0.5;
/// The share of sudden errors that lie within the edge.
const WITHIN: f64 = 0.99;
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
    /// The edge by the hour of the day.
    edges: [f32; HOURS],
}

impl Tracker {
    /// A tracker whose edges are those of the errors of forecasts that were played back; the slot after the first beginning is at the place
    /// `phase` of its day, and the others follow in strides.
    pub(crate) fn of(errors: &[Vec<f64>], phase: usize) -> Self {
        let mut sudden = Vec::new();
        for (at, day) in errors.iter().enumerate() {
            let mut level = day
                .iter()
                .copied()
                .find(|error| error.is_finite())
                .unwrap_or(0.0);
            for (step, error) in day
                .iter()
                .enumerate()
                .filter(|(_, error)| error.is_finite())
            {
                let hour = (phase + at * STRIDE + step) % DAY / HOUR;
                sudden.push((hour, (error - level).abs()));
                level += FOLLOW * (error - level);
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
        let mut scaled: Vec<f64> = sudden
            .iter()
            .map(|(hour, size)| size / scales[*hour].max(1e-9))
            .collect();
        let edge = quantile(&mut scaled, WITHIN);
        Self {
            level: 0.0,
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
        self.level += FOLLOW * sudden;
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
