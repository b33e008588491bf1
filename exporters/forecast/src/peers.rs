//! Which series moves apart from its peers.
//!
//! Peers are series that share the labels a forecast names, such as the lines of one role in one direction. Their sizes differ, so each is held
//! against itself first: how far the last hour was from the same hour of the weeks before, as a logarithm. When all peers move together, as
//! on a holiday, none is an outlier; one that moves alone is, also where it has no forecast. How far a series usually is from the middle
//! of its peers, and how far they are from each other, is taken from the same hour of the days before (median absolute deviation).

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
/// A score of 1 is so many deviations from the middle.
const EDGE: f64 = 6.0;
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

/// How far each is from the middle of all, 1 at the edge; nothing where it or the middle is not known.
#[must_use]
pub(crate) fn scores(group: &[Moves]) -> Vec<Option<f64>> {
    let middles: [(usize, f64); DAYS] = std::array::from_fn(|day| {
        let known = group.iter().map(|moves| moves[day]);
        let mut known: Vec<f64> = known.filter(|moved| moved.is_finite()).collect();
        (known.len(), median(&mut known))
    });
    if middles[0].0 < FEWEST {
        return vec![None; group.len()];
    }
    let apart = |moves: &Moves, day: usize| (moves[day] - middles[day].1).abs();
    let now = group.iter().map(|moves| apart(moves, 0));
    let among = NORMAL * median(&mut now.filter(|apart| apart.is_finite()).collect::<Vec<_>>());
    let score = |moves: &Moves| {
        let days = (1..DAYS).filter(|day| middles[*day].0 >= FEWEST);
        let days = days.map(|day| apart(moves, day));
        let mut own: Vec<f64> = days.filter(|apart| apart.is_finite()).collect();
        let is = apart(moves, 0);
        (own.len() >= OWN && is.is_finite())
            .then(|| is / (EDGE * among.max(NORMAL * median(&mut own)).max(LEAST)))
    };
    group.iter().map(score).collect()
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
        let idle = moves(&Raw::new([0.0; 28 * DAY].into_iter(), std::iter::empty()));
        assert!(idle.iter().all(|moved| moved.is_nan()), "{idle:?}");
    }
}
