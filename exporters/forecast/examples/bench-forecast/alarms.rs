//! How often an anomaly is called where there is none, and how many changes of half an hour are found.

use sotp_forecast::calendar::Calendar;
use sotp_forecast::fit::{Fitted, fit};
use sotp_forecast::{DAY, SLOT};

use crate::Given;

/// What traffic is multiplied by for half an hour.
const CHANGES: [f64; 4] = [0.3, 0.5, 1.7, 2.5];
/// Scores from which on an alert would be sent.
const EDGES: [f64; 5] = [1.0, 1.25, 1.5, 2.0, 3.0];
/// Slots in a row beyond the edge that make an episode.
const ROW: usize = 2;

/// Scores of a day.
fn scores(fitted: &Fitted, end: i64, day: &[f64]) -> Vec<f64> {
    let mut fitted = fitted.clone();
    let slots = day.iter().enumerate();
    slots
        .map(|(step, value)| {
            fitted
                .watch((end + (step as i64 + 1) * SLOT) as f64, *value)
                .unwrap_or(0.0)
        })
        .collect()
}

fn episodes(scores: &[f64], edge: f64) -> usize {
    let mut row = 0;
    let mut count = 0;
    for score in scores {
        row = if *score > edge { row + 1 } else { 0 };
        count += usize::from(row == ROW);
    }
    count
}

/// Prints a table over the sets with values for each slot.
pub(crate) fn print(all: &[Given]) {
    let mut sets: Vec<&str> = all
        .iter()
        .filter(|given| given.wide == 1)
        .map(|given| given.set.as_str())
        .collect();
    sets.dedup();
    println!(
        "{:<14} {:>5}  false episodes a day, recall at each edge of {EDGES:?}",
        "set", "days"
    );
    for set in sets {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut days, mut changes) = (0_usize, 0_usize);
        let (mut wrong, mut found) = ([0; EDGES.len()], [0; EDGES.len()]);
        for given in all.iter().filter(|given| given.set == set) {
            for &origin in &given.origins {
                let Some(fitted) = fit(
                    &given.raw(origin),
                    given.end(origin),
                    None,
                    &Calendar::default(),
                )
                .fitted
                else {
                    continue;
                };
                let day = &given.values[origin..(origin + DAY).min(given.values.len())];
                if day.len() < DAY || day.iter().any(|value| !value.is_finite()) {
                    continue;
                }
                days += 1;
                let calm = scores(&fitted, given.end(origin), day);
                for (at, edge) in EDGES.iter().enumerate() {
                    wrong[at] += episodes(&calm, *edge);
                }
                for change in CHANGES {
                    let place = 4 + random.usize(..DAY - 8);
                    let mut day = day.to_vec();
                    for value in &mut day[place..place + ROW] {
                        *value *= change;
                    }
                    changes += 1;
                    let scores = scores(&fitted, given.end(origin), &day);
                    for (at, edge) in EDGES.iter().enumerate() {
                        found[at] += usize::from(episodes(&scores[place..place + ROW], *edge) > 0);
                    }
                }
            }
        }
        let rates = (0..EDGES.len()).map(|at| {
            format!(
                "{:.3} {:.2}",
                wrong[at] as f64 / days.max(1) as f64,
                found[at] as f64 / changes.max(1) as f64
            )
        });
        println!(
            "{set:<14} {days:>5}  {}",
            rates.collect::<Vec<_>>().join(" | ")
        );
    }
}
