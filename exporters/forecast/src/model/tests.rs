//! The traps of augurs, each held by a test, and what the seasonal forms say.

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::{Fit as _, Predict as _};

use super::*;
use crate::{DAY, WEEK};

/// Weeks of traffic with a daily and a weekly season and some noise, in bits per second.
fn traffic(weeks: usize) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..weeks * WEEK)
        .map(|slot| {
            let day = (slot as f64 / DAY as f64 * std::f64::consts::TAU).sin();
            let weekend = if slot % WEEK >= 5 * DAY { 0.5 } else { 1.0 };
            1e6 * weekend * (1.5 + day) * (0.95 + 0.1 * random.f64())
        })
        .collect()
}

fn logs(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value.ln()).collect()
}

/// What a model says after a history that begins with the epoch.
fn after(model: &dyn Model, values: &[f64], steps: usize) -> Result<Vec<f64>, Error> {
    let past = Past { values, begin: 0 };
    model.learn(past)?.forecast(past, steps)
}

fn mstl() -> Mstl {
    Mstl {
        periods: vec![DAY, WEEK],
    }
}

/// Mean error of a forecast in logarithms against what comes.
fn error(forecast: &[f64], truth: &[f64]) -> f64 {
    let sum: f64 = forecast.iter().zip(truth).map(|(a, b)| (a - b).abs()).sum();
    sum / forecast.len() as f64
}

#[test]
fn mstl_tells_the_next_day() {
    let all = logs(&traffic(5));
    let (history, truth) = all.split_at(4 * WEEK);
    let forecast = after(&mstl(), history, DAY).unwrap();
    let found = error(&forecast, truth);
    assert!(found < 0.06, "{found}");
}

/// Trap 1: one value that is not finite and no model is found, whatever `impute` says.
#[test]
fn a_missing_value_is_refused_here_since_augurs_imputes_nothing() {
    let mut history = logs(&traffic(4));
    history[500] = f64::NAN;
    let trend = AutoETS::new(1, "AAN").unwrap().into_trend_model();
    let model = MSTLModel::new(vec![DAY, WEEK], trend).impute(true);
    let augurs = model
        .fit(&history)
        .and_then(|fitted| fitted.predict(1, None));
    let sound = augurs.is_ok_and(|forecast| forecast.point[0].is_finite());
    assert!(!sound, "impute works now: the wrapper may use it");
    assert_eq!(after(&mstl(), &history, DAY), Err(Error::NotFinite));
}

/// Trap 2: specifications without a trend never fit.
#[test]
fn the_specification_has_a_trend_since_those_without_never_fit() {
    let history = logs(&traffic(4));
    for specification in ["ANN", "MNN", "ZNN"] {
        let model = AutoETS::new(1, specification).unwrap();
        let fits = model.fit(&history[..500]).is_ok();
        assert!(!fits, "{specification} fits now");
    }
    assert!(after(&mstl(), &history, DAY).is_ok());
}

/// Trap 3: one spike of a counter in a month moves every forecast by orders of magnitude.
#[test]
fn one_spike_hardly_moves_the_forecast_since_logarithms_are_learnt_and_spikes_are_cleaned() {
    let values = traffic(4);
    let mut spiked = values.clone();
    spiked[2_000] = 1e15;
    let raw = |values: &[f64]| {
        let trend = AutoETS::new(1, "ZZN").unwrap().into_trend_model();
        let fitted = MSTLModel::new(vec![DAY, WEEK], trend).fit(values).unwrap();
        fitted.predict(DAY, None).unwrap().point
    };
    let moved = raw(&spiked)
        .iter()
        .zip(raw(&values))
        .map(|(a, b)| ((a - b) / b).abs())
        .fold(0.0, f64::max);
    assert!(moved > 1.0, "augurs bears spikes now: {moved}");
    let calm = after(&mstl(), &logs(&values), DAY).unwrap();
    let cleaned = crate::clean::clean(&spiked, None).unwrap();
    let spiked = after(&mstl(), &logs(&cleaned.values), DAY).unwrap();
    let found = error(&spiked, &calm);
    assert!(found < 0.02, "{found}");
}

/// Trap 4: less than two whole periods.
#[test]
fn two_whole_periods_are_needed_and_asked_for() {
    let history = logs(&traffic(2));
    let needs = 2 * WEEK;
    let short = after(&mstl(), &history[1..], DAY);
    assert_eq!(
        short,
        Err(Error::Short {
            needs,
            has: needs - 1
        })
    );
    assert!(after(&mstl(), &history, DAY).is_ok());
}

