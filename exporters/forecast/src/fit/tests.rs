//! Forecasts of whole series, and the reasons why there is none.

use super::*;
use crate::history::{LEARNT_DAYS, TREND_DAYS};
use crate::{DAY, WEEK};

const END: i64 = 1_795_000_500;

/// Bits per second with both seasons, growth and noise, `back` slots before the end.
fn truth(back: i64, random: &mut fastrand::Rng) -> f64 {
    let day = (-back as f64 / DAY as f64 * std::f64::consts::TAU).sin();
    let weekend = if (-back).rem_euclid(WEEK as i64) >= 5 * DAY as i64 {
        0.5
    } else {
        1.0
    };
    let grown = 1.0 - back as f64 / DAY as f64 * 0.004;
    400_000.0 * weekend * grown * (1.3 + day) * (0.96 + 0.08 * random.f64())
}

fn raw(values: impl Iterator<Item = f64>) -> Raw {
    Raw::new(values, std::iter::empty())
}

/// The same history with other slots.
fn changed(given: &Raw, change: impl FnOnce(&mut [f64])) -> Raw {
    let mut slots: Vec<f64> = given.slots().collect();
    change(&mut slots);
    Raw::new(slots.into_iter(), given.days())
}

fn usual(random: &mut fastrand::Rng) -> Raw {
    let slots = (LEARNT_DAYS * DAY) as i64;
    raw((0..slots).map(|slot| truth(slots - 1 - slot, random)))
}

#[test]
fn the_next_day_lies_within_the_band_as_often_as_it_says() {
    let mut random = fastrand::Rng::with_seed(2);
    let (mut inside, mut all) = (0.0, 0.0);
    for _ in 0..6 {
        let outcome = fit(&usual(&mut random), END, None, &Calendar::default());
        assert_eq!(outcome.state, State::Ok);
        let fitted = outcome.fitted.unwrap();
        for step in 1..=DAY as i64 {
            let expected = fitted.at((END + step * SLOT) as f64).unwrap();
            let is = truth(-step, &mut random);
            assert!(expected.low <= expected.middle && expected.middle <= expected.high);
            inside += f64::from(u8::from((expected.low..=expected.high).contains(&is)));
            all += 1.0;
            assert!(
                (expected.middle / is - 1.0).abs() < 0.25,
                "{expected:?} {is}"
            );
        }
    }
    let covered = inside / all;
    assert!((0.85..=0.97).contains(&covered), "{covered}");
}

#[test]
fn it_says_nothing_beyond_its_reach_and_nothing_of_the_past() {
    let mut random = fastrand::Rng::with_seed(4);
    let fitted = fit(&usual(&mut random), END, None, &Calendar::default())
        .fitted
        .unwrap();
    assert!(fitted.at((END - 1) as f64).is_none());
    assert!(fitted.at(END as f64).is_some());
    assert!(fitted.at((END + STEPS as i64 * SLOT) as f64).is_some());
    assert!(fitted.at((END + STEPS as i64 * SLOT + 1) as f64).is_none());
    assert!(fitted.error(END as f64, f64::NAN).is_none());
}

#[test]
fn pure_noise_and_a_random_walk_are_told_as_no_better_or_are_really_better() {
    let mut random = fastrand::Rng::with_seed(9);
    let mut level = 1e6;
    let walk = raw((0..LEARNT_DAYS * DAY).map(|_| {
        level *= 0.98 + 0.04 * random.f64();
        level
    }));
    let outcome = fit(&walk, END, None, &Calendar::default());
    let of = |name: &str| {
        outcome
            .mase
            .iter()
            .find(|(model, _)| *model == name)
            .map(|(_, mase)| *mase)
    };
    let naive = of("daily_naive").unwrap().min(of("weekly_naive").unwrap());
    match &outcome.fitted {
        Some(fitted) => assert!(of(fitted.model).unwrap() < naive),
        None => assert_eq!(outcome.state, State::NoBetterThanNaive),
    }
}

#[test]
fn what_repeats_exactly_is_no_better_than_naive_and_is_not_told() {
    let exact = raw((0..LEARNT_DAYS * DAY).map(|slot| 100.0 + (slot % DAY) as f64));
    let outcome = fit(&exact, END, None, &Calendar::default());
    assert_eq!(outcome.state, State::NoBetterThanNaive);
    assert!(outcome.fitted.is_none());
}

#[test]
fn bad_histories_are_states_and_give_no_forecast() {
    let nan = f64::NAN;
    let all = LEARNT_DAYS * DAY;
    for (values, state) in [
        (vec![nan; all], Unfit::Empty),
        (vec![5.0; all], Unfit::Constant),
        ([vec![nan; all - 2], vec![3.0, 4.0]].concat(), Unfit::Short),
        ([vec![7.0; all - 1], vec![-1.0]].concat(), Unfit::Negative),
        ([vec![7.0; all - 9], vec![nan; 9]].concat(), Unfit::Stale),
    ] {
        let outcome = fit(&raw(values.into_iter()), END, None, &Calendar::default());
        assert_eq!(outcome.state, State::Unfit(state));
        assert!(outcome.fitted.is_none() && outcome.mase.is_empty());
    }
}

/// Five days: daily seasons only.
#[test]
fn a_few_days_are_enough_for_a_daily_season() {
    let mut random = fastrand::Rng::with_seed(6);
    let short = changed(&usual(&mut random), |slots| {
        let begin = slots.len() - 6 * DAY;
        slots[..begin].fill(f64::NAN);
    });
    let outcome = fit(&short, END, None, &Calendar::default());
    assert_ne!(outcome.state, State::Unfit(Unfit::Short));
    assert!(
        !outcome
            .mase
            .iter()
            .any(|(model, _)| *model == "weekly_naive")
    );
}

#[test]
fn a_spike_an_outage_and_gaps_hardly_move_the_forecast() {
    let mut random = fastrand::Rng::with_seed(8);
    let calm = usual(&mut random);
    let mean = |raw: &Raw| {
        let fitted = fit(raw, END, None, &Calendar::default()).fitted.unwrap();
        let all =
            (1..=DAY as i64).map(|step| fitted.at((END + step * SLOT) as f64).unwrap().middle);
        all.sum::<f64>() / DAY as f64
    };
    let before = mean(&calm);
    let spike = changed(&calm, |slots| slots[1_500] = 1e12);
    let outage = changed(&calm, |slots| slots[1_200..1_200 + DAY].fill(0.0));
    let gaps = changed(&calm, |slots| {
        for slot in &mut slots[..2_600] {
            if random.f64() < 0.1 {
                *slot = f64::NAN;
            }
        }
    });
    for (what, raw) in [("spike", spike), ("outage", outage), ("gaps", gaps)] {
        let moved = (mean(&raw) / before - 1.0).abs();
        assert!(moved < 0.02, "{what}: {moved}");
    }
}

#[test]
fn days_until_full_are_told_where_the_capacity_is_known() {
    let mut random = fastrand::Rng::with_seed(1);
    let days = (0..TREND_DAYS).map(|day| 500_000.0 + 5_000.0 * day as f64);
    let growing = Raw::new(usual(&mut random).slots(), days);
    let with = |capacity| fit(&growing, END, capacity, &Calendar::default()).saturation;
    let [half, sure] = with(Some(1_115_000.0)).unwrap();
    assert!(
        (35.0..=45.0).contains(&half) && sure >= half,
        "{half} {sure}"
    );
    assert_eq!(with(None), None);
    assert_eq!(with(Some(f64::NAN)), None);
    assert_eq!(with(Some(1e12)), Some([f64::INFINITY; 2]));
}
