//! Made-up links whose next day is known: a small fixed part of what `make bench-forecast` measures.

use sotp_forecast::calendar::Calendar;
use sotp_forecast::fit::{Outcome, fit};
use sotp_forecast::history::Raw;
use sotp_forecast::{DAY, SLOT, WEEK};

use crate::made::{BEGIN, links};

const MONTH: usize = 28 * DAY;

fn learn(history: &[f64], origin: usize) -> Outcome {
    let raw = Raw::new(history.iter().copied(), std::iter::empty());
    fit(
        &raw,
        BEGIN + origin as i64 * SLOT,
        None,
        &Calendar::default(),
    )
}

fn at(origin: usize, step: usize) -> f64 {
    (BEGIN + (origin + step + 1) as i64 * SLOT) as f64
}

/// Mean distance of a season from what came after it.
fn naive(values: &[f64], origin: usize, season: usize) -> f64 {
    let next = origin..origin + DAY;
    next.map(|slot| (values[slot] - values[slot - season]).abs())
        .sum::<f64>()
        / DAY as f64
}

#[test]
fn forecasts_beat_the_naive_forms_and_their_bands_hold_nine_tenths() {
    let (mut ours, mut weekly, mut better) = (0.0, 0.0, 0.0);
    let (mut told, mut all, mut inside) = (0, 0, 0);
    for link in links() {
        let values = link.values(36 * DAY);
        for origin in [MONTH, MONTH + 2 * DAY + 28, MONTH + 5 * DAY + 60] {
            all += 1;
            let Some(fitted) = learn(&values[origin - MONTH..origin], origin).fitted else {
                continue;
            };
            told += 1;
            let mut missed = 0.0;
            for step in 0..DAY {
                let (expected, is) = (fitted.at(at(origin, step)).unwrap(), values[origin + step]);
                missed += (expected.middle - is).abs() / DAY as f64;
                inside += usize::from((expected.low..=expected.high).contains(&is));
            }
            let (day, week) = (naive(&values, origin, DAY), naive(&values, origin, WEEK));
            // As parts of the weekly form, so that each link counts alike.
            ours += missed / week;
            weekly += 1.0;
            better += day.min(week) / week;
        }
    }
    assert!(told * 4 >= all * 3, "{told} of {all} were told");
    assert!(ours <= 0.85 * weekly, "{ours} of {weekly}");
    assert!(ours <= 1.03 * better, "{ours} beside {better}");
    let covered = inside as f64 / (told * DAY) as f64;
    assert!((0.86..=0.94).contains(&covered), "{covered}");
}

/// A spike of a counter, a day without traffic, a tenth of missing values.
#[test]
fn what_happened_once_moves_no_forecast_by_more_than_a_fiftieth() {
    for link in links().iter().filter(|link| link.name != "restless") {
        let values = link.values(MONTH);
        let mean = |values: &[f64]| {
            let outcome = learn(values, MONTH);
            let fitted = outcome
                .fitted
                .unwrap_or_else(|| panic!("{}: {:?} {:?}", link.name, outcome.state, outcome.mase));
            (0..DAY)
                .map(|step| fitted.at(at(MONTH, step)).unwrap().middle)
                .sum::<f64>()
                / DAY as f64
        };
        let calm = mean(&values);
        let mut random = fastrand::Rng::with_seed(4);
        let mut spike = values.clone();
        spike[MONTH - 700] = 1e13;
        let mut outage = values.clone();
        outage[MONTH - 5 * DAY..MONTH - 4 * DAY].fill(0.0);
        let gaps: Vec<f64> = values
            .iter()
            .map(|value| if random.f64() < 0.1 { f64::NAN } else { *value })
            .collect();
        for (what, changed) in [("spike", spike), ("outage", outage), ("gaps", gaps)] {
            let moved = (mean(&changed) / calm - 1.0).abs();
            assert!(moved <= 0.02, "{what} of {}: {moved}", link.name);
        }
    }
}

/// Half an hour of other traffic is found, and a calm day has no episode: beyond twice the edge for two slots, as the alert asks.
#[test]
fn half_an_hour_of_other_traffic_is_an_anomaly_and_a_calm_day_is_none() {
    let (mut wrong, mut days, mut found, mut changes) = (0, 0, 0, 0);
    for link in links()
        .iter()
        .filter(|link| ["homes", "backbone", "growing", "moved"].contains(&link.name))
    {
        for time in 0..4 {
            let values = link.drawn(MONTH + DAY, time);
            let Some(fitted) = learn(&values[..MONTH], MONTH).fitted else {
                continue;
            };
            let beyond = |day: &[f64]| {
                let mut fitted = fitted.clone();
                let slots = day.iter().enumerate();
                let scores: Vec<f64> = slots
                    .filter_map(|(step, value)| fitted.watch(at(MONTH, step), *value))
                    .collect();
                scores
                    .windows(2)
                    .filter(|two| two.iter().all(|score| *score > 2.0))
                    .count()
            };
            days += 1;
            wrong += beyond(&values[MONTH..]);
            for (place, times) in [(20, 0.3), (40, 0.5), (60, 1.7), (80, 2.5)] {
                let mut day = values[MONTH..].to_vec();
                day[place..place + 2]
                    .iter_mut()
                    .for_each(|value| *value *= times);
                changes += 1;
                found += usize::from(beyond(&day) > 0);
            }
        }
    }
    assert!(days >= 14, "{days} days");
    assert!(wrong <= 1, "{wrong} false episodes on {days} days");
    assert!(found * 20 >= changes * 19, "{found} of {changes} found");
}
