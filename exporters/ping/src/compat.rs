//! Standing in for smokeping_prober, ping_exporter or blackbox_exporter: their flags and configuration files in, their metric names out.
//!
//! ```text
//! arguments ─► flags ─► toolkit's flags, and Options ─► parse reads the peer's file ─► Peer ─► directory ─► engine
//!                                                                                        └──► expose ─► /metrics
//! ```

use std::path::Path;

use toolkit::ConfigError;

use crate::config::Config;
pub use crate::config::peer::{Families, Kind, Peer, Style, Target};

pub mod blackbox;
mod directory;
mod expose;
pub mod flags;
pub mod ping_exporter;
pub mod smokeping;
mod target;
mod window;

pub use directory::Directory;
pub use expose::Series;
pub use flags::Options;
pub use window::{Windows, period};

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
