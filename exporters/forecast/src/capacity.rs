//! When a line is full: the trend of the busy hours of its weeks, carried on to what it can carry.

use crate::clean::quantile;

/// Fewest weeks that make a trend.
const FEWEST: usize = 4;
/// Further than this nothing is told; the line then never fills, as far as can be seen.
pub const HORIZON_DAYS: f64 = 180.0;
/// Draws of the bootstrap.
const DRAWS: usize = 400;
/// Fewest days of a week that has a value.
const DAYS: usize = 5;

/// The confidences that are told.
pub const CONFIDENCES: [f64; 2] = [0.5, 0.9];

/// The busy hours of each whole week before the end: the second highest of its days, so that one day is no trend. `days` are the 95th
/// percentiles of days, the last one of the day before the end; NaN where unknown. Oldest first.
#[must_use]
pub fn weeks(days: &[f64]) -> Vec<Option<f64>> {
    let mut weeks: Vec<Option<f64>> = days
        .rchunks_exact(7)
        .map(|week| {
            let mut known: Vec<f64> = week.iter().copied().filter(|day| day.is_finite()).collect();
            known.sort_unstable_by(f64::total_cmp);
            (known.len() >= DAYS).then(|| known[known.len() - 2])
        })
        .collect();
    weeks.reverse();
    weeks
}

/// Days until the busy hours reach `capacity`, by which they have done so with each of [`CONFIDENCES`]; infinite when not within
/// [`HORIZON_DAYS`]. Nothing where there are too few weeks or no capacity.
#[must_use]
pub fn saturation(weeks: &[Option<f64>], capacity: f64) -> Option<[f64; 2]> {
    let known: Vec<(f64, f64)> = weeks
        .iter()
        .rev()
        .enumerate()
        // The middle of a week is half a week before its end.
        .filter_map(|(back, week)| Some((-(7.0 * back as f64 + 3.5), (*week)?)))
        .collect();
    if known.len() < FEWEST || !capacity.is_finite() || capacity <= 0.0 {
        return None;
    }
    let (level, slope) = line(&known);
    let errors: Vec<f64> = known
        .iter()
        .map(|(day, value)| value - (level + slope * day))
        .collect();
    // Residuals of a line through n points are smaller than errors by this.
    let wider = (known.len() as f64 / (known.len() - 2) as f64).sqrt();
    // The same history gives the same answer.
    let mut random = fastrand::Rng::with_seed(1);
    let mut days: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let drawn: Vec<(f64, f64)> = known
                .iter()
                .map(|(day, _)| {
                    let error = errors[random.usize(..errors.len())] * wider;
                    (*day, level + slope * day + error)
                })
                .collect();
            reached(line(&drawn), capacity)
        })
        .collect();
    Some(CONFIDENCES.map(|confidence| {
        days.sort_unstable_by(f64::total_cmp);
        // No mean between a number and infinity.
        let place = (confidence * (days.len() - 1) as f64).ceil();
        days[place as usize]
    }))
}

/// Level now and change in a day, by least squares.
fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| {
        (x + point.0 / n, y + point.1 / n)
    });
    let (above, below) = points.iter().fold((0.0, 0.0), |(a, b), point| {
        let away = point.0 - x;
        (a + away * (point.1 - y), b + away * away)
    });
    let slope = if below > 0.0 { above / below } else { 0.0 };
    (y - slope * x, slope)
}

fn reached((level, slope): (f64, f64), capacity: f64) -> f64 {
    if level >= capacity {
        return 0.0;
    }
    let days = (capacity - level) / slope;
    if slope > 0.0 && days <= HORIZON_DAYS {
        days
    } else {
        f64::INFINITY
    }
}

/// The 95th percentile of the known values of a day; NaN when half of them are missing.
#[must_use]
pub fn busy(day: &[f64]) -> f64 {
    let mut known: Vec<f64> = day
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    if known.len() * 2 < day.len() || known.is_empty() {
        return f64::NAN;
    }
    quantile(&mut known, 0.95)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weeks of a ramp that reaches 1000 in `days`, with some noise.
    fn ramp(days: f64, noise: f64, seed: u64) -> Vec<Option<f64>> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..12)
            .map(|week| {
                let day = -(7.0 * f64::from(11 - week) + 3.5);
                let level = 1_000.0 - 4.0 * (days - day);
                Some(level * (1.0 + noise * (random.f64() - 0.5)))
            })
            .collect()
    }

    #[test]
    fn the_date_of_a_ramp_is_right_within_fifteen_percent() {
        for seed in 0..50 {
            let [half, sure] = saturation(&ramp(60.0, 0.04, seed), 1_000.0).unwrap();
            assert!((51.0..=69.0).contains(&half), "{seed}: {half}");
            assert!(sure >= half, "{sure} {half}");
        }
        let [half, _] = saturation(&ramp(60.0, 0.0, 0), 1_000.0).unwrap();
        assert!((half - 60.0).abs() < 0.01, "{half}");
    }

    #[test]
    fn what_does_not_grow_never_fills_and_what_is_full_is_full() {
        let flat: Vec<Option<f64>> = vec![Some(500.0); 8];
        assert_eq!(saturation(&flat, 1_000.0), Some([f64::INFINITY; 2]));
        assert_eq!(saturation(&flat, 400.0), Some([0.0; 2]));
        assert_eq!(
            saturation(&ramp(400.0, 0.0, 1), 1_000.0),
            Some([f64::INFINITY; 2])
        );
        assert_eq!(saturation(&flat[..3], 1_000.0), None);
        assert_eq!(saturation(&flat, 0.0), None);
    }

    #[test]
    fn a_week_is_its_second_busiest_day_and_a_day_half_unknown_is_none() {
        let mut days = vec![100.0; 15];
        days[14] = 900.0;
        days[13] = 200.0;
        assert_eq!(weeks(&days), [Some(100.0), Some(200.0)]);
        days[8..12].fill(f64::NAN);
        assert_eq!(weeks(&days), [Some(100.0), None]);
        assert!(busy(&[1.0, f64::NAN, f64::NAN]).is_nan());
        assert!(busy(&[]).is_nan());
    }
}
