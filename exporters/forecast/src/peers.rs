//! Which series moves apart from its peers.
//!
//! Peers are series that share the labels a forecast names, such as the lines of one role in one direction. Their sizes differ, so each is held
//! against itself first: how far the last hour was from the same hour of the weeks before, as a logarithm. When all peers move together, as
//! on a holiday, none is an outlier; one that moves alone is, also where it has no forecast. How far a series usually is from the middle
//! of its peers is taken from the same hour of the days before, and how far they are from each other from the last hour (median absolute
//! deviations). In these deviations augurs' DBSCAN looks for the cluster of more than half of them; who is not in it is an outlier. Its detector by
//! median absolute deviation is of no use here: it refuses peers that are all the same but one, and has no least deviation.

use augurs::outlier::{DbscanDetector, OutlierDetector as _};

use crate::clean::median;
use crate::history::Raw;
use crate::{DAY, WEEK};

/// Fewest peers that have a middle.
const FEWEST: usize = 5;
/// Slots of the last hour.
const HOUR: usize = 4;
/// The last hour, and the same one of a week of days before.
const DAYS: usize = 8;
/// Days of one's own that say what is usual.
const OWN: usize = 3;
/// Seasons whose median the hour is held against.
const CYCLES: usize = 3;
/// Deviations between two that still belong together: the score is 1 so far from the cluster.
const EDGE: f64 = 4.0;
/// A deviation is at least this, as a logarithm.
const LEAST: f64 = 0.05;
/// The standard deviation of a normal distribution by its median absolute deviation.
const NORMAL: f64 = 1.4826;

/// How far the last hour, and the same hour of each day before it, was from the same hour of the seasons before, as a logarithm; NaN where
/// that is not known.
pub(crate) type Moves = [f64; DAYS];

/// The moves of a series.
#[must_use]
pub(crate) fn moves(raw: &Raw) -> Moves {
    let usual = |back: usize, period: usize| {
        let mut same = [0.0; CYCLES];
        let mut count = 0;
        for cycle in 1..=CYCLES {
            let value = raw.back(back + cycle * period);
            if value.is_finite() && value >= 0.0 {
                same[count] = value;
                count += 1;
            }
        }
        (count > 0).then(|| median(&mut same[..count]))
    };
    std::array::from_fn(|day| {
        let (mut is, mut was) = (0.0, 0.0);
        for slot in 0..HOUR {
            let back = day * DAY + slot;
            let value = raw.back(back);
            // A season of its own where there is one: a Monday is no Sunday.
            match usual(back, WEEK).or_else(|| usual(back, DAY)) {
                Some(usual) if value >= 0.0 => (is, was) = (is + value, was + usual),
                _ => return f64::NAN,
            }
        }
        // Nothing where something was is as far as a hundredth of it.
        let least = 0.01 * is.max(was);
        ((is + least) / (was + least)).ln()
    })
}

