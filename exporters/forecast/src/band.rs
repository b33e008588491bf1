//! The band round a forecast: split conformal (Vovk 2005), from the errors of the days that were played back.
//!
//! Errors grow with the distance and differ by the time of day, so both are taken out first; what is left has one pair of edges. Errors of one
//! day are alike, so that nine tenths of the days that are known hold less of the next one: the edges are widened until days left out of them
//! are covered as they say.

use serde::{Deserialize, Serialize};

use crate::DAY;
use crate::backtest::STRIDE;
use crate::clean::quantile;

/// Slots that share a scale by distance.
const BUCKET: usize = 12;
const BUCKETS: usize = DAY / BUCKET;
/// Parts of a day that have a scale of their own.
const HOURS: usize = 24;
/// Slots of an hour.
const HOUR: usize = DAY / HOURS;
/// The part of a scale by time of day that is that of the whole day.
const SHRINK: f64 = 0.5;
/// The part of what was left out that the edges hold: the days to come are a little less like these than they are like each other.
const HELD: f64 = 0.91;
/// The part of an edge that the band may be widened or narrowed to.
const WIDEST: f64 = 2.0;
const NARROWEST: f64 = 0.8;

/// What a day of misses, or of hits, moves a width by, as a logarithm: so far above or below nine tenths.
const GAIN: f64 = 1.0;
/// Furthest that a width may go, as a logarithm: a factor of 2.
const FURTHEST: f64 = 0.7;

/// How much wider or narrower bands have to be than the days played back say, learnt from what the bands that were told have held (adaptive
/// conformal inference: Gibbs and Candès 2021). In the long run they hold nine tenths of each series, whatever it does.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Width(f64);

impl Width {
    /// Takes in whether a slot was held.
    pub fn held(&mut self, inside: bool) {
        let missed = if inside { 0.0 } else { 1.0 };
        self.0 = (self.0 + GAIN / DAY as f64 * (missed - 0.1)).clamp(-FURTHEST, FURTHEST);
    }

    /// What edges are multiplied by.
    #[must_use]
    pub fn factor(self) -> f64 {
        self.0.exp()
    }
}

/// The edges, which hold nine tenths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// How far off forecasts are by distance, as logarithms.
    ahead: [f32; BUCKETS],
    /// The factor of it by the hour of the day.
    hours: [f32; HOURS],
    /// The lower and the upper edge, as parts of both.
    edges: (f32, f32),
}

impl Band {
    /// The band from errors (truth less forecast, as logarithms) of forecasts that were played back; those that are not finite are left
    /// out. The slot after the first beginning is at the place `phase` of its day, and the others follow in strides.
    #[must_use]
    pub fn of(errors: &[Vec<f64>], phase: usize) -> Self {
        let places = || {
            errors.iter().enumerate().flat_map(move |(at, day)| {
                let begin = phase + at * STRIDE;
                let slots = day.iter().enumerate();
                slots
                    .filter(|(_, error)| error.is_finite())
                    .map(move |(step, error)| (at, step, (begin + step) % DAY / HOUR, *error))
            })
        };
        let mean = |sums: (f64, f64)| if sums.1 > 0.0 { sums.0 / sums.1 } else { 0.0 };
        let mut hours = [(0.0, 0.0); HOURS];
        let mut all = (0.0, 0.0);
        for (_, _, hour, error) in places() {
            for near in [hour + HOURS - 1, hour, hour + 1] {
                hours[near % HOURS].0 += error.abs();
                hours[near % HOURS].1 += 1.0;
            }
            all = (all.0 + error.abs(), all.1 + 1.0);
        }
        let overall = mean(all).max(1e-9);
        let hours = hours.map(|hour| SHRINK + (1.0 - SHRINK) * mean(hour) / overall);
        let mut ahead = [(0.0, 0.0); BUCKETS];
        for (_, step, hour, error) in places() {
            let from = (step / BUCKET).saturating_sub(1);
            for (sum, count) in &mut ahead[from..(step / BUCKET + 2).min(BUCKETS)] {
                *sum += error.abs() / hours[hour];
                *count += 1.0;
            }
        }
        let ahead = ahead.map(|ahead| mean(ahead).max(1e-9));
        let scaled: Vec<(usize, f64)> = places()
            .map(|(at, step, hour, error)| (at, error / (hours[hour] * ahead[step / BUCKET])))
            .collect();
        let widened = widened(&scaled, errors.len());
        let (low, high) = edges(scaled.iter().map(|(_, error)| *error));
        Self {
            ahead: ahead.map(|ahead| ahead as f32),
            hours: hours.map(|hour| hour as f32),
            edges: ((low * widened) as f32, (high * widened) as f32),
        }
    }

