//! The models, behind one trait. All work on logarithms of what was measured, and none sees a value that is not finite.
//!
//! Learning is apart from forecasting: what was learnt once tells the next slots after any later history, so that a forecast follows the level
//! every quarter of an hour and is learnt anew once a day.

mod direct;
mod mstl;
mod seasonal;

use serde::{Deserialize, Serialize};

pub use direct::Direct;
pub use mstl::Mstl;
pub use seasonal::{Naive, Profile};

/// Why a model says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It needs more history.
    #[error("needs {needs} slots of history, has {has}")]
    Short {
        /// Slots that it needs.
        needs: usize,
        /// Slots that there are.
        has: usize,
    },
    /// The history has a value that is not finite.
    #[error("a value of the history is not finite")]
    NotFinite,
    /// The library could not fit it.
    #[error("{0}")]
    Unfitted(String),
}

/// A history: one finite logarithm for each slot, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// The values.
    pub values: &'a [f64],
    /// The number of the first slot, counted from the epoch: seasons are told by it.
    pub begin: i64,
}

/// Something that can learn a history.
pub trait Model: std::fmt::Debug + Send + Sync {
    /// Its name, the label `model`.
    fn name(&self) -> &'static str;

    /// Learns a history.
    ///
    /// # Errors
    /// Why it learns nothing.
    fn learn(&self, past: Past<'_>) -> Result<Learnt, Error>;
}

/// What a model has learnt: small, since ten thousand series have some, and kept over a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Learnt {
    /// The season that repeats itself.
    Naive(Naive),
    /// The season that is averaged.
    Profile(Profile),
    /// The seasons of a decomposition.
    Mstl(mstl::Seasons),
    /// The weights of a regression.
    Direct(Box<direct::Weights>),
}

impl Learnt {
    /// The next `steps` slots after `past`, which is what was learnt or goes on from it; all of them finite.
    ///
    /// # Errors
    /// Why it says nothing.
    pub fn forecast(&self, past: Past<'_>, steps: usize) -> Result<Vec<f64>, Error> {
        let forecast = match self {
            Self::Naive(naive) => naive.forecast(past, steps),
            Self::Profile(profile) => profile.forecast(past, steps),
            Self::Mstl(seasons) => seasons.forecast(past, steps),
            Self::Direct(weights) => weights.forecast(past, steps),
        }?;
        if forecast.len() != steps || forecast.iter().any(|value| !value.is_finite()) {
            return Err(Error::Unfitted("the forecast is not finite".to_owned()));
        }
        Ok(forecast)
    }
}

impl<'a> Past<'a> {
    /// Whether it can be given to a model that needs `needs` slots.
    fn usable(self, needs: usize) -> Result<(), Error> {
        let has = self.values.len();
        if has < needs {
            return Err(Error::Short { needs, has });
        }
        if self.values.iter().any(|value| !value.is_finite()) {
            return Err(Error::NotFinite);
        }
        Ok(())
    }

    /// Its first `count` slots.
    #[must_use]
    pub fn first(self, count: usize) -> Self {
        let values = &self.values[..count.min(self.values.len())];
        Self { values, ..self }
    }

    /// The place in a season of the slot `index` after its first.
    fn phase(self, index: usize, period: usize) -> usize {
        let place = (self.begin + index as i64).rem_euclid(period as i64);
        usize::try_from(place).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
