//! The band round a forecast: split conformal, from the errors of the days that were played back.

use crate::DAY;
use crate::clean::quantile;

/// Slots to each side whose errors count for a step.
const NEAR: usize = 8;

/// What is added to the forecast of each step of a day for its lower and upper edge, as logarithms; the edges hold nine tenths.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// The lower edge, 0 or below.
    pub low: Vec<f64>,
    /// The upper edge, 0 or above.
    pub high: Vec<f64>,
}

impl Band {
    /// The band from errors (truth less forecast, as logarithms) of days that were played back.
    #[must_use]
    pub fn of(errors: &[Vec<f64>]) -> Self {
        let edges = (0..DAY).map(|step| {
            let near = step.saturating_sub(NEAR)..(step + NEAR + 1).min(DAY);
            let mut pool: Vec<f64> = errors
                .iter()
                .flat_map(|day| day.iter().take(near.end).skip(near.start))
                .copied()
                .collect();
            // The next error is one more draw: the finite-sample form of Vovk's rule.
            let more = (pool.len() + 1) as f64 / pool.len().max(1) as f64;
            let outer = (0.95 * more).min(1.0);
            let low = quantile(&mut pool, 1.0 - outer).min(0.0);
            (low, quantile(&mut pool, outer).max(0.0))
        });
        let (low, high) = edges.unzip();
        Self { low, high }
    }

    /// The edges of a step, however many days ahead.
    #[must_use]
    pub fn at(&self, step: usize) -> (f64, f64) {
        (self.low[step % DAY], self.high[step % DAY])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_holds_nine_tenths_of_errors_like_those_it_was_made_of() {
        let mut random = fastrand::Rng::with_seed(11);
        // The sum of three uniform numbers: close to a bell.
        let mut day = |wide: f64| -> Vec<f64> {
            let mut one = || (0..3).map(|_| random.f64() - 0.5).sum::<f64>();
            (0..DAY)
                .map(|step| one() * (wide + step as f64 / 96.0))
                .collect()
        };
        let (mut inside, mut all) = (0.0, 0.0);
        for _ in 0..60 {
            let days: Vec<Vec<f64>> = (0..7).map(|_| day(0.2)).collect();
            let band = Band::of(&days);
            for (step, error) in day(0.2).iter().enumerate() {
                let (low, high) = band.at(step);
                inside += f64::from(u8::from((low..=high).contains(error)));
                all += 1.0;
            }
        }
        let covered = inside / all;
        assert!((0.88..=0.93).contains(&covered), "{covered}");
    }

    #[test]
    fn the_band_is_always_round_the_forecast() {
        let band = Band::of(&[vec![0.3; DAY], vec![0.2; DAY]]);
        assert!(band.low.iter().all(|low| *low <= 0.0));
        assert!((band.at(3 * DAY + 5).1 - 0.3).abs() < 1e-9);
    }
}
