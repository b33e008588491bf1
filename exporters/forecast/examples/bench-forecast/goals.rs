//! What the forecasts are to reach, and what they do.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::Table;
use crate::alarms::{Alarms, BORNE};

/// All that was measured.
pub(crate) struct Measured<'a> {
    pub(crate) marks: &'a Table,
    pub(crate) common: &'a Table,
    pub(crate) alarms: &'a BTreeMap<String, Alarms>,
    pub(crate) moves: &'a BTreeMap<String, BTreeMap<&'static str, f64>>,
    pub(crate) ramps: &'a BTreeMap<&'static str, f64>,
    pub(crate) load: &'a serde_json::Value,
}

/// One goal.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    goal: String,
    of: String,
    least: Option<f64>,
    most: Option<f64>,
    measured: f64,
    reached: bool,
}

impl Goal {
    fn new(goal: &str, of: &str, (least, most): (Option<f64>, Option<f64>), measured: f64) -> Self {
        Self {
            goal: goal.to_owned(),
            of: of.to_owned(),
            least,
            most,
            measured,
            reached: least.is_none_or(|least| measured >= least)
                && most.is_none_or(|most| measured <= most),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = if self.reached { "reached" } else { "MISSED " };
        write!(
            f,
            "{reached} {} of {}: {:.3}",
            self.goal, self.of, self.measured
        )?;
        if let Some(least) = self.least {
            write!(f, ", at least {least}")?;
        }
        if let Some(most) = self.most {
            write!(f, ", at most {most}")?;
        }
        Ok(())
    }
}

/// All goals.
pub(crate) fn of(measured: &Measured<'_>) -> Vec<Goal> {
    let most = |most: f64| (None, Some(most));
    let least = |least: f64| (Some(least), None);
    let of = |table: &Table, set: &str, model: &str| {
        table.get(&(set.to_owned(), model.to_owned())).cloned()
    };
    let mut goals = Vec::new();
    let ours = measured
        .marks
        .iter()
        .filter(|((_, model), _)| model == "sotp");
    let (mut quotients, mut sets) = (0.0, 0.0);
    for ((set, _), own) in ours {
        let naive =
            |model: &str| of(measured.marks, set, model).map_or(f64::NAN, |naive| naive.mase);
        let (day, week) = (naive("daily_naive"), naive("weekly_naive"));
        (quotients, sets) = (quotients + own.mase / week, sets + 1.0);
        let better = own.mase / day.min(week);
        goals.push(Goal::new(
            "error as a part of that of the better naive form",
            set,
            most(1.03),
            better,
        ));
        let held = (Some(0.88), Some(0.92));
        goals.push(Goal::new(
            "part within the band of nine tenths",
            set,
            held,
            own.coverage,
        ));
        for model in ["prophet", "statsforecast"] {
            if let (Some(own), Some(other)) = (
                of(measured.common, set, "sotp"),
                of(measured.common, set, model),
            ) {
                let what = |what: &str| format!("{what} as a part of that of {model}");
                goals.push(Goal::new(
                    &what("error"),
                    set,
                    most(1.0),
                    own.mase / other.mase,
                ));
                goals.push(Goal::new(
                    &what("interval score"),
                    set,
                    most(1.0),
                    own.msis / other.msis,
                ));
                goals.push(Goal::new(
                    &what("processor time"),
                    set,
                    most(1.0),
                    own.cpu_milliseconds / other.cpu_milliseconds,
                ));
            }
        }
    }
    let mean = quotients / f64::max(sets, 1.0);
    goals.push(Goal::new(
        "mean error as a part of that of the weekly naive form",
        "all sets",
        most(0.85),
        mean,
    ));
    for (set, alarms) in measured.alarms {
        goals.push(Goal::new(
            "false episodes a day",
            set,
            most(BORNE),
            alarms.false_a_day,
        ));
        // No rule can find what lies within the noise.
        let best = (0.95 * alarms.recall_in_hindsight).min(0.95);
        goals.push(Goal::new(
            "recall, of 0.95 or what hindsight could",
            set,
            least(best),
            alarms.recall,
        ));
    }
    for (set, moved) in measured.moves {
        for (what, moved) in moved {
            goals.push(Goal::new(
                &format!("part by which {what} moves a forecast"),
                set,
                most(0.02),
                *moved,
            ));
        }
    }
    // What wanders in a week by more than it grows has no date.
    let ramps = measured.ramps.iter();
    for (link, right) in ramps.filter(|(link, _)| !["restless", "wandering"].contains(link)) {
        goals.push(Goal::new(
            "dates within 15 % of 60 days",
            link,
            least(0.9),
            *right,
        ));
    }
    if measured.load.is_null() {
        return goals;
    }
    let load = |key: &str| measured.load[key].as_f64().unwrap_or(f64::NAN);
    let series = format!("{} series", load("series"));
    goals.push(Goal::new(
        "seconds on two processors",
        &series,
        most(90.0),
        load("seconds"),
    ));
    goals.push(Goal::new(
        "megabytes",
        &series,
        most(150.0),
        load("resident_megabytes"),
    ));
    goals
}
