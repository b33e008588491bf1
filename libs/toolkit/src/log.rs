//! Log lines on standard error, as logfmt or JSON.

mod fields;
mod format;

use std::str::FromStr;

use crate::carriers::CARRIERS;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

pub(crate) use fields::Rendered;
pub(crate) use format::Lines;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// `time=… level=INFO msg="…" key=value`
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// The least severe level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Per target.
    Debug,
    /// Life cycle.
    Info,
    /// Degraded but whole.
    Warn,
    /// Somebody must act.
    Error,
}

impl LogLevel {
    /// Our own code logs at this level, the libraries below at warnings at most.
    pub(crate) fn targets(self) -> Targets {
        let level = match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
        };
        let mut targets = Targets::new().with_default(level);
        for carrier in CARRIERS {
            targets = targets.with_target(*carrier, level.min(LevelFilter::WARN));
        }
        targets
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        <Self as clap::ValueEnum>::from_str(text, true)
    }
}
