//! What happened once must move no forecast, and a line that fills up must be told when.

use std::collections::BTreeMap;

use sotp_forecast::calendar::Calendar;
use sotp_forecast::capacity::{busy, saturation, weeks};
use sotp_forecast::fit::fit;
use sotp_forecast::history::{LEARNT_DAYS, Raw};
use sotp_forecast::{DAY, SLOT};

use crate::Given;
use crate::made;

/// By set and change.
type Moves<T> = BTreeMap<String, BTreeMap<&'static str, T>>;

/// By how much a spike, an outage of a day and a tenth of gaps move the mean of the next day, as parts of it: of each set and change the mean
/// over its series, at the first of their origins that has a forecast. And of how many of them nothing is told any more.
pub(crate) fn moves(all: &[Given]) -> (Moves<f64>, Moves<usize>) {
    let mut lost = Moves::<usize>::new();
    let mut sums: BTreeMap<String, BTreeMap<&'static str, (f64, f64)>> = BTreeMap::new();
    for given in all {
        let mean = |origin: usize, slots: &[f64]| {
            let raw = Raw::new(slots.iter().copied(), std::iter::empty());
            let end = given.end(origin);
            let fitted = fit(&raw, end, None, &Calendar::default()).fitted?;
            let day = (1..=DAY as i64).filter_map(|step| fitted.at((end + step * SLOT) as f64));
            Some(day.map(|expected| expected.middle).sum::<f64>() / DAY as f64)
        };
        let first = given.origins.iter().find_map(|&origin| {
            let slots: Vec<f64> = given.raw(origin).slots().collect();
            Some((origin, mean(origin, &slots)?, slots))
        });
        let Some((origin, calm, slots)) = first else {
            continue;
        };
        let mut random = fastrand::Rng::with_seed(4);
        let most = slots.iter().copied().fold(0.0, f64::max);
        let mut spike = slots.clone();
        spike[LEARNT_DAYS * DAY - 700] = 1e4 * most;
        let mut outage = slots.clone();
        let end = outage.len();
        outage[end - 5 * DAY..end - 4 * DAY].fill(0.0);
        // As they were measured, a value of an hour as a whole; the last one is there, or the series is stale.
        let mut gaps = slots;
        for value in gaps[..end - 4].chunks_mut(given.wide) {
            if random.f64() < 0.1 {
                value.fill(f64::NAN);
            }
        }
        for (what, changed) in [("spike", spike), ("outage", outage), ("gaps", gaps)] {
            match mean(origin, &changed) {
                Some(now) => {
                    let of = sums.entry(given.set.clone()).or_default();
                    let sum = of.entry(what).or_default();
                    *sum = (sum.0 + (now / calm - 1.0).abs(), sum.1 + 1.0);
                }
                None => {
                    *lost
                        .entry(given.set.clone())
                        .or_default()
                        .entry(what)
                        .or_default() += 1;
                }
            }
        }
    }
    let mean = |of: BTreeMap<_, (f64, f64)>| {
        of.into_iter()
            .map(|(what, (sum, count))| (what, sum / count))
            .collect()
    };
    let moves = sums.into_iter().map(|(set, of)| (set, mean(of)));
    (moves.collect(), lost)
}

/// The part of the ramps of each link whose date is told within 15 %: seven tenths full now, after twelve weeks of the same growth, and full in 60
/// days.
pub(crate) fn ramps() -> BTreeMap<&'static str, f64> {
    const DRAWS: u64 = 20;
    const DAYS: usize = 12 * 7;
    let links = made::links()
        .into_iter()
        .filter(|link| link.growth == 0.0 && link.step.is_none());
    let of = |link: made::Link| {
        let right = (0..DRAWS).filter(|time| {
            let usual = link.drawn(DAYS * DAY, *time);
            let typical = weeks(&usual.chunks_exact(DAY).map(busy).collect::<Vec<_>>());
            let known: Vec<f64> = typical.into_iter().flatten().collect();
            let capacity = known.iter().sum::<f64>() / known.len() as f64;
            let full = |slot: usize| 0.7 + 0.3 / 60.0 * (slot as f64 / DAY as f64 - DAYS as f64);
            let values = usual.iter().enumerate().map(|(at, value)| value * full(at));
            let values: Vec<f64> = values.collect();
            let days: Vec<f64> = values.chunks_exact(DAY).map(busy).collect();
            let told = saturation(&weeks(&days), capacity).map_or(f64::INFINITY, |days| days[0]);
            (51.0..=69.0).contains(&told)
        });
        (link.name, right.count() as f64 / DRAWS as f64)
    };
    links.map(of).collect()
}
