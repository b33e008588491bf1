//! MSTL with a damped trend: augurs' decomposition into seasons and the rest, which exponential smoothing (ETS) carries on.
//!
//! augurs 0.10.3 has traps that this wrapper keeps from everybody else; each has its test. A value that is not finite makes its fit fail and
//! `impute` does nothing about it. Specifications without a trend (`ANN`) never fit, so that this is `AAN`, damped. One spike of a counter
//! wrecks a month, unless logarithms are learnt and spikes are gone, which is the caller's. Its own intervals are too narrow; they are not asked
//! for. Less than two whole periods are an error.

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::{Fit as _, Predict as _};

use super::{Error, Model, usable};

/// A forecast may leave the range of its history by this, as a logarithm: a factor of 20.
const ROOM: f64 = 3.0;

/// The model with its seasons.
#[derive(Debug, Clone)]
pub struct Mstl {
    /// Lengths of the seasons in slots, the shortest first.
    pub periods: Vec<usize>,
}

impl Model for Mstl {
    fn name(&self) -> &'static str {
        "mstl"
    }

    fn forecast(&self, history: &[f64], steps: usize) -> Result<Vec<f64>, Error> {
        let longest = self.periods.iter().copied().max().unwrap_or(1);
        usable(history, 2 * longest)?;
        let unfitted = |error: &dyn std::fmt::Display| Error::Unfitted(error.to_string());
        let trend = AutoETS::new(1, "AAN")
            .and_then(|ets| ets.damped(true))
            .map_err(|error| unfitted(&error))?
            .into_trend_model();
        let model = MSTLModel::new(self.periods.clone(), trend);
        let fitted = model.fit(history).map_err(|error| unfitted(&error))?;
        let forecast = fitted
            .predict(steps, None)
            .map_err(|error| unfitted(&error))?;
        let (least, most) = history
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &value| {
                (a.min(value), b.max(value))
            });
        let sound = |value: &f64| (least - ROOM..=most + ROOM).contains(value);
        if forecast.point.len() != steps || !forecast.point.iter().all(sound) {
            return Err(Error::Unfitted("the forecast left all bounds".to_owned()));
        }
        Ok(forecast.point)
    }
}
