//! From the history of a series to its forecast, or to the reason why there is none.

use crate::anomaly::Tracker;
use crate::backtest::{Mix, Verdict, choose};
use crate::band::{Band, Width};
use crate::calendar::Calendar;
use crate::capacity::{saturation, weeks};
use crate::clean::{Unfit, clean, median};
use crate::history::Raw;
use crate::model::Past;
use crate::{DAY, SLOT};

mod kept;

pub(crate) use kept::Kept;

/// Beyond this part of its capacity nothing on a line is possible.
const CEILING: f64 = 1.05;

/// What is known of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// There is a forecast.
    Ok,
    /// Its history teaches nothing.
    Unfit(Unfit),
    /// No model beats the better naive one.
    NoBetterThanNaive,
}

impl State {
    /// All states, in the order in which they are told.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::NoBetterThanNaive,
        Self::Unfit(Unfit::Empty),
        Self::Unfit(Unfit::Short),
        Self::Unfit(Unfit::Constant),
        Self::Unfit(Unfit::Negative),
        Self::Unfit(Unfit::Stale),
        Self::Unfit(Unfit::Gaps),
    ];

    /// Its name, the label `state`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoBetterThanNaive => "no_better_than_naive",
            Self::Unfit(Unfit::Empty) => "empty",
            Self::Unfit(Unfit::Short) => "short",
            Self::Unfit(Unfit::Constant) => "constant",
            Self::Unfit(Unfit::Negative) => "negative",
            Self::Unfit(Unfit::Stale) => "stale",
            Self::Unfit(Unfit::Gaps) => "gaps",
        }
    }
}

/// Slots that a forecast reaches ahead of the last one learnt: a day, and half a day in which nothing comes.
pub const STEPS: usize = DAY + DAY / 2;
/// Slots over which the error of a new forecast is taken.
const LATELY: usize = 8;

/// A forecast with its band.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The model's name.
    pub model: &'static str,
    /// The end of the last slot that was known, seconds since the epoch.
    end: i64,
    offset: f64,
    /// What it can carry.
    ceiling: Option<f64>,
    point: Box<[f32]>,
    band: Band,
    /// What its edges are multiplied by.
    width: f64,
    mix: Mix,
    pub(crate) tracker: Tracker,
}

/// What came of a series.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What is known.
    pub state: State,
    /// The forecast, where there is one.
    pub fitted: Option<Fitted>,
    /// The error of each model, from the back-test.
    pub mase: Vec<(&'static str, f64)>,
    /// Days until the line is full, where that can be told.
    pub saturation: Option<[f64; 2]>,
    /// The end of the last slot that was learnt, and of the last one that was looked at.
    pub(crate) learnt: i64,
    pub(crate) until: i64,
}

/// A history made ready, with its offset.
struct Logs {
    values: Vec<f64>,
    known: Vec<bool>,
    offset: f64,
}

impl Logs {
    /// Of a history whose last slot ends at `end`; with the offset of another one, so that its models go on.
    fn of(
        raw: &Raw,
        end: i64,
        ceiling: Option<f64>,
        calendar: &Calendar,
        offset: Option<f64>,
    ) -> Result<Self, Unfit> {
        let mut slots: Vec<f64> = raw.slots().collect();
        calendar.hide(&mut slots, end);
        let cleaned = clean(&slots, ceiling)?;
        let offset = offset.unwrap_or(cleaned.offset);
        let values = cleaned.values.iter().map(|value| (value + offset).ln());
        Ok(Self {
            values: values.collect(),
            known: cleaned.known,
            offset,
        })
    }

    fn past(&self, end: i64) -> Past<'_> {
        Past {
            values: &self.values,
            begin: end.div_euclid(SLOT) - self.values.len() as i64,
        }
    }
}

