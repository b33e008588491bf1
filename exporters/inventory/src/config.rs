//! The configuration file, which has no settings yet.

use std::path::Path;

use serde::Deserialize;
use toolkit::{ConfigError, Configuration, yaml};

/// Nothing: the service is told by flags, and the devices stand in the inventory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {}

impl Configuration for Config {
    const DEFAULT: &'static str = "\
# sotp-inventory has no settings but its flags; this file may be left out.
# The devices stand in the file that --inventory.source names.
{}
";

    fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        yaml::parse(text, origin).map_err(|mut error| {
            // There is no key to be expected.
            let message = error.message.trim_end_matches(", expected one of");
            error.message = format!(
                "{message}; this service has no settings, and devices belong into --inventory.source"
            );
            error
        })
    }

    fn masked(&self) -> String {
        "# no settings; the devices are at /api/v1/inventory\n{}\n".to_owned()
    }
}
