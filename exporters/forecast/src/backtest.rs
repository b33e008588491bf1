//! Which model to believe: each is tried on the last days as if they were not known yet.
//!
//! A model learns what was before these days once, and then follows them from one beginning to the next as the service itself does between two
//! fits; so the errors found are those of a forecast whose model is up to a week old.

use serde::{Deserialize, Serialize};

use crate::model::{Direct, Learnt, Model, Mstl, Naive, Past, Profile};
use crate::{DAY, WEEK};

/// Most days that are played back.
const DAYS: usize = 7;
/// Fewest days that prove anything.
const FEWEST: usize = 3;
/// Slots from one beginning of a forecast to the next.
pub(crate) const STRIDE: usize = DAY / 2;
/// A series that repeats itself up to this part of its size leaves nothing to be better at.
const EXACT: f64 = 1e-9;
/// A single model is believed rather than the mean of all when its error is below this part of the mean's.
const SURELY: f64 = 0.93;
/// The name of the weighted mean of all models.
pub const BLEND: &str = "blend";
/// Names of all models, in the order in which they are told.
pub const MODELS: [&str; 7] = [
    "mstl",
    "direct_daily",
    "direct_weekly",
    "profile",
    BLEND,
    "daily_naive",
    "weekly_naive",
];

/// What is told from: one model, or the weighted mean of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mix(pub Vec<(f64, Learnt)>);

/// The model that was chosen, and how all of them did.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Its name.
    pub model: &'static str,
    /// What it has learnt of the whole history.
    pub mix: Mix,
    /// Its errors from each beginning that was played back, truth less forecast, as logarithms; NaN where there was no truth.
    pub errors: Vec<Vec<f64>>,
    /// The first of these beginnings, in slots from the begin of the history; the others follow in strides.
    pub begin: usize,
    /// Mean absolute scaled error of each model that said something, scaled by the naive error within the training history (Hyndman and
    /// Koehler 2006), in the unit of the values.
    pub mase: Vec<(&'static str, f64)>,
    /// What they were scaled by.
    pub scale: f64,
}

/// What the back-test found.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// A model beats the better naive form.
    Chosen(Choice),
    /// None does; the errors of all.
    NoBetter(Vec<(&'static str, f64)>),
    /// There is too little history to tell.
    Short,
}

/// One model on the days played back.
struct Tried<'a> {
    model: Option<&'a dyn Model>,
    name: &'static str,
    /// Forecasts from each beginning, as logarithms.
    said: Vec<Vec<f64>>,
    /// Mean absolute error of each in the unit of the values.
    misses: Vec<f64>,
}

impl Tried<'_> {
    /// The mean of the better five sixths: an incident on one of the days says nothing of a model.
    fn miss(&self) -> f64 {
        kept(self.misses.clone())
    }
}

impl Mix {
    /// The next `steps` slots after `past`, as logarithms; nothing where a part says nothing.
    #[must_use]
    pub fn forecast(&self, past: Past<'_>, steps: usize) -> Option<Vec<f64>> {
        let mut sum = vec![0.0; steps];
        for (weight, learnt) in &self.0 {
            let said = learnt.forecast(past, steps).ok()?;
            for (sum, said) in sum.iter_mut().zip(said) {
                *sum += weight * said;
            }
        }
        Some(sum)
    }
}

/// What came, to hold forecasts against.
struct Truth {
    /// The values in their own unit; NaN where none was measured: what was filled in proves nothing.
    values: Vec<f64>,
    offset: f64,
}

/// Plays back the last days of `past`, logarithms of values plus `offset`, and learns the whole of it by the best model. `known` are the slots
/// that were measured.
#[must_use]
pub fn choose(past: Past<'_>, offset: f64, known: &[bool]) -> Verdict {
    let logs = past.values;
    // A week has to be seen twice before the first day that is played back.
    let weekly = logs.len() >= 2 * WEEK + FEWEST * DAY;
    let period = if weekly { WEEK } else { DAY };
    let days = (logs.len().saturating_sub(2 * period) / DAY).min(DAYS);
    if days < FEWEST {
        return Verdict::Short;
    }
    let begin = logs.len() - days * DAY;
    let measured = |(log, known): (&f64, &bool)| {
        if *known {
            (log.exp() - offset).max(0.0)
        } else {
            f64::NAN
        }
    };
    let truth = Truth {
        values: logs.iter().zip(known).map(measured).collect(),
        offset,
    };
    let values = &truth.values;
    let scale = scale(&values[..begin], period);
    // Two of the days have to be there.
    let proven = known[begin..].iter().filter(|known| **known).count();
    if proven < 2 * DAY {
        return Verdict::Short;
    }
    let size = mean(values[..begin].iter().copied());
    if scale <= EXACT * size {
        return Verdict::NoBetter(Vec::new());
    }
    let periods = if weekly { vec![DAY, WEEK] } else { vec![DAY] };
    let models: [Box<dyn Model>; 6] = [
        Box::new(Mstl { periods }),
        Box::new(Direct { period: DAY }),
        Box::new(Direct { period: WEEK }),
        Box::new(Profile { period }),
        Box::new(Naive { period: DAY }),
        Box::new(Naive { period: WEEK }),
    ];
    let mut tried: Vec<Tried<'_>> = models
        .iter()
        .filter_map(|model| try_out(&**model, past, begin, &truth))
        .collect();
    let weights = weights(&tried, None);
    if let Some(blend) = blend(&tried, begin, &truth) {
        tried.push(blend);
    }
    let mase: Vec<_> = MODELS
        .iter()
        .filter_map(|name| tried.iter().find(|one| one.name == *name))
        .map(|one| (one.name, one.miss() / scale))
        .collect();
    let least = |pick: &dyn Fn(&str) -> bool| {
        let those = tried.iter().filter(|one| pick(one.name));
        those.min_by(|a, b| a.miss().total_cmp(&b.miss()))
    };
    let (Some(naive), Some(single), Some(blend)) = (
        least(&|name| name.ends_with("naive")),
        least(&|name| name != BLEND && !name.ends_with("naive")),
        least(&|name| name == BLEND),
    ) else {
        return Verdict::Short;
    };
    let best = if single.miss() < SURELY * blend.miss() {
        single
    } else {
        blend
    };
    if best.miss() >= naive.miss() {
        return Verdict::NoBetter(mase);
    }
    let learn = |(weight, model): (f64, &dyn Model)| Some((weight, model.learn(past).ok()?));
    let parts: Option<Vec<_>> = match best.model {
        Some(model) => learn((1.0, model)).map(|one| vec![one]),
        None => {
            let all = tried.iter().zip(&weights);
            all.filter_map(|(one, weight)| Some((*weight, one.model?)))
                .map(learn)
                .collect()
        }
    };
    let Some(mix) = parts.map(Mix) else {
        return Verdict::NoBetter(mase);
    };
    let errors = best.said.iter().enumerate().map(|(at, said)| {
        let begin = begin + at * STRIDE;
        let day = said.iter().zip(&logs[begin..]).zip(&known[begin..]);
        day.map(|((said, is), known)| if *known { is - said } else { f64::NAN })
            .collect()
    });
    Verdict::Chosen(Choice {
        model: best.name,
        mix,
        errors: errors.collect(),
        begin,
        mase,
        scale,
    })
}

