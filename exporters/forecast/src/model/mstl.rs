//! MSTL with a damped trend: augurs' decomposition into seasons and the rest, which exponential smoothing (ETS) carries on.
//!
//! augurs 0.10.3 has traps that this wrapper keeps from everybody else; each has its test. A value that is not finite makes its fit fail and
//! `impute` does nothing about it. Specifications without a trend (`ANN`) never fit, so that this is `AAN`, damped. One spike of a counter
//! wrecks a month, unless logarithms are learnt and spikes are gone, which is the caller's. Its own intervals are too narrow; they are not asked
//! for. Less than two whole periods are an error.
//!
//! The seasons are learnt; the rest is smoothed at each forecast, over the hours of the last three days: what lies farther back no longer moves
//! a level, and the smoothing of a month would take ten times as long.

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::{Fit as _, Predict as _};

use serde::{Deserialize, Serialize};

use super::{Error, Learnt, Model, Past};
use crate::DAY;

/// A forecast may leave the range of its history by this, as a logarithm: a factor of 20.
const ROOM: f64 = 3.0;
/// Slots of an hour.
const HOUR: usize = 4;
/// Hours that the level is made of.
const HOURS: usize = 72;

/// The model with its seasons.
#[derive(Debug, Clone)]
pub struct Mstl {
    /// Lengths of the seasons in slots, the shortest first.
    pub periods: Vec<usize>,
}

/// Steps of a season that is kept, to a factor of e.
const STEPS: f64 = 3_000.0;

/// The seasons that were learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seasons {
    /// Their sum by the place in the longest, in steps.
    sum: Box<[i16]>,
    /// The least and the highest that was learnt.
    range: (f64, f64),
}

fn unfitted(error: &dyn std::fmt::Display) -> Error {
    Error::Unfitted(error.to_string())
}

impl Model for Mstl {
    fn name(&self) -> &'static str {
        "mstl"
    }

    fn learn(&self, past: Past<'_>) -> Result<Learnt, Error> {
        let longest = self.periods.iter().copied().max().unwrap_or(DAY);
        past.usable((2 * longest).max(HOURS * HOUR))?;
        let model = MSTLModel::naive(self.periods.clone());
        let fitted = model.fit(past.values).map_err(|error| unfitted(&error))?;
        let last = past.values.len();
        let mut sum = vec![0.0; longest];
        for index in last - longest..last {
            let parts = fitted.fit().seasonal().iter().zip(&self.periods);
            // The last cycle of each goes on.
            let at = |(part, period): (&Vec<f32>, &usize)| {
                let ahead = (index + longest - last) % period;
                f64::from(part[last - period + ahead])
            };
            sum[past.phase(index, longest)] = parts.map(at).sum();
        }
        let range = past
            .values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &value| {
                (a.min(value), b.max(value))
            });
        let steps = sum.iter().map(|value: &f64| (value * STEPS).round() as i16);
        Ok(Learnt::Mstl(Seasons {
            sum: steps.collect(),
            range,
        }))
    }
}

impl Seasons {
    fn at(&self, past: Past<'_>, index: usize) -> f64 {
        f64::from(self.sum[past.phase(index, self.sum.len())]) / STEPS
    }

    pub(super) fn forecast(&self, past: Past<'_>, steps: usize) -> Result<Vec<f64>, Error> {
        past.usable(HOURS * HOUR)?;
        let last = past.values.len();
        let rest: Vec<f64> = (last - HOURS * HOUR..last)
            .map(|index| past.values[index] - self.at(past, index))
            .collect();
        let hours: Vec<f64> = rest
            .chunks_exact(HOUR)
            .map(|hour| hour.iter().sum::<f64>() / HOUR as f64)
            .collect();
        let level = AutoETS::new(1, "AAN")
            .and_then(|ets| ets.damped(true))
            .and_then(|ets| ets.fit(&hours))
            .and_then(|fitted| fitted.predict(steps.div_ceil(HOUR) + 1, None))
            .map_err(|error| unfitted(&error))?
            .point;
        let forecast: Vec<f64> = (0..steps)
            .map(|step| {
                // The value of an hour stands in its middle; before the first middle is the first.
                let place = ((step as f64 - 1.5) / HOUR as f64).max(0.0);
                let below = (place as usize).min(level.len() - 1);
                let above = (below + 1).min(level.len() - 1);
                let rest = level[below] + (level[above] - level[below]) * (place - below as f64);
                rest + self.at(past, last + step)
            })
            .collect();
        let (least, most) = self.range;
        let sound = |value: &f64| (least - ROOM..=most + ROOM).contains(value);
        if !forecast.iter().all(sound) {
            return Err(Error::Unfitted("the forecast left all bounds".to_owned()));
        }
        Ok(forecast)
    }
}
