//! Of what is cleaned away, and of what is not.

use proptest::prelude::*;

use super::*;

/// Two weeks with a daily season.
fn weeks() -> Vec<f64> {
    (0..2 * WEEK)
        .map(|slot| 1_000.0 + 600.0 * (slot as f64 / DAY as f64 * std::f64::consts::TAU).sin())
        .collect()
}

fn far(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| ((a - b) / b).abs())
        .fold(0.0, f64::max)
}

#[test]
fn bad_histories_are_states_and_no_numbers() {
    let nan = f64::NAN;
    let many = vec![5.0; 2 * WEEK];
    for (raw, state) in [
        (Vec::new(), Unfit::Empty),
        (vec![nan; 2 * WEEK], Unfit::Empty),
        (vec![f64::INFINITY; 2 * WEEK], Unfit::Empty),
        (vec![1.0, 2.0], Unfit::Short),
        (many.clone(), Unfit::Constant),
        (vec![0.0; 2 * WEEK], Unfit::Constant),
        ([many.clone(), vec![-1.0]].concat(), Unfit::Negative),
        ([many, vec![nan; 5]].concat(), Unfit::Stale),
    ] {
        assert_eq!(clean(&raw, None), Err(state), "{} slots", raw.len());
    }
    let mut holes = weeks();
    for slot in holes.iter_mut().step_by(3) {
        *slot = nan;
    }
    assert_eq!(clean(&holes, None), Err(Unfit::Gaps));
}

#[test]
fn a_counter_spike_is_removed_and_a_nightly_burst_is_not() {
    let mut raw = weeks();
    raw[700] = 1e9;
    let cleaned = clean(&raw, None).unwrap();
    assert_eq!((cleaned.removed, cleaned.filled), (1, 1));
    assert!(far(&cleaned.values, &weeks()) < 0.05);
    let mut nightly = weeks();
    for slot in (70..nightly.len()).step_by(DAY) {
        nightly[slot] = 9_000.0;
    }
    assert_eq!(clean(&nightly, None).unwrap().values, nightly);
}

#[test]
fn what_the_line_cannot_carry_is_impossible() {
    let mut raw = weeks();
    raw[300] = 2_100.0;
    let cleaned = clean(&raw, Some(2_000.0)).unwrap();
    assert_eq!(cleaned.removed, 1);
    assert!(cleaned.values[300] < 1_700.0);
}

#[test]
fn a_day_without_traffic_is_filled_from_the_week_before() {
    let mut raw = weeks();
    raw[WEEK..WEEK + DAY].fill(0.0);
    let cleaned = clean(&raw, None).unwrap();
    assert_eq!(cleaned.filled, DAY);
    assert!(far(&cleaned.values, &weeks()) < 1e-9);
}

#[test]
fn a_short_gap_is_a_line_and_a_line_that_is_mostly_idle_keeps_its_zeros() {
    let mut raw = weeks();
    raw[101..103].fill(f64::NAN);
    let cleaned = clean(&raw, None).unwrap();
    let step = cleaned.values[101] - raw[100];
    assert!((cleaned.values[102] - raw[100] - 2.0 * step).abs() < 1e-9);
    let idle: Vec<f64> = (0..WEEK)
        .map(|slot| f64::from(u8::from(slot % 4 == 0)))
        .collect();
    assert_eq!(clean(&idle, None).unwrap().values, idle);
}

proptest! {
    /// Whatever comes in, what is learnt is finite, not negative, within the ceiling, and has one value a slot.
    #[test]
    fn what_is_learnt_is_always_sound(
        raw in prop::collection::vec(
            prop_oneof![
                6 => 0.0..1e12_f64,
                1 => Just(f64::NAN),
                1 => Just(f64::INFINITY),
                1 => Just(0.0),
                1 => Just(1e300),
            ],
            0..3 * DAY + 200,
        ),
        ceiling in prop::option::of(1.0..1e12_f64),
    ) {
        if let Ok(cleaned) = clean(&raw, ceiling) {
            prop_assert!(cleaned.values.len() >= SHORTEST && cleaned.values.len() <= raw.len());
            prop_assert!(cleaned.offset > 0.0);
            for value in &cleaned.values {
                prop_assert!(value.is_finite() && *value >= 0.0);
                if let Some(ceiling) = ceiling {
                    prop_assert!(*value <= ceiling);
                }
            }
        }
    }

    /// What is sound already stays as it is.
    #[test]
    fn what_is_sound_is_left_alone(seed in any::<u64>()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let raw: Vec<f64> = weeks().iter().map(|value| value * (0.9 + 0.2 * random.f64())).collect();
        prop_assert_eq!(&clean(&raw, None).unwrap().values, &raw);
    }
}