/// How far each is from the cluster of its peers, above 1 for those that are not in it, whose own distance from the middle tells how far within they
/// are; nothing where it is not known, and for all where no more than half of them are near each other.
#[must_use]
pub(crate) fn scores(group: &[Moves]) -> Vec<Option<f64>> {
    let middles: [(usize, f64); DAYS] = std::array::from_fn(|day| {
        let known = group.iter().map(|moves| moves[day]);
        let mut known: Vec<f64> = known.filter(|moved| moved.is_finite()).collect();
        (known.len(), median(&mut known))
    });
    let unknown = vec![None; group.len()];
    if middles[0].0 < FEWEST {
        return unknown;
    }
    let apart = |moves: &Moves, day: usize| (moves[day] - middles[day].1).abs();
    let now = group.iter().map(|moves| apart(moves, 0));
    let among = NORMAL * median(&mut now.filter(|apart| apart.is_finite()).collect::<Vec<_>>());
    // In deviations from the middle: its own, or those of its peers now where they are larger.
    let deviations = |moves: &Moves| {
        let days = (1..DAYS).filter(|day| middles[*day].0 >= FEWEST);
        let days = days.map(|day| apart(moves, day));
        let mut own: Vec<f64> = days.filter(|apart| apart.is_finite()).collect();
        if own.len() < OWN {
            return [f64::NAN];
        }
        [(moves[0] - middles[0].1) / among.max(NORMAL * median(&mut own)).max(LEAST)]
    };
    let rows: Vec<[f64; 1]> = group.iter().map(deviations).collect();
    let detector = DbscanDetector::with_epsilon(EDGE);
    let slices: Vec<&[f64]> = rows.iter().map(|row| &row[..]).collect();
    let found = detector.preprocess(&slices);
    let Ok(found) = found.and_then(|data| detector.detect(&data)) else {
        return unknown;
    };
    let Some(band) = &found.cluster_band else {
        return unknown;
    };
    // The band is half an edge wider than the cluster on each side.
    let (least, most) = (band.min[0] + EDGE / 2.0, band.max[0] - EDGE / 2.0);
    let score = |(at, [is]): (usize, &[f64; 1])| {
        let score = if found.is_outlier(at) {
            (least - is).max(is - most) / EDGE
        } else {
            (is.abs() / EDGE).min(1.0)
        };
        is.is_finite().then_some(score)
    };
    rows.iter().enumerate().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::LEARNT_DAYS;

    /// A line with a day, a noise of its own, and a week-end, of which the last hour is multiplied by `times`.
    fn line(seed: u64, size: f64, times: f64) -> Raw {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = LEARNT_DAYS * DAY;
        let slots = (0..count).map(|slot| {
            let day = (slot as f64 / DAY as f64 * std::f64::consts::TAU).sin();
            let rest = if slot / DAY % 7 >= 5 { 0.5 } else { 1.0 };
            let last = if slot + HOUR >= count { times } else { 1.0 };
            size * (2.0 + day) * rest * (0.95 + 0.1 * random.f64()) * last
        });
        Raw::new(slots, std::iter::empty())
    }

    fn of(times: &[f64]) -> Vec<Option<f64>> {
        let sizes = times.iter().enumerate();
        let group = sizes
            .map(|(at, times)| moves(&line(at as u64, 10_f64.powi(4 + at as i32 % 5), *times)));
        scores(&group.collect::<Vec<_>>())
    }

    #[test]
    fn one_that_moves_alone_is_apart_and_those_of_any_size_that_do_not_are_not() {
        for times in [0.0, 0.4, 2.5] {
            let scores = of(&[1.0, 1.0, 1.0, times, 1.0, 1.0]);
            for (at, score) in scores.iter().enumerate() {
                let score = score.unwrap();
                assert_eq!(score > 1.0, at == 3, "{times}, {at}: {score}");
            }
        }
    }

    #[test]
    fn what_all_do_is_nothing_and_the_one_that_does_not_is_apart() {
        let all = of(&[2.5; 6]);
        assert!(all.iter().all(|score| score.unwrap() < 1.0), "{all:?}");
        let but = of(&[2.5, 2.5, 2.5, 2.5, 1.0, 2.5]);
        assert!(but[4].unwrap() > 1.0 && but[0].unwrap() < 1.0, "{but:?}");
    }

    #[test]
    fn too_few_peers_and_too_little_history_say_nothing() {
        assert_eq!(of(&[1.0, 1.0, 9.0, 1.0]), [None; 4]);
        let short = |seed| {
            let slots = line(seed, 1e6, 1.0)
                .slots()
                .take(3 * DAY)
                .collect::<Vec<_>>();
            moves(&Raw::new(slots.into_iter(), std::iter::empty()))
        };
        let group: Vec<Moves> = (0..6).map(short).collect();
        assert_eq!(scores(&group), [None; 6]);
        let three = [1.0, 1.0, 1.0, f64::NAN, f64::NAN, f64::NAN].map(|moved| [moved; DAYS]);
        assert_eq!(scores(&three), [None; 6]);
        let idle = moves(&Raw::new([0.0; 28 * DAY].into_iter(), std::iter::empty()));
        assert!(idle.iter().all(|moved| moved.is_nan()), "{idle:?}");
    }

    /// The moves of peers that were the same on all days before and are now so far from that.
    fn now(moved: &[f64]) -> Vec<Option<f64>> {
        let moves = |moved: &f64| std::array::from_fn(|day| if day == 0 { *moved } else { 0.0 });
        scores(&moved.iter().map(moves).collect::<Vec<_>>())
    }

    #[test]
    fn equal_peers_are_no_outliers_and_the_one_that_is_not_equal_is_where_that_is_much() {
        assert_eq!(now(&[0.3; 6]), [Some(0.0); 6]);
        let but_one = now(&[0.0, 0.0, 1.0, 0.0, 0.0]);
        assert!(
            but_one[2].unwrap() > 4.0 && but_one[0] == Some(0.0),
            "{but_one:?}"
        );
        let little = now(&[0.0, 0.0, 0.03, 0.0, 0.0]);
        assert!(little[2].unwrap() < 0.5, "{little:?}");
    }

    #[test]
    fn one_without_values_is_not_known_and_the_others_are() {
        let with_gap = now(&[0.0, 0.01, f64::NAN, 0.02, 0.0, -1.5]);
        assert_eq!(with_gap[2], None);
        let apart = with_gap.iter().map(|score| score.map(|score| score > 1.0));
        let (no, yes) = (Some(false), Some(true));
        assert_eq!(apart.collect::<Vec<_>>(), [no, no, None, no, no, yes]);
    }

    /// Which half is the usual one?
    #[test]
    fn two_halves_have_no_outlier_and_a_minority_has() {
        assert!(
            now(&[0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
                .iter()
                .all(|score| score.is_none_or(|score| score <= 1.0))
        );
        let minority = now(&[0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        assert!(
            minority[4].unwrap() > 1.0 && minority[5].unwrap() > 1.0 && minority[0].unwrap() < 1.0,
            "{minority:?}"
        );
    }

    /// Why the one by median absolute deviation is not asked: it refuses what DBSCAN decides above.
    #[test]
    fn the_other_detector_of_augurs_has_no_answer_for_equal_peers() {
        let rows = [0.0, 0.0, 20.0, 0.0, 0.0].map(|row: f64| [row]);
        let rows = rows.each_ref().map(|row| &row[..]);
        let detector = augurs::outlier::MADDetector::with_threshold(EDGE);
        assert!(detector.preprocess(&rows).is_err(), "it has one now");
    }
}
