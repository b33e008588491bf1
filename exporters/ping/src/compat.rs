//! Standing in for smokeping_prober, ping_exporter or blackbox_exporter: their flags and configuration files in, their metric names out.
//!
//! ```text
//! arguments ─► flags ─► toolkit's flags, and a Form ─► Config::parse reads the peer's file ─► Peer ─► directory ─► engine
//!                                                                                               └──► expose ─► /metrics
//! ```

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;
use toolkit::ConfigError;

use crate::config::Config;

pub mod blackbox;
pub mod convert;
mod directory;
mod expose;
pub mod flags;
mod go;
pub mod ping_exporter;
pub mod smokeping;
mod target;
mod window;

pub use directory::Directory;
pub use expose::Series;
pub use flags::Options;
pub use target::{Families, Target};
pub use window::{Windows, period};

/// The program that is stood in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// SuperQ's smokeping_prober.
    SmokepingProber,
    /// Czerwonk's ping_exporter.
    PingExporter,
    /// Prometheus' blackbox_exporter, with its `icmp` prober.
    Blackbox,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SmokepingProber, Self::PingExporter, Self::Blackbox];

    /// As `--compat` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SmokepingProber => "smokeping_prober",
            Self::PingExporter => "ping_exporter",
            Self::Blackbox => "blackbox",
        }
    }

    /// The kind of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The port it listens on unless told otherwise.
    pub fn port(self) -> u16 {
        match self {
            Self::SmokepingProber => 9374,
            Self::PingExporter => 9427,
            Self::Blackbox => 9115,
        }
    }
}

/// What a peer's configuration asks for beside what [`Config`] has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Who is stood in for.
    pub kind: Kind,
    /// What is probed all the time.
    pub targets: Vec<Target>,
    /// Names of the labels of the user's own, the same for every target.
    pub labels: Vec<String>,
    /// How the series are written.
    pub style: Style,
    /// Modules with another prober than `icmp`, and which.
    pub foreign: std::collections::BTreeMap<String, String>,
    /// Said once, when the configuration is taken over.
    pub warnings: Vec<String>,
}

/// How the series of a peer are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Style {
    /// Which of the bounds of our histogram there are, by place.
    pub buckets: Vec<usize>,
    /// Results that gauges are made of.
    pub history: usize,
    /// Gauges in seconds.
    pub seconds: bool,
    /// Gauges in milliseconds.
    pub millis: bool,
    /// The older gauges with the label `type`.
    pub deprecated: bool,
}

impl Peer {
    /// What is in force, as JSON, which is YAML too; there is no secret in it.
    pub(crate) fn shown(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The shortest of the intervals.
    pub fn shortest(&self) -> Option<Duration> {
        self.targets.iter().map(|target| target.interval).min()
    }
}

/// The form of the configuration: set once by the command line, before anything is read.
static FORM: OnceLock<(Kind, Options)> = OnceLock::new();

/// From now on configuration files are those of `kind`, with these flags of it.
pub fn choose(kind: Kind, options: Options) {
    let _ = FORM.set((kind, options));
}

/// Who is stood in for.
pub fn chosen() -> Option<(Kind, &'static Options)> {
    FORM.get().map(|(kind, options)| (*kind, options))
}

/// Reads a configuration file of `kind`.
///
/// # Errors
/// The first thing that is wrong with it, with its line.
pub fn parse(
    kind: Kind,
    options: &Options,
    text: &str,
    origin: &Path,
) -> Result<Config, ConfigError> {
    match kind {
        Kind::SmokepingProber => smokeping::parse(options, text, origin),
        Kind::PingExporter => ping_exporter::parse(options, text, origin),
        Kind::Blackbox => blackbox::parse(text, origin),
    }
}

#[cfg(test)]
mod tests;
