//! Why a configuration was refused.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a configuration was refused: `file:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// The file.
    pub origin: PathBuf,
    /// Line and column, counted from 1, where known.
    pub place: Option<(u64, u64)>,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Error {
    pub(crate) fn new(origin: &Path, message: impl Into<String>) -> Self {
        Self {
            origin: origin.to_owned(),
            place: None,
            message: message.into(),
        }
    }

    pub(crate) fn at(origin: &Path, place: (u64, u64), message: impl Into<String>) -> Self {
        Self {
            origin: origin.to_owned(),
            place: Some(place),
            message: message.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.origin.display())?;
        if let Some((line, column)) = self.place {
            write!(out, ":{line}:{column}")?;
        }
        write!(out, ": {}", self.message)
    }
}
