//! What is known of every series now: written by the tasks, read at each scrape.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use toolkit::Labels;

use crate::band::Width;
use crate::clean::Unfit;
use crate::fit::{Expected, Fitted, Outcome, Prepared, State, place};
use crate::history::Raw;
use crate::peers;
use crate::{DAY, SLOT, WEEK};

/// So many slots beyond the edge on the same side are a change for good, and the series is learnt anew.
const CHANGED: i32 = 4;

/// All forecasts.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<BTreeMap<String, Table>>);

/// One forecast: a query with its series.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The query that its histories are of.
    pub(crate) query: String,
    /// The end of the last slot of its histories, seconds since the epoch; 0 before there are any.
    pub(crate) end: i64,
    /// The end of the last day of its trends.
    pub(crate) day: i64,
    /// Its series by their labels.
    pub(crate) entries: BTreeMap<promapi::Labels, Entry>,
    /// Series beyond the bound, and those whose labels cannot be passed on.
    pub(crate) left_out: [usize; 2],
    /// Fits of a series, and how many of them because it had changed.
    pub(crate) fits: u64,
    pub(crate) changes: u64,
    /// Times that a forecast went on from what had been learnt.
    pub(crate) updates: u64,
    /// What both took.
    pub(crate) busy: Duration,
    /// Questions that were not answered.
    pub(crate) failures: u64,
    /// Whether the last question was answered.
    pub(crate) answered: bool,
    /// When all series were last gone through, seconds since the epoch.
    pub(crate) last_fit: Option<i64>,
}

/// What was done with a series.
#[derive(Debug)]
pub(crate) enum Done {
    /// It was learnt.
    Learnt(Box<Outcome>),
    /// Its forecast went on, or ended.
    Followed(Result<Option<Box<Fitted>>, Unfit>),
    /// Its forecast took the level of the slot that runs, where that moves it.
    Levelled(Option<Box<Fitted>>),
}

/// One series.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its labels as they are told.
    pub(crate) labels: Labels,
    /// Its history.
    pub(crate) raw: Raw,
    /// What came of its last fit; nothing before the first.
    pub(crate) outcome: Option<Outcome>,
    /// How unlike its forecast it was when it was last looked at.
    pub(crate) score: Option<f64>,
    /// How far apart it is from its peers, 1 at the edge.
    pub(crate) apart: Option<f64>,
    /// What was really said a day ahead, against what came.
    pub(crate) quality: Quality,
    /// When it was last looked at, and what it was.
    seen: Option<(f64, f64)>,
    /// The end of the five minutes whose level was taken last.
    levelled: i64,
    /// The slot that was followed last.
    followed: i64,
    /// Slots beyond the edge in a row, below 0 for those below it.
    beyond: i32,
    /// Whether it is to be learnt anew, since it has changed.
    pub(crate) changed: bool,
}

/// How good forecasts were that had really been told, a day ahead.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quality {
    /// Slots whose value came and was held against what had been said a day before, and those that lay within the band.
    pub(crate) checked: [u64; 2],
    /// Sums of absolute errors in those slots: of what was said, of the day before and of the week before.
    pub(crate) errors: [f64; 3],
    /// How wide bands have to be for it.
    pub(crate) width: Width,
    /// What was said of each slot of the day to come: low, middle and high, NaN where nothing was.
    pub(crate) said: Box<[[f32; 3]]>,
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            checked: [0; 2],
            errors: [0.0; 3],
            width: Width::default(),
            said: vec![[f32::NAN; 3]; DAY].into(),
        }
    }
}

impl Quality {
    /// The place of the slot that ends at `end`.
    fn place(&mut self, end: i64) -> &mut [f32; 3] {
        let place = end.div_euclid(SLOT).rem_euclid(DAY as i64);
        &mut self.said[usize::try_from(place).unwrap_or(0)]
    }