/// Learns a series whose last slot ends at `end`. `capacity` is what the line can carry.
#[must_use]
pub fn fit(raw: &Raw, end: i64, capacity: Option<f64>, calendar: &Calendar) -> Outcome {
    let capacity = capacity.filter(|capacity| capacity.is_finite() && *capacity > 0.0);
    let ceiling = capacity.map(|capacity| CEILING * capacity);
    let mut outcome = Outcome {
        state: State::NoBetterThanNaive,
        fitted: None,
        mase: Vec::new(),
        saturation: capacity.and_then(|capacity| {
            // A spike of a counter is no busy day.
            let possible = |day: f64| {
                if day <= CEILING * capacity {
                    day
                } else {
                    f64::NAN
                }
            };
            let days: Vec<f64> = raw.days().map(possible).collect();
            saturation(&weeks(&days), capacity)
        }),
        learnt: end,
        until: end,
    };
    let logs = match Logs::of(raw, end, ceiling, calendar, None) {
        Ok(logs) => logs,
        Err(unfit) => {
            outcome.state = State::Unfit(unfit);
            return outcome;
        }
    };
    let past = logs.past(end);
    let choice = match choose(past, logs.offset, &logs.known) {
        Verdict::Short => {
            outcome.state = State::Unfit(Unfit::Short);
            return outcome;
        }
        Verdict::NoBetter(mase) => {
            outcome.mase = mase;
            return outcome;
        }
        Verdict::Chosen(choice) => choice,
    };
    outcome.mase = choice.mase;
    let (Some(mut point), Some(lately)) = (
        choice.mix.forecast(past, STEPS),
        choice
            .mix
            .forecast(past.first(past.values.len() - LATELY), LATELY),
    ) else {
        return outcome;
    };
    calendar.show(past, &mut point);
    let mut tracker = Tracker::of(&choice.errors, phase(past.begin + choice.begin as i64));
    // How far off it has been in the last hours.
    let is = &past.values[past.values.len() - LATELY..];
    let mut errors: Vec<f64> = is.iter().zip(lately).map(|(is, said)| is - said).collect();
    tracker.begin(median(&mut errors));
    outcome.state = State::Ok;
    outcome.fitted = Some(Fitted {
        model: choice.model,
        end,
        offset: logs.offset,
        ceiling,
        point: point.iter().map(|log| *log as f32).collect(),
        band: Band::of(&choice.errors, phase(past.begin + choice.begin as i64)),
        width: 1.0,
        mix: choice.mix,
        tracker,
    });
    outcome
}

/// A series whose forecast is to go on.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its history.
    pub(crate) raw: Raw,
    /// What was learnt of it.
    pub(crate) fitted: Option<Fitted>,
    /// Whether it is within the edge. What is not moves no forecast: it is an anomaly, or a change, which is learnt.
    pub(crate) calm: bool,
}

impl Prepared {
    /// The forecast after `end`, from what was learnt.
    ///
    /// # Errors
    /// Why there is none any more.
    pub(crate) fn follow(
        self,
        end: i64,
        calendar: &Calendar,
    ) -> Result<Option<Box<Fitted>>, Unfit> {
        let Some(mut fitted) = self.fitted else {
            return Ok(None);
        };
        let logs = Logs::of(
            &self.raw,
            end,
            fitted.ceiling,
            calendar,
            Some(fitted.offset),
        )?;
        if !self.calm {
            return Ok(Some(Box::new(fitted)));
        }
        let past = logs.past(end);
        let Some(mut point) = fitted.mix.forecast(past, STEPS) else {
            return Ok(Some(Box::new(fitted)));
        };
        calendar.show(past, &mut point);
        let next = (end + SLOT) as f64;
        let before = fitted.log(next);
        fitted.point = point.iter().map(|log| *log as f32).collect();
        fitted.end = end;
        if let (Some((before, _)), Some((after, _))) = (before, fitted.log(next)) {
            // The same value is as unlike the new forecast as it was unlike the old one.
            fitted.tracker.shift(before - after);
        }
        Ok(Some(Box::new(fitted)))
    }
}

