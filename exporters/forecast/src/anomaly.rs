//! How unlike its forecast a series is now.
//!
//! A forecast that is a little high stays so for hours, which is no anomaly. So the slow part of the error is followed and taken off, and what
//! comes suddenly is measured by what came suddenly on the days that were played back.

use crate::clean::quantile;

/// The part of an error that the level follows in a slot.
const FOLLOW: f64 = 0.2;
/// The share of sudden errors that lie within the edge.
const WITHIN: f64 = 0.99;
/// An edge is at least a tenth wide, as a logarithm: what is steadier than that is not worth waking anybody.
const NARROWEST: f64 = 0.095;

/// The level that is followed, and the edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tracker {
    level: f64,
    edge: f64,
}

impl Tracker {
    /// A tracker whose edge is that of the errors of days that were played back.
    pub(crate) fn of(errors: &[Vec<f64>]) -> Self {
        let mut sudden = Vec::new();
        for day in errors {
            let mut level = day.first().copied().unwrap_or(0.0);
            for error in day {
                sudden.push((error - level).abs());
                level += FOLLOW * (error - level);
            }
        }
        Self {
            level: 0.0,
            edge: quantile(&mut sudden, WITHIN).max(NARROWEST),
        }
    }

    /// The score of an error: 1 at the edge.
    pub(crate) fn score(&self, error: f64) -> f64 {
        (error - self.level).abs() / self.edge
    }

    /// Follows the error of a slot; one beyond the edge moves the level no further than the edge would.
    pub(crate) fn follow(&mut self, error: f64) {
        let sudden = (error - self.level).clamp(-self.edge, self.edge);
        self.level += FOLLOW * sudden;
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
        let mut tracker = Tracker::of(&days);
        tracker.begin(0.2);
        for error in day(&mut random) {
            assert!(tracker.score(error) < 1.5, "{tracker:?} {error}");
            tracker.follow(error);
        }
        assert!(tracker.score(0.2 + 2.0_f64.ln()) > 3.0);
        assert!(tracker.score(0.2 - 2.0_f64.ln()) > 3.0);
    }

    #[test]
    fn a_lasting_change_becomes_the_level_in_hours_and_not_at_once() {
        let mut tracker = Tracker::of(&[vec![0.0; 96]]);
        tracker.follow(1.0);
        assert!(tracker.score(1.0) > 5.0);
        for _ in 0..96 {
            tracker.follow(1.0);
        }
        assert!(tracker.score(1.0) < 0.1);
    }
}