    /// Holds what came in the slot that ended at `end`, which is `back` slots before the last of the history, against what was said of it.
    pub(crate) fn check(&mut self, end: i64, raw: &Raw, back: usize) {
        let said = std::mem::replace(self.place(end), [f32::NAN; 3]).map(f64::from);
        let [is, day, week] = [back, back + DAY, back + WEEK].map(|back| raw.back(back));
        if [said[1], is, day, week]
            .iter()
            .any(|value| !value.is_finite())
            || is < 0.0
        {
            return;
        }
        let inside = (said[0]..=said[2]).contains(&is);
        // Where there is never anything, as of calls at night, a hit proves nothing, and would make the band of the day too narrow.
        if !(inside && [is, day, week] == [0.0; 3]) {
            self.checked[0] += 1;
            self.checked[1] += u64::from(inside);
            self.width.held(inside);
        }
        for (sum, said) in self.errors.iter_mut().zip([said[1], day, week]) {
            *sum += (is - said).abs();
        }
    }

    /// Remembers what is said of the slot that ends at `end`.
    pub(crate) fn say(&mut self, end: i64, expected: Expected) {
        *self.place(end) = [expected.low, expected.middle, expected.high].map(|value| value as f32);
    }
}

impl Store {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Table>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the tables of these forecasts, names and queries, making new ones; a new query is a new forecast.
    pub(crate) fn keep<'a>(&self, forecasts: impl Iterator<Item = (&'a str, &'a str)>) {
        let mut tables = self.lock();
        let mut old = std::mem::take(&mut *tables);
        for (name, query) in forecasts {
            let table = old.remove(name).filter(|table| table.query == query);
            let table = table.unwrap_or_else(|| Table {
                query: query.to_owned(),
                ..Table::default()
            });
            tables.insert(name.to_owned(), table);
        }
    }
}

impl Table {
    /// Takes in what came up to `until`, one value for each slot; series that it does not have yet are new while there are less than `most`.
    pub(crate) fn advance(
        &mut self,
        came: Vec<(promapi::Labels, Vec<f64>)>,
        until: i64,
        most: usize,
    ) {
        let slots = usize::try_from((until - self.end) / SLOT).unwrap_or(0);
        let mut too_many = 0;
        let mut came: BTreeMap<_, _> = came.into_iter().collect();
        let nothing = vec![f64::NAN; slots];
        for (labels, entry) in &mut self.entries {
            let values = came.remove(labels).unwrap_or_else(|| nothing.clone());
            entry.raw.advance(&values);
        }
        for (labels, values) in came {
            if self.entries.len() < most {
                let mut raw = Raw::default();
                raw.advance(&values);
                self.entries
                    .insert(labels.clone(), Entry::new(&labels, raw));
            } else {
                too_many += 1;
            }
        }
        self.left_out[0] = too_many;
        self.end = until;
        while self.day + 86_400 <= until {
            self.day += 86_400;
            let back = usize::try_from((until - self.day) / SLOT).unwrap_or(0);
            for entry in self.entries.values_mut() {
                entry.raw.close_day(back);
            }
        }
        for entry in self.entries.values_mut() {
            for back in (0..slots.min(DAY)).rev() {
                let end = until - back as i64 * SLOT;
                entry.quality.check(end, &entry.raw, back);
            }
        }
        // What has had no value for all its history is no series any more.
        self.entries.retain(|_, entry| !entry.raw.is_empty());
    }

    /// Holds the last hour of each series against those of its peers, which are the same in these labels.
    pub(crate) fn compare(&mut self, labels: &[String]) {
        if labels.is_empty() {
            return;
        }
        let mut groups: BTreeMap<Vec<&str>, Vec<(&mut Option<f64>, peers::Moves)>> =
            BTreeMap::new();
        for (of, entry) in &mut self.entries {
            let same = labels
                .iter()
                .map(|name| of.get(name).map_or("", String::as_str));
            let moves = peers::moves(&entry.raw);
            groups
                .entry(same.collect())
                .or_default()
                .push((&mut entry.apart, moves));
        }
        for group in groups.into_values() {
            let (places, moves): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            for (place, score) in places.into_iter().zip(peers::scores(&moves)) {
                *place = score;
            }
        }
    }

    /// Forgets scores of values that did not come: what is not known is not told.
    pub(crate) fn unknown(&mut self) {
        for entry in self.entries.values_mut() {
            entry.score = None;
        }
    }
}