impl Prepared {
    /// The forecast after `end`, from what was learnt, with the level of the slot that runs: `value` is the mean of the quarter of an hour before
    /// `at`. Nothing where it moves nothing.
    pub(crate) fn level(
        self,
        end: i64,
        (at, value): (f64, f64),
        calendar: &Calendar,
    ) -> Option<Box<Fitted>> {
        let mut fitted = self.fitted.filter(|_| self.calm)?;
        let before = fitted.error(at, value)?;
        // The running slot will be as far from its forecast as it is so far.
        let (expected, _) = fitted.log((end + SLOT) as f64)?;
        let running = ((expected + before).exp() - fitted.offset).max(0.0);
        let mut raw = self.raw;
        raw.advance(&[running]);
        let (ceiling, offset) = (fitted.ceiling, Some(fitted.offset));
        let logs = Logs::of(&raw, end + SLOT, ceiling, calendar, offset).ok()?;
        let past = logs.past(end + SLOT);
        let mut point = fitted.mix.forecast(past, STEPS - 1)?;
        calendar.show(past, &mut point);
        let running = past.values.last()?;
        let all = std::iter::once(running).chain(&point);
        fitted.point = all.map(|log| *log as f32).collect();
        fitted.end = end;
        let after = fitted.error(at, value)?;
        // The same value is as unlike the new forecast as it was unlike the old one.
        fitted.tracker.shift(after - before);
        Some(Box::new(fitted))
    }
}

/// A forecast of one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// A twentieth is below it.
    pub low: f64,
    /// Half is below it.
    pub middle: f64,
    /// A twentieth is above it.
    pub high: f64,
}

impl Fitted {
    /// What is expected at `at`, seconds since the epoch; nothing where the forecast does not reach.
    #[must_use]
    pub fn at(&self, at: f64) -> Option<Expected> {
        let (log, step) = self.log(at)?;
        let slot = (self.end as f64 / SLOT as f64) as i64 + step as i64;
        let (low, high) = self.band.at(step, phase(slot));
        let value = |log: f64| (log.exp() - self.offset).max(0.0);
        Some(Expected {
            low: value(log + low * self.width),
            middle: value(log),
            high: value(log + high * self.width),
        })
    }

    /// Tells bands of this width from now on.
    pub fn widen(&mut self, width: Width) {
        self.width = width.factor();
    }

    /// The error of a value as a logarithm; nothing where the forecast does not reach, or the value is none.
    #[must_use]
    pub fn error(&self, at: f64, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let (log, _) = self.log(at)?;
        let error = (value.max(0.0) + self.offset).ln() - log;
        error.is_finite().then_some(error)
    }

    /// How unlike its forecast a whole slot is that ended at `at`, 1 at the edge; the level of the errors follows it.
    pub fn watch(&mut self, at: f64, value: f64) -> Option<f64> {
        let error = self.error(at, value)?;
        let place = place(at);
        let score = self.tracker.score(error, place);
        self.tracker.follow(error, place);
        Some(score)
    }

    /// Between the two slots beside `at`.
    fn log(&self, at: f64) -> Option<(f64, usize)> {
        let place = (at - self.end as f64) / SLOT as f64 - 1.0;
        let last = self.point.len().checked_sub(1)?;
        if !(-1.0..=last as f64).contains(&place) {
            return None;
        }
        let place = place.max(0.0);
        let below = place.floor() as usize;
        let (a, b) = (self.point[below], self.point[(below + 1).min(last)]);
        let (a, b) = (f64::from(a), f64::from(b));
        Some((a + (b - a) * (place - below as f64), below))
    }
}

/// The place in its day of the slot that ends at `at` or holds it.
pub(crate) fn place(at: f64) -> usize {
    phase((at / SLOT as f64).ceil() as i64 - 1)
}

/// The place in its day of a slot.
fn phase(slot: i64) -> usize {
    usize::try_from(slot.rem_euclid(DAY as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
