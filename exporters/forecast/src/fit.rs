//! From the history of a series to its forecast, or to the reason why there is none.

use crate::anomaly::Tracker;
use crate::backtest::{Verdict, choose};
use crate::band::Band;
use crate::capacity::{saturation, weeks};
use crate::clean::{Unfit, clean, median};
use crate::history::Raw;
use crate::{DAY, SLOT};

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

/// A forecast with its band.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The model's name.
    pub model: &'static str,
    /// The end of the last slot that was learnt, seconds since the epoch.
    end: i64,
    offset: f64,
    point: Vec<f64>,
    band: Band,
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
}

/// Learns a series whose last slot ends at `end`, and forecasts `steps` slots. `capacity` is what the line can carry.
#[must_use]
pub fn fit(raw: &Raw, end: i64, capacity: Option<f64>, steps: usize) -> Outcome {
    let capacity = capacity.filter(|capacity| capacity.is_finite() && *capacity > 0.0);
    let slots: Vec<f64> = raw.slots.iter().copied().map(f64::from).collect();
    let mut outcome = Outcome {
        state: State::Unfit(Unfit::Empty),
        fitted: None,
        mase: Vec::new(),
        saturation: capacity.and_then(|capacity| {
            // A spike of a counter is no busy day.
            let possible = |day: &f64| (*day <= CEILING * capacity).then_some(*day);
            let days: Vec<f64> = raw
                .days
                .iter()
                .map(|day| possible(day).unwrap_or(f64::NAN))
                .collect();
            saturation(&weeks(&days), capacity)
        }),
    };
    let cleaned = match clean(&slots, capacity.map(|capacity| CEILING * capacity)) {
        Ok(cleaned) => cleaned,
        Err(unfit) => {
            outcome.state = State::Unfit(unfit);
            return outcome;
        }
    };
    let offset = cleaned.offset;
    let logs: Vec<f64> = cleaned
        .values
        .iter()
        .map(|value| (value + offset).ln())
        .collect();
    match choose(&logs, offset, steps) {
        Verdict::Short => outcome.state = State::Unfit(Unfit::Short),
        Verdict::NoBetter(mase) => {
            outcome.state = State::NoBetterThanNaive;
            outcome.mase = mase;
        }
        Verdict::Chosen(choice) => {
            outcome.state = State::Ok;
            outcome.mase = choice.mase;
            let mut tracker = Tracker::of(&choice.errors);
            // How far off it was lately, in the last hours of what it had not seen.
            if let Some(last) = choice.errors.last() {
                let from = last.len().saturating_sub(8);
                tracker.begin(median(&mut last[from..].to_vec()));
            }
            outcome.fitted = Some(Fitted {
                model: choice.model,
                end,
                offset,
                point: choice.point,
                band: Band::of(&choice.errors),
                tracker,
            });
        }
    }
    outcome
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
        let (low, high) = self.band.at(step);
        let value = |log: f64| (log.exp() - self.offset).max(0.0);
        Some(Expected {
            low: value(log + low),
            middle: value(log),
            high: value(log + high),
        })
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
        Some((a + (b - a) * (place - below as f64), below))
    }
}

/// Slots from one fit to the end of a day after the next, with the time that fits may be late.
#[must_use]
pub fn steps(refit: std::time::Duration) -> usize {
    let slots = refit.as_secs().div_ceil(SLOT.unsigned_abs());
    DAY + 2 + 2 * usize::try_from(slots).unwrap_or(usize::MAX / 4)
}

#[cfg(test)]
mod tests;
