//! What happened once must move no forecast, and a line that fills up must be told when.

use std::collections::BTreeMap;

use sotp_forecast::calendar::Calendar;
use sotp_forecast::capacity::{busy, saturation, weeks};
use sotp_forecast::fit::fit;
use sotp_forecast::history::{LEARNT_DAYS, Raw};
use sotp_forecast::{DAY, SLOT};

use crate::Given;
use crate::made;

/// By how much a spike, an outage of a day and a tenth of gaps move the mean of the next day, as parts of it: of each set and change the mean
/// over its series, at the first of their origins that has a forecast.
pub(crate) fn moves(all: &[Given]) -> BTreeMap<String, BTreeMap<&'static str, f64>> {
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
        // As they were measured: a value of an hour is missing as a whole.
        let mut gaps = slots;
        for value in gaps.chunks_mut(given.wide) {
            if random.f64() < 0.1 {
                value.fill(f64::NAN);
            }
        }
        for (what, changed) in [("spike", spike), ("outage", outage), ("gaps", gaps)] {
            let moved = mean(origin, &changed).map_or(1.0, |now| (now / calm - 1.0).abs());
            let of = sums.entry(given.set.clone()).or_default();
            let sum = of.entry(what).or_default();
            *sum = (sum.0 + moved, sum.1 + 1.0);
        }
    }
    let mean = |of: BTreeMap<_, (f64, f64)>| {
        of.into_iter()
            .map(|(what, (sum, count))| (what, sum / count))
            .collect()
    };
    sums.into_iter().map(|(set, of)| (set, mean(of))).collect()
}

/// The part of ramps of twelve weeks, which fill a line in 60 days, whose date is told within 15 %.
pub(crate) fn ramps() -> f64 {
    let (mut right, mut all) = (0.0, 0.0);
    let links = made::links();
    let links = links
        .iter()
        .filter(|link| link.growth == 0.0 && link.step.is_none());
    for link in links {
        for time in 0..20 {
            let count = 12 * 7 * DAY;
            let ahead = 60 * DAY;
            let usual = link.drawn(count, time);
            // A hundredth of a percent of what it has now is reached each slot.
            let slope = 1e-4;
            let grown = |slot: usize| 1.0 + slope * slot as f64;
            let values: Vec<f64> = usual
                .iter()
                .enumerate()
                .map(|(at, value)| value * grown(at))
                .collect();
            let days: Vec<f64> = values.chunks_exact(DAY).map(busy).collect();
            let typical = weeks(&usual.chunks_exact(DAY).map(busy).collect::<Vec<_>>());
            let known: Vec<f64> = typical.into_iter().flatten().collect();
            let typical = known.iter().sum::<f64>() / known.len() as f64;
            let capacity = typical * grown(count + ahead);
            let told = saturation(&weeks(&days), capacity).map_or(f64::INFINITY, |days| days[0]);
            right += f64::from(u8::from((51.0..=69.0).contains(&told)));
            all += 1.0;
        }
    }
    right / all
}
