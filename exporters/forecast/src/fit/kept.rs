//! What is kept of a forecast over a restart.

use serde::{Deserialize, Serialize};

use super::{Fitted, Outcome, State};
use crate::anomaly::Tracker;
use crate::backtest::{MODELS, Mix};
use crate::band::Band;

/// What is kept of a forecast over a restart.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    model: String,
    end: i64,
    offset: f64,
    ceiling: Option<f64>,
    point: Box<[f32]>,
    band: Band,
    mix: Mix,
    tracker: Tracker,
    mase: Vec<(String, f64)>,
    /// Never is nothing: JSON has no infinity.
    saturation: Option<[Option<f64>; 2]>,
    learnt: i64,
    until: i64,
}

impl Outcome {
    /// What is to be kept, where there is a forecast.
    pub(crate) fn kept(&self) -> Option<Kept> {
        let fitted = self.fitted.as_ref()?;
        let mase = self.mase.iter().filter(|(_, mase)| mase.is_finite());
        Some(Kept {
            model: fitted.model.to_owned(),
            end: fitted.end,
            offset: fitted.offset,
            ceiling: fitted.ceiling,
            point: fitted.point.clone(),
            band: fitted.band.clone(),
            mix: fitted.mix.clone(),
            tracker: fitted.tracker,
            mase: mase
                .map(|(model, mase)| ((*model).to_owned(), *mase))
                .collect(),
            saturation: self
                .saturation
                .map(|days| days.map(|days| Some(days).filter(|days| days.is_finite()))),
            learnt: self.learnt,
            until: self.until,
        })
    }
}

impl Kept {
    /// What was kept; nothing where its model is none of today's.
    pub(crate) fn outcome(self) -> Option<Outcome> {
        let name = |name: &str| MODELS.into_iter().find(|model| *model == name);
        let mase = self.mase.iter();
        Some(Outcome {
            state: State::Ok,
            mase: mase
                .filter_map(|(model, mase)| Some((name(model)?, *mase)))
                .collect(),
            saturation: self
                .saturation
                .map(|days| days.map(|days| days.unwrap_or(f64::INFINITY))),
            learnt: self.learnt,
            until: self.until,
            fitted: Some(Fitted {
                model: name(&self.model)?,
                end: self.end,
                offset: self.offset,
                ceiling: self.ceiling,
                point: self.point,
                band: self.band,
                width: 1.0,
                mix: self.mix,
                tracker: self.tracker,
            }),
        })
    }
}