/// Its band is too narrow, most of all with the least history that it takes: why the bands are our own.
#[test]
fn the_intervals_of_augurs_cover_less_than_they_say() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut level = 0.0;
    let walk: Vec<f64> = logs(&traffic(4))
        .iter()
        .map(|value| {
            level = 0.98 * level + 0.2 * (random.f64() - 0.5);
            value + level
        })
        .collect();
    let (mut inside, mut all) = (0.0, 0.0);
    for origin in (2 * WEEK..4 * WEEK - DAY).step_by(DAY) {
        let trend = AutoETS::new(1, "AAN").unwrap().damped(true).unwrap();
        let model = MSTLModel::new(vec![DAY, WEEK], trend.into_trend_model());
        let fitted = model.fit(&walk[origin - 2 * WEEK..origin]).unwrap();
        let band = fitted.predict(DAY, 0.9).unwrap().intervals.unwrap();
        for (step, truth) in walk[origin..origin + DAY].iter().enumerate() {
            let edges = band.lower[step]..=band.upper[step];
            inside += f64::from(u8::from(edges.contains(truth)));
            all += 1.0;
        }
    }
    let covered = inside / all;
    assert!(covered < 0.85, "{covered}");
}

/// Trap 5: the decomposition is one of single precision, which on a large number loses nothing that anybody sees since it is a logarithm.
#[test]
fn large_numbers_lose_nothing_to_single_precision() {
    let small = logs(&traffic(4));
    let large: Vec<f64> = small.iter().map(|value| value + 1e6_f64.ln()).collect();
    let (small, large) = (after(&mstl(), &small, DAY), after(&mstl(), &large, DAY));
    let shifted: Vec<f64> = small.unwrap().iter().map(|v| v + 1e6_f64.ln()).collect();
    let lost = error(&large.unwrap(), &shifted);
    assert!(lost < 1e-3, "{lost}");
}

/// Trap 6: without logarithms the lower edge of a quiet night is below 0, which no traffic is.
#[test]
fn the_lower_edge_is_never_below_zero_though_that_of_augurs_is() {
    let mut random = fastrand::Rng::with_seed(9);
    let mut quiet = traffic(4);
    for (slot, value) in quiet.iter_mut().enumerate() {
        let night = slot % DAY >= DAY / 2;
        *value *= if night {
            0.02 * random.f64()
        } else {
            0.2 + 1.6 * random.f64()
        };
    }
    let trend = AutoETS::new(1, "AAN").unwrap().into_trend_model();
    let fitted = MSTLModel::new(vec![DAY, WEEK], trend).fit(&quiet).unwrap();
    let lower = fitted.predict(DAY, 0.9).unwrap().intervals.unwrap().lower;
    assert!(lower.iter().any(|edge| *edge < 0.0), "augurs stays above 0");
    let raw = crate::history::Raw::new(quiet.into_iter(), std::iter::empty());
    let end = 1_795_046_400;
    let outcome = crate::fit::fit(&raw, end, None, &crate::calendar::Calendar::default());
    let fitted = outcome.fitted.unwrap();
    for step in 0..=DAY as i64 {
        let low = fitted.at((end + step * crate::SLOT) as f64).unwrap().low;
        assert!(low >= 0.0, "{step}: {low}");
    }
}

#[test]
fn zeros_and_constants_give_finite_forecasts() {
    for value in [0.0, 3.5] {
        let forecast = after(&mstl(), &vec![value; 4 * WEEK], DAY);
        if let Ok(forecast) = forecast {
            assert!(forecast.iter().all(|point| (point - value).abs() < 0.01));
        }
    }
}

#[test]
fn the_seasonal_forms_repeat_and_average() {
    let history: Vec<f64> = (0..3 * DAY).map(|slot| slot as f64).collect();
    let naive = after(&Naive { period: DAY }, &history, DAY + 1).unwrap();
    assert!((naive[0] - 192.0).abs() < 1e-9 && (naive[DAY] - 192.0).abs() < 1e-9);
    let profile = after(&Profile { period: DAY }, &history, 2).unwrap();
    assert!((profile[0] - 96.0).abs() < 1e-9 && (profile[1] - 97.0).abs() < 1e-9);
    assert!(after(&Naive { period: WEEK }, &history, 1).is_err());
}