impl Entry {
    pub(crate) fn new(labels: &promapi::Labels, raw: Raw) -> Self {
        Self {
            labels: Labels::new(labels),
            raw,
            outcome: None,
            score: None,
            apart: None,
            quality: Quality::default(),
            seen: None,
            levelled: 0,
            followed: 0,
            beyond: 0,
            changed: false,
        }
    }

    /// Tells bands as wide as those that were told had to be.
    pub(crate) fn widen(&mut self) {
        let outcome = self.outcome.as_mut();
        if let Some(fitted) = outcome.and_then(|outcome| outcome.fitted.as_mut()) {
            fitted.widen(self.quality.width);
        }
    }

    /// Its state; nothing before the first fit.
    pub(crate) fn state(&self) -> Option<State> {
        self.outcome.as_ref().map(|outcome| outcome.state)
    }

    /// Takes in what was learnt, or how it goes on, up to `end`.
    pub(crate) fn take(&mut self, done: Done, end: i64) {
        match (done, &mut self.outcome) {
            (Done::Levelled(fitted), outcome) => {
                if let (Some(fitted), Some(outcome)) = (fitted, outcome) {
                    outcome.fitted = Some(*fitted);
                }
                return;
            }
            (Done::Learnt(outcome), _) => self.outcome = Some(*outcome),
            (Done::Followed(Ok(fitted)), Some(outcome)) => {
                outcome.fitted = fitted.map(|fitted| *fitted);
            }
            (Done::Followed(Err(unfit)), Some(outcome)) => {
                outcome.state = State::Unfit(unfit);
                outcome.fitted = None;
            }
            (Done::Followed(_), None) => {}
        }
        let Some(outcome) = &mut self.outcome else {
            return;
        };
        outcome.until = end;
        let ahead = end + DAY as i64 * SLOT;
        match outcome.fitted.as_mut() {
            Some(fitted) => {
                fitted.widen(self.quality.width);
                if let Some(expected) = fitted.at(ahead as f64) {
                    self.quality.say(ahead, expected);
                }
            }
            None => self.score = None,
        }
    }

    /// Holds a value of now against the forecast.
    pub(crate) fn look(&mut self, now: f64, value: f64) {
        self.seen = Some((now, value)).filter(|_| value.is_finite());
        let fitted = self
            .outcome
            .as_mut()
            .and_then(|outcome| outcome.fitted.as_mut());
        let known = fitted.and_then(|fitted| Some((fitted.error(now, value)?, fitted)));
        let Some((error, fitted)) = known else {
            self.score = None;
            return;
        };
        let score = fitted.tracker.score(error, place(now));
        self.score = Some(score);
        let slot = (now as i64).div_euclid(SLOT);
        if slot == self.followed {
            return;
        }
        if self.followed != 0 {
            let side = if fitted.tracker.above(error) { 1 } else { -1 };
            self.beyond = if score <= 1.0 {
                0
            } else if self.beyond * side > 0 {
                self.beyond + side
            } else {
                side
            };
            if self.beyond.abs() >= CHANGED {
                self.changed = true;
                self.beyond = 0;
            }
            fitted.tracker.follow(error, place(now));
        }
        self.followed = slot;
    }

    /// What was seen of the slot that runs after `end`, once for each five minutes that have ended at `mark`.
    pub(crate) fn running(&mut self, end: i64, mark: i64) -> Option<(f64, f64)> {
        let (at, _) = self.seen?;
        let new = at > end.max(self.levelled) as f64 && at <= (end + SLOT) as f64;
        if mark <= end.max(self.levelled) || !new {
            return None;
        }
        self.levelled = mark;
        self.seen
    }

    /// Its history as it is learnt, or why it teaches nothing.
    pub(crate) fn job(&self) -> Prepared {
        Prepared {
            raw: self.raw.clone(),
            fitted: self
                .outcome
                .as_ref()
                .and_then(|outcome| outcome.fitted.clone()),
            calm: self.score.is_none_or(|score| score <= 1.0),
        }
    }
}

#[cfg(test)]
mod tests;
