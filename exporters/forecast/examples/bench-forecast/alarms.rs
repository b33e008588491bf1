//! How often an anomaly is called where there is none, and how many changes of half an hour are found; beside it, what a rule could reach that
//! knows afterwards what was calm.

use std::collections::BTreeMap;

use serde::Serialize;
use sotp_forecast::calendar::Calendar;
use sotp_forecast::fit::{Fitted, fit};
use sotp_forecast::{DAY, SLOT};

use crate::Given;

/// What traffic is multiplied by for half an hour.
const CHANGES: [f64; 4] = [0.3, 0.5, 1.7, 2.5];
/// Scores from which on an alert would be sent; the fourth is that of the shipped alert.
const EDGES: [f64; 5] = [1.0, 1.25, 1.5, 2.0, 3.0];
const SHIPPED: usize = 3;
/// Slots in a row beyond the edge that make an episode.
const ROW: usize = 2;
/// False episodes a day that are borne.
pub(crate) const BORNE: f64 = 0.05;

/// What was found on a set.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Alarms {
    pub(crate) days: usize,
    /// False episodes a day, by the shipped alert.
    pub(crate) false_a_day: f64,
    /// The part of the changes that it found.
    pub(crate) recall: f64,
    /// The part that is found by the best of two rules whose edge is chosen afterwards, so that there are at most as many false episodes on
    /// these very days as are borne: our score, and the distance from what came before and after.
    pub(crate) recall_in_hindsight: f64,
}

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

/// How far each slot is from the mean of the two before and the two after the half hour that begins with it, of which it takes no part.
fn beside(day: &[f64]) -> Vec<f64> {
    let least = 0.01 * day.iter().sum::<f64>() / day.len() as f64;
    let logs: Vec<f64> = day.iter().map(|value| (value + least).ln()).collect();
    let mut scores = vec![0.0; day.len()];
    for at in 2..day.len().saturating_sub(3) {
        let near = (logs[at - 2] + logs[at - 1] + logs[at + ROW] + logs[at + ROW + 1]) / 4.0;
        let half = (logs[at] - near).abs().min((logs[at + 1] - near).abs());
        scores[at] = half;
        scores[at + 1] = half.max(scores[at + 1]);
    }
    scores
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

/// The scores of calm days and of the changed half hours of a rule.
#[derive(Default)]
struct Rule {
    calm: Vec<Vec<f64>>,
    changed: Vec<Vec<f64>>,
}

impl Rule {
    fn at(&self, edge: f64) -> (f64, f64) {
        let wrong: usize = self.calm.iter().map(|day| episodes(day, edge)).sum();
        let found = self.changed.iter().filter(|half| episodes(half, edge) > 0);
        (
            wrong as f64 / self.calm.len().max(1) as f64,
            found.count() as f64 / self.changed.len().max(1) as f64,
        )
    }

    /// What is found at the lowest edge with so few false episodes.
    fn in_hindsight(&self) -> f64 {
        let (mut below, mut above) = (0.0, 1e3);
        for _ in 0..40 {
            let middle = f64::midpoint(below, above);
            if self.at(middle).0 <= BORNE {
                above = middle;
            } else {
                below = middle;
            }
        }
        self.at(above).1
    }
}

/// Prints a table over the sets with values for each slot.
pub(crate) fn measure(all: &[Given]) -> BTreeMap<String, Alarms> {
    println!(
        "{:<14} {:>5}  false episodes a day, recall at each edge of {EDGES:?}; recall in hindsight",
        "set", "days"
    );
    let mut sets: BTreeMap<&str, [Rule; 2]> = BTreeMap::new();
    let mut random = fastrand::Rng::with_seed(3);
    for given in all.iter().filter(|given| given.wide == 1) {
        for &origin in &given.origins {
            let (raw, end) = (given.raw(origin), given.end(origin));
            let Some(fitted) = fit(&raw, end, None, &Calendar::default()).fitted else {
                continue;
            };
            let day = given.truth(origin);
            if day.len() < DAY || day.iter().any(|value| !value.is_finite()) {
                continue;
            }
            let rules = sets.entry(&given.set).or_default();
            rules[0].calm.push(scores(&fitted, end, day));
            rules[1].calm.push(beside(day));
            for change in CHANGES {
                let place = 4 + random.usize(..DAY - 8);
                // A part of nothing is nothing.
                if day[place..place + ROW].contains(&0.0) {
                    continue;
                }
                let mut day = day.to_vec();
                for value in &mut day[place..place + ROW] {
                    *value *= change;
                }
                let half = place..place + ROW;
                rules[0]
                    .changed
                    .push(scores(&fitted, end, &day)[half.clone()].to_vec());
                rules[1].changed.push(beside(&day)[half].to_vec());
            }
        }
    }
    let of = |(set, rules): (&str, [Rule; 2])| {
        let rates = EDGES.map(|edge| rules[0].at(edge));
        let best = rules.iter().map(Rule::in_hindsight).fold(0.0, f64::max);
        let days = rules[0].calm.len();
        let text = rates.map(|(wrong, found)| format!("{wrong:.3} {found:.2}"));
        println!("{set:<14} {days:>5}  {}; {best:.2}", text.join(" | "));
        let (false_a_day, recall) = rates[SHIPPED];
        let alarms = Alarms {
            days,
            false_a_day,
            recall,
            recall_in_hindsight: best,
        };
        (set.to_owned(), alarms)
    };
    sets.into_iter().map(of).collect()
}
