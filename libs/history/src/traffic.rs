//! How much flows when: seasons of a day and a week, growth, and a randomness that is a pure function of the time.

use std::f64::consts::TAU;

use crate::Period;

/// What part of its end the first stream has at the beginning.
const GROWTH_FROM: f64 = 0.45;
/// What the network itself sends over each link, in bits per second.
pub(crate) const CONTROL: f64 = 20_000.0;
/// What comes back for each bit of a stream.
pub(crate) const BACK: f64 = 0.03;

/// A factor of about 1 on average over a week: lowest at 04:00, highest at 16:00 UTC, half as much at week-ends.
pub(crate) fn season(at: i64) -> f64 {
    let hour = at.rem_euclid(86_400) as f64 / 3_600.0;
    let day = 0.5 - 0.5 * (TAU * (hour - 4.0) / 24.0).cos();
    // The first day of the epoch was a Thursday.
    let weekend = matches!((at.div_euclid(86_400) + 4).rem_euclid(7), 0 | 6);
    if weekend {
        0.42 + 0.66 * day
    } else {
        0.42 + 1.38 * day.powf(1.2)
    }
}

/// The factor of a stream that grows by the same amount each day up to 1.
pub(crate) fn growth(period: Period, at: i64) -> f64 {
    let part = (at - period.from) as f64 / (period.to - period.from).max(1) as f64;
    GROWTH_FROM + (1.0 - GROWTH_FROM) * part
}

/// A factor around 1 that wanders within minutes and within hours; `seed` tells one wandering from another.
pub(crate) fn noise(seed: u64, at: i64) -> f64 {
    let slow = wandering(seed, at, 5_400);
    let quick = wandering(seed ^ 0xfeed, at, 420);
    (0.05 * slow + 0.04 * quick).exp()
}

/// Between -1 and 1, smooth, with a new aim each `every` seconds.
fn wandering(seed: u64, at: i64, every: i64) -> f64 {
    let knot = at.div_euclid(every);
    let part = at.rem_euclid(every) as f64 / every as f64;
    let smooth = part * part * (3.0 - 2.0 * part);
    let (a, b) = (aim(seed, knot), aim(seed, knot + 1));
    a + (b - a) * smooth
}

/// Between -1 and 1, by splitmix64.
fn aim(seed: u64, knot: i64) -> f64 {
    let mut x = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(knot.cast_unsigned().wrapping_mul(0xd1b5_4a32_d192_ed03));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    (x >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_one_on_average_and_a_day_has_its_peak() {
        let week: Vec<f64> = (0..7 * 1_440).map(|minute| season(minute * 60)).collect();
        let mean = week.iter().sum::<f64>() / week.len() as f64;
        assert!((0.9..1.1).contains(&mean), "{mean}");
        // 1970-01-05 was a Monday, the 10th a Saturday.
        let at = |day: i64, hour: i64| season(day * 86_400 + hour * 3_600);
        assert!(at(4, 16) > 4.0 * at(4, 4));
        assert!(at(4, 16) > 1.5 * at(9, 16));
    }

    #[test]
    fn noise_is_bounded_and_differs_by_seed() {
        for minute in 0..5_000 {
            let value = noise(7, minute * 60);
            assert!((0.9..1.1).contains(&value), "{value}");
        }
        assert!((noise(1, 600) - noise(2, 600)).abs() > f64::EPSILON);
    }
}
