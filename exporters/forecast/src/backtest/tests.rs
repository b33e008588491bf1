//! Choices on made-up series whose answer is known.

use super::*;

/// What is chosen of a history that begins with the epoch.
fn chosen(values: &[f64]) -> Verdict {
    choose(Past { values, begin: 0 }, 1.0, &vec![true; values.len()])
}

fn seasonal(weeks: usize, noise: f64, growth: f64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..weeks * WEEK)
        .map(|slot| {
            let day = (slot as f64 / DAY as f64 * std::f64::consts::TAU).sin();
            let weekend = if slot % WEEK >= 5 * DAY { -0.7 } else { 0.0 };
            10.0 + weekend + day + noise * (random.f64() - 0.5) + growth * slot as f64 / DAY as f64
        })
        .collect()
}

#[test]
fn a_noisy_season_has_a_model_that_beats_both_naive_forms() {
    let Verdict::Chosen(choice) = chosen(&seasonal(4, 0.4, 0.0)) else {
        panic!("nothing was chosen");
    };
    let of = |name| {
        choice
            .mase
            .iter()
            .find(|(model, _)| *model == name)
            .unwrap()
            .1
    };
    assert!(of(choice.model) < of("weekly_naive").min(of("daily_naive")));
    assert_eq!((choice.errors.len(), choice.errors[0].len()), (13, DAY));
    assert_eq!(choice.mase.len(), MODELS.len());
    assert!(
        of("weekly_naive") < of("daily_naive"),
        "the week-ends differ"
    );
}

#[test]
fn the_error_of_the_weekly_form_is_about_one_by_its_own_scale() {
    let Verdict::Chosen(choice) = chosen(&seasonal(4, 0.4, 0.0)) else {
        panic!("nothing was chosen");
    };
    let naive = choice
        .mase
        .iter()
        .find(|(model, _)| *model == "weekly_naive")
        .unwrap()
        .1;
    assert!((0.85..1.15).contains(&naive), "{naive}");
}

#[test]
fn what_repeats_exactly_is_no_better() {
    let verdict = chosen(&seasonal(4, 0.0, 0.0));
    assert!(matches!(verdict, Verdict::NoBetter(_)), "{verdict:?}");
}

#[test]
fn too_little_is_said_so() {
    assert!(matches!(
        chosen(&seasonal(4, 0.4, 0.0)[..4 * DAY]),
        Verdict::Short
    ));
}

/// A day that was filled from the week before is no proof for the form that repeats the week.
#[test]
fn what_was_filled_in_proves_nothing() {
    let mut values = seasonal(4, 0.4, 0.0);
    let mut known = vec![true; values.len()];
    let outage = 4 * WEEK - 5 * DAY..4 * WEEK - 4 * DAY;
    for slot in outage.clone() {
        values[slot] = values[slot - WEEK];
        known[slot] = false;
    }
    let past = Past {
        values: &values,
        begin: 0,
    };
    let weekly = |known: &[bool]| match choose(past, 1.0, known) {
        Verdict::Chosen(choice) => {
            choice
                .mase
                .iter()
                .find(|one| one.0 == "weekly_naive")
                .unwrap()
                .1
        }
        other => panic!("{other:?}"),
    };
    assert!(weekly(&vec![true; values.len()]) < 0.9 * weekly(&known));
    let Verdict::Chosen(choice) = choose(past, 1.0, &known) else {
        panic!("nothing was chosen");
    };
    let unknown = choice
        .errors
        .iter()
        .flatten()
        .filter(|error| error.is_nan())
        .count();
    assert_eq!(unknown, 2 * DAY, "each slot is told twice");
}