    /// What is added to the forecast of a slot `step` ahead, at the place `phase` of its day, for its lower and upper edge, as logarithms.
    #[must_use]
    pub fn at(&self, step: usize, phase: usize) -> (f64, f64) {
        let ahead = self.ahead[(step / BUCKET).min(BUCKETS - 1)];
        let scale = f64::from(ahead * self.hours[phase % DAY / HOUR]);
        (
            scale * f64::from(self.edges.0),
            scale * f64::from(self.edges.1),
        )
    }
}

/// The edges that hold nine tenths; the lower is not above 0, nor the upper below.
fn edges(errors: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut pool: Vec<f64> = errors.collect();
    // The next error is one more draw: the finite-sample form of the rule.
    let outer = (0.95 * (pool.len() + 1) as f64 / pool.len().max(1) as f64).min(1.0);
    let low = quantile(&mut pool, 1.0 - outer).min(0.0);
    (low, quantile(&mut pool, outer).max(0.0))
}

/// The factor by which the edges of all forecasts but those that overlap one hold nine tenths of that one, on average.
fn widened(scaled: &[(usize, f64)], count: usize) -> f64 {
    // How far each error is from the forecast, as a part of the edge that the others give.
    let mut parts: Vec<f64> = Vec::with_capacity(scaled.len());
    for left in 0..count {
        let apart = |at: usize| at.abs_diff(left) * STRIDE >= DAY;
        let (low, high) = edges(
            scaled
                .iter()
                .filter(|(at, _)| apart(*at))
                .map(|(_, error)| *error),
        );
        let those = scaled.iter().filter(|(at, _)| *at == left);
        parts.extend(those.map(|(_, error)| {
            error
                / if *error < 0.0 {
                    low.min(-1e-9)
                } else {
                    high.max(1e-9)
                }
        }));
    }
    quantile(&mut parts, HELD).clamp(NARROWEST, WIDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors like those of a forecast: alike within a day, growing with the distance, larger by night.
    fn day(random: &mut fastrand::Rng) -> Vec<f64> {
        let mut one = || (0..3).map(|_| random.f64() - 0.5).sum::<f64>();
        let alike = 0.4 * one();
        let wide =
            |step: usize| (0.3 + step as f64 / 96.0) * if step % DAY < 24 { 2.0 } else { 1.0 };
        (0..DAY).map(|step| (alike + one()) * wide(step)).collect()
    }

    #[test]
    fn the_band_holds_nine_tenths_of_errors_like_those_it_was_made_of() {
        let mut random = fastrand::Rng::with_seed(11);
        let (mut inside, mut night, mut all) = (0.0, 0.0, 0.0);
        for _ in 0..60 {
            let days: Vec<Vec<f64>> = (0..13).map(|_| day(&mut random)).collect();
            // All of them begin at midnight.
            let band = Band::of(
                &days
                    .chunks(1)
                    .flat_map(|day| [day[0].clone(), Vec::new()])
                    .collect::<Vec<_>>(),
                0,
            );
            for (step, error) in day(&mut random).iter().enumerate() {
                let (low, high) = band.at(step, step);
                let holds = f64::from(u8::from((low..=high).contains(error)));
                inside += holds;
                night += if step < 24 { holds } else { 0.0 };
                all += 1.0;
            }
        }
        let (covered, night) = (inside / all, night / all * 4.0);
        assert!((0.88..=0.93).contains(&covered), "{covered}");
        assert!((0.86..=0.96).contains(&night), "{night}");
    }

    /// The errors to come are smaller, alike, or larger than those of the days played back.
    #[test]
    fn a_width_follows_until_nine_tenths_are_held() {
        let mut random = fastrand::Rng::with_seed(12);
        for times in [0.6, 1.0, 1.7] {
            let days: Vec<Vec<f64>> = (0..13).map(|_| day(&mut random)).collect();
            let band = Band::of(&days, 0);
            let mut width = Width::default();
            let (mut inside, mut all) = (0.0, 0.0);
            for past in 0..60 {
                let factor = width.factor();
                for (step, error) in day(&mut random).iter().enumerate() {
                    let (low, high) = band.at(step, step);
                    let held = (factor * low..=factor * high).contains(&(times * error));
                    width.held(held);
                    if past >= 20 {
                        inside += f64::from(u8::from(held));
                        all += 1.0;
                    }
                }
            }
            let covered = inside / all;
            assert!((0.88..=0.92).contains(&covered), "{times}: {covered}");
        }
        let mut width = Width::default();
        (0..100_000).for_each(|_| width.held(false));
        assert!(width.factor() < 2.1);
        (0..100_000).for_each(|_| width.held(true));
        assert!(width.factor() > 0.48);
    }

    #[test]
    fn the_band_is_always_round_the_forecast() {
        let band = Band::of(&[vec![0.3; DAY], vec![0.2; DAY]], 0);
        for step in 0..3 * DAY {
            let (low, high) = band.at(step, step);
            assert!(low <= 0.0 && high > 0.0, "{step}: {low} {high}");
        }
    }
}