fn try_out<'a>(
    model: &'a dyn Model,
    past: Past<'_>,
    begin: usize,
    truth: &Truth,
) -> Option<Tried<'a>> {
    let learnt = model.learn(past.first(begin)).ok()?;
    let mut tried = Tried {
        model: Some(model),
        name: model.name(),
        said: Vec::new(),
        misses: Vec::new(),
    };
    for origin in (begin..=past.values.len() - DAY).step_by(STRIDE) {
        let said = learnt.forecast(past.first(origin), DAY).ok()?;
        tried.misses.push(truth.miss(&said, origin));
        tried.said.push(said);
    }
    Some(tried)
}

impl Truth {
    /// Mean absolute error of a forecast that begins at a slot, in the unit of the values; NaN where less than half of it is known.
    fn miss(&self, said: &[f64], begin: usize) -> f64 {
        let value = |log: f64| (log.exp() - self.offset).max(0.0);
        let day = said.iter().zip(&self.values[begin..]);
        let misses = day.map(|(said, is)| (value(*said) - is).abs());
        let misses: Vec<f64> = misses.filter(|miss| !miss.is_nan()).collect();
        if misses.len() * 2 < said.len() {
            return f64::NAN;
        }
        mean(misses.into_iter())
    }
}

/// The mean of what is known; 0 of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let known = values.filter(|value| !value.is_nan());
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// The mean of the lower five sixths.
fn kept(mut misses: Vec<f64>) -> f64 {
    misses.retain(|miss| !miss.is_nan());
    misses.sort_unstable_by(f64::total_cmp);
    misses.truncate((misses.len() * 5).div_ceil(6).max(1));
    misses.iter().sum::<f64>() / misses.len().max(1) as f64
}

/// The weight of each model: its error to the power of -4, without the beginnings whose day overlaps that of `but`.
fn weights(tried: &[Tried<'_>], but: Option<usize>) -> Vec<f64> {
    let weight = |one: &Tried<'_>| {
        let kept = one.misses.iter().enumerate();
        let kept = kept.filter(|(at, _)| but.is_none_or(|but| at.abs_diff(but) * STRIDE >= DAY));
        let miss = self::kept(kept.map(|(_, miss)| *miss).collect());
        miss.max(f64::MIN_POSITIVE).powi(-4).min(1e200)
    };
    let all: Vec<f64> = tried.iter().map(weight).collect();
    let sum: f64 = all.iter().sum();
    all.iter().map(|weight| weight / sum).collect()
}

/// The weighted mean of all, each day with the weights of the others, so that no day judges itself.
fn blend(tried: &[Tried<'_>], begin: usize, truth: &Truth) -> Option<Tried<'static>> {
    let mut blend = Tried {
        model: None,
        name: BLEND,
        said: Vec::new(),
        misses: Vec::new(),
    };
    for at in 0..tried.first()?.said.len() {
        let mut sum = vec![0.0; DAY];
        for (one, weight) in tried.iter().zip(weights(tried, Some(at))) {
            for (sum, said) in sum.iter_mut().zip(&one.said[at]) {
                *sum += weight * said;
            }
        }
        blend.misses.push(truth.miss(&sum, begin + at * STRIDE));
        blend.said.push(sum);
    }
    Some(blend)
}

/// The mean absolute error of the naive form within a history.
fn scale(values: &[f64], period: usize) -> f64 {
    let pairs = values.iter().zip(&values[period..]);
    mean(pairs.map(|(before, after)| (after - before).abs()))
}

#[cfg(test)]
mod tests;
