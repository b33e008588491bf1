//! Which model to believe: each is tried on the last days as if they were not known yet.

use crate::model::{Model, Mstl, Naive, Profile};
use crate::{DAY, WEEK};

/// Most days that are played back.
const ORIGINS: usize = 7;
/// Fewest days that prove anything.
const FEWEST: usize = 3;
/// A series that repeats itself up to this part of its size leaves nothing to be better at.
const EXACT: f64 = 1e-9;
/// The name of the weighted mean of all models.
pub const BLEND: &str = "blend";
/// Names of all models, in the order in which they are told.
pub const MODELS: [&str; 5] = ["mstl", "profile", BLEND, "daily_naive", "weekly_naive"];

/// The model that was chosen, and how all of them did.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Its name.
    pub model: &'static str,
    /// The next slots, as logarithms.
    pub point: Vec<f64>,
    /// Its errors on each day that was played back, truth less forecast, as logarithms.
    pub errors: Vec<Vec<f64>>,
    /// Mean absolute scaled error of each model that said something, scaled by the naive error within the training history (Hyndman and
    /// Koehler 2006), in the unit of the values.
    pub mase: Vec<(&'static str, f64)>,
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
struct Tried {
    name: &'static str,
    /// Forecast of each day, as logarithms.
    days: Vec<Vec<f64>>,
    /// Mean absolute error of each day in the unit of the values.
    misses: Vec<f64>,
}

impl Tried {
    fn miss(&self) -> f64 {
        self.misses.iter().sum::<f64>() / self.misses.len().max(1) as f64
    }
}

/// Plays back the last days of `logs`, logarithms of values plus `offset`, and forecasts `steps` slots by the best model.
#[must_use]
pub fn choose(logs: &[f64], offset: f64, steps: usize) -> Verdict {
    // A week has to be seen twice before the first day that is played back.
    let weekly = logs.len() >= 2 * WEEK + FEWEST * DAY;
    let period = if weekly { WEEK } else { DAY };
    let room = logs.len().saturating_sub(2 * period) / DAY;
    let origins = room.min(ORIGINS);
    if origins < FEWEST {
        return Verdict::Short;
    }
    let begin = logs.len() - origins * DAY;
    let periods = if weekly { vec![DAY, WEEK] } else { vec![DAY] };
    let models: Vec<Box<dyn Model>> = vec![
        Box::new(Mstl { periods }),
        Box::new(Profile { period }),
        Box::new(Naive { period: DAY }),
        Box::new(Naive { period: WEEK }),
    ];
    let mut tried: Vec<Tried> = models
        .iter()
        .filter_map(|model| try_out(&**model, logs, begin, offset))
        .collect();
    let weights = weights(&tried, None);
    if let Some(blend) = blend(&tried, logs, begin, offset) {
        tried.push(blend);
    }
    let scale = scale(&logs[..begin], period, offset);
    let size: f64 = logs[..begin].iter().map(|log| log.exp()).sum::<f64>() / begin as f64;
    if scale <= EXACT * size {
        return Verdict::NoBetter(Vec::new());
    }
    let mase: Vec<_> = tried
        .iter()
        .map(|one| (one.name, one.miss() / scale))
        .collect();
    let is_naive = |one: &&Tried| one.name.ends_with("naive");
    let best = |naive: bool| {
        let those = tried.iter().filter(|one| is_naive(one) == naive);
        those.min_by(|a, b| a.miss().total_cmp(&b.miss()))
    };
    let (Some(best), Some(naive)) = (best(false), best(true)) else {
        return Verdict::Short;
    };
    if best.miss() >= naive.miss() {
        return Verdict::NoBetter(mase);
    }
    let point = if best.name == BLEND {
        let forecasts: Vec<Option<Vec<f64>>> = weights
            .iter()
            .map(|(name, _)| forecast(&models, name, logs, steps))
            .collect();
        mean(&forecasts, &weights, steps)
    } else {
        forecast(&models, best.name, logs, steps)
    };
    let Some(point) = point else {
        return Verdict::NoBetter(mase);
    };
    let errors = best.days.iter().enumerate().map(|(day, said)| {
        let truth = &logs[begin + day * DAY..];
        said.iter().zip(truth).map(|(said, is)| is - said).collect()
    });
    Verdict::Chosen(Choice {
        model: best.name,
        point,
        errors: errors.collect(),
        mase,
    })
}

fn forecast(models: &[Box<dyn Model>], name: &str, logs: &[f64], steps: usize) -> Option<Vec<f64>> {
    let model = models.iter().find(|model| model.name() == name)?;
    model.forecast(logs, steps).ok()
}

fn try_out(model: &dyn Model, logs: &[f64], begin: usize, offset: f64) -> Option<Tried> {
    let mut tried = Tried {
        name: model.name(),
        days: Vec::new(),
        misses: Vec::new(),
    };
    for origin in (begin..logs.len()).step_by(DAY) {
        let said = model.forecast(&logs[..origin], DAY).ok()?;
        tried.misses.push(miss(&said, &logs[origin..], offset));
        tried.days.push(said);
    }
    Some(tried)
}

/// Mean absolute error in the unit of the values.
fn miss(said: &[f64], truth: &[f64], offset: f64) -> f64 {
    let value = |log: f64| (log.exp() - offset).max(0.0);
    let sum: f64 = said
        .iter()
        .zip(truth)
        .map(|(said, is)| (value(*said) - value(*is)).abs())
        .sum();
    sum / said.len().min(truth.len()).max(1) as f64
}

/// The weight of each model: its error to the power of -3, without the day `but`.
fn weights(tried: &[Tried], but: Option<usize>) -> Vec<(&'static str, f64)> {
    let weight = |one: &Tried| {
        let kept = one.misses.iter().enumerate();
        let kept = kept.filter(|(day, _)| Some(*day) != but);
        let sum: f64 = kept.map(|(_, miss)| miss).sum();
        sum.max(f64::MIN_POSITIVE).powi(-3).min(1e200)
    };
    let all: Vec<_> = tried.iter().map(|one| (one.name, weight(one))).collect();
    let sum: f64 = all.iter().map(|(_, weight)| weight).sum();
    all.iter()
        .map(|(name, weight)| (*name, weight / sum))
        .collect()
}

/// The weighted mean of all, each day with the weights of the others, so that no day judges itself.
fn blend(tried: &[Tried], logs: &[f64], begin: usize, offset: f64) -> Option<Tried> {
    let days = tried.first()?.days.len();
    let mut blend = Tried {
        name: BLEND,
        days: Vec::new(),
        misses: Vec::new(),
    };
    for day in 0..days {
        let weights = weights(tried, Some(day));
        let said: Vec<_> = tried
            .iter()
            .map(|one| Some(one.days[day].clone()))
            .collect();
        let said = mean(&said, &weights, DAY)?;
        blend
            .misses
            .push(miss(&said, &logs[begin + day * DAY..], offset));
        blend.days.push(said);
    }
    Some(blend)
}

fn mean(
    forecasts: &[Option<Vec<f64>>],
    weights: &[(&'static str, f64)],
    steps: usize,
) -> Option<Vec<f64>> {
    let said = forecasts.iter().zip(weights);
    let said: Vec<_> = said
        .filter_map(|(said, (_, weight))| Some((said.as_ref()?, *weight)))
        .collect();
    let sum: f64 = said.iter().map(|(_, weight)| weight).sum();
    (sum > 0.0).then(|| {
        (0..steps)
            .map(|step| {
                said.iter()
                    .map(|(said, weight)| said[step] * weight)
                    .sum::<f64>()
                    / sum
            })
            .collect()
    })
}

/// The mean absolute error of the naive form within a history, in the unit of the values.
fn scale(logs: &[f64], period: usize, offset: f64) -> f64 {
    miss(logs, &logs[period..], offset)
}

#[cfg(test)]
mod tests;
