//! The configuration file.

use std::path::{Path, PathBuf};

use loki::{Destination, QueueSection, Section};
use serde::Deserialize;
use toolkit::{ConfigError, Configuration, yaml};

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    loki: Option<Section>,
    queue: QueueSection,
}

/// The checked configuration.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where lines go; without one none are written.
    pub(crate) loki: Option<Destination>,
    /// Where they wait.
    pub(crate) queue: QueueSection,
    /// Relative paths begin here.
    pub(crate) base: PathBuf,
    text: String,
}

impl Config {
    pub(crate) fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::parse(text, origin)?;
        let base = origin.parent().unwrap_or(Path::new(""));
        let loki = raw.loki.map(|section| section.check(base)).transpose();
        let loki = loki.map_err(|(field, message)| {
            ConfigError::at(text, origin, format!("loki.{field}"), message)
        })?;
        Ok(Self {
            loki,
            queue: raw.queue,
            base: base.to_owned(),
            text: text.to_owned(),
        })
    }
}

impl Configuration for Config {
    const DEFAULT: &'static str = "\
# Where lines go; without it none are written. Further keys: docs/loki.md.
# loki: {url: http://127.0.0.1:3100/loki/api/v1/push}
# Where lines wait until Loki has them.
queue: {path: data/lines, max_bytes: 268435456}
";

    fn masked(&self) -> String {
        // Secrets stand in files of their own; the text has only their paths.
        self.text.clone()
    }
}
