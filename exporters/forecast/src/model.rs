//! The models, behind one trait. All work on logarithms of what was measured, and none sees a value that is not finite.

mod mstl;
mod seasonal;

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

/// Something that tells the slots after a history.
pub trait Model: std::fmt::Debug + Send + Sync {
    /// Its name, the label `model`.
    fn name(&self) -> &'static str;

    /// The next `steps` slots after `history`, all of them finite.
    ///
    /// # Errors
    /// Why it says nothing.
    fn forecast(&self, history: &[f64], steps: usize) -> Result<Vec<f64>, Error>;
}

/// Whether a history can be given to a model that needs `needs` slots.
fn usable(history: &[f64], needs: usize) -> Result<(), Error> {
    if history.len() < needs {
        let has = history.len();
        return Err(Error::Short { needs, has });
    }
    if history.iter().any(|value| !value.is_finite()) {
        return Err(Error::NotFinite);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
