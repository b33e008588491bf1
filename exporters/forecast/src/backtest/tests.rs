//! Choices on made-up series whose answer is known.

use super::*;

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
    let Verdict::Chosen(choice) = choose(&seasonal(4, 0.4, 0.0), 1.0, 2 * DAY) else {
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
    assert_eq!(choice.point.len(), 2 * DAY);
    assert_eq!((choice.errors.len(), choice.errors[0].len()), (7, DAY));
    assert_eq!(choice.mase.len(), MODELS.len());
    assert!(
        of("weekly_naive") < of("daily_naive"),
        "the week-ends differ"
    );
}

#[test]
fn the_error_of_the_weekly_form_is_about_one_by_its_own_scale() {
    let Verdict::Chosen(choice) = choose(&seasonal(4, 0.4, 0.0), 1.0, DAY) else {
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
    let verdict = choose(&seasonal(4, 0.0, 0.0), 1.0, DAY);
    assert!(matches!(verdict, Verdict::NoBetter(_)), "{verdict:?}");
}

#[test]
fn too_little_is_said_so() {
    assert!(matches!(
        choose(&seasonal(4, 0.4, 0.0)[..4 * DAY], 1.0, DAY),
        Verdict::Short
    ));
}
