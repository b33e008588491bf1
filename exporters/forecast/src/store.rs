//! What is known of every series now: written by the tasks, read at each scrape.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use toolkit::Labels;

use crate::SLOT;
use crate::fit::Outcome;

/// All forecasts.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<BTreeMap<String, Table>>);

/// One forecast: a query with its series.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Its series by their labels.
    pub(crate) entries: BTreeMap<promapi::Labels, Entry>,
    /// Series beyond the bound, and those whose labels cannot be passed on.
    pub(crate) left_out: [usize; 2],
    /// Fits of a series.
    pub(crate) fits: u64,
    /// What they took.
    pub(crate) busy: Duration,
    /// Questions that were not answered.
    pub(crate) failures: u64,
    /// Whether the last question was answered.
    pub(crate) answered: bool,
    /// When all series were last fitted, seconds since the epoch.
    pub(crate) last_fit: Option<i64>,
}

/// One series.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its labels as they are told.
    pub(crate) labels: Labels,
    /// What came of its last fit.
    pub(crate) outcome: Outcome,
    /// How unlike its forecast it was when it was last looked at.
    pub(crate) score: Option<f64>,
    /// Slots whose value came and was held against the band, and those that lay within it.
    pub(crate) checked: [u64; 2],
    /// The slot that was followed last.
    followed: i64,
}

impl Store {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Table>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the tables of these forecasts, making new ones.
    pub(crate) fn keep(&self, names: &[&str]) {
        let mut tables = self.lock();
        tables.retain(|name, _| names.contains(&name.as_str()));
        for name in names {
            tables.entry((*name).to_owned()).or_default();
        }
    }
}

impl Table {
    /// Takes in a new fit of a series; what was counted of it stays.
    pub(crate) fn take(&mut self, labels: &promapi::Labels, outcome: Outcome) {
        if let Some(entry) = self.entries.get_mut(labels) {
            entry.outcome = outcome;
            // The old score was by the old forecast.
            entry.score = None;
            return;
        }
        let entry = Entry {
            labels: Labels::new(labels),
            outcome,
            score: None,
            checked: [0, 0],
            followed: 0,
        };
        self.entries.insert(labels.clone(), entry);
    }

    /// Forgets scores of values that did not come: what is not known is not told.
    pub(crate) fn unknown(&mut self) {
        for entry in self.entries.values_mut() {
            entry.score = None;
        }
    }
}

impl Entry {
    /// Holds a value of now against the forecast.
    pub(crate) fn look(&mut self, now: f64, value: f64) {
        let fitted = self.outcome.fitted.as_mut();
        let known = fitted.and_then(|fitted| {
            let error = fitted.error(now, value)?;
            Some((error, fitted.at(now)?, fitted))
        });
        let Some((error, expected, fitted)) = known else {
            self.score = None;
            return;
        };
        self.score = Some(fitted.tracker.score(error));
        let slot = (now as i64).div_euclid(SLOT);
        if slot != self.followed {
            if self.followed != 0 {
                let inside = (expected.low..=expected.high).contains(&value);
                self.checked[0] += 1;
                self.checked[1] += u64::from(inside);
                fitted.tracker.follow(error);
            }
            self.followed = slot;
        }
    }
}
