//! Strict YAML: unknown and duplicate keys refused, errors with line and path, no source text in messages.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::ConfigError;

mod node;

/// Parses one YAML document; one without content counts as an empty mapping.
///
/// The type must carry `#[serde(deny_unknown_fields)]`; duplicate keys, alias bombs and deep nesting are refused here.
///
/// # Errors
/// The first mistake with line, column and path. Neighbouring lines are never quoted, since they may hold secrets.
pub fn parse<T: DeserializeOwned>(text: &str, origin: &Path) -> Result<T, ConfigError> {
    let text = if is_empty(text) { "{}" } else { text };
    let mut path = None;
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |from| {
        serde_path_to_error::deserialize(from).map_err(|error| {
            path = Some(error.path().to_string());
            error.into_inner()
        })
    });
    parsed.map_err(|error| refused(&error, origin, path))
}

/// Line and column, counted from 1, of the value at a path such as `devices[3].address`; of its nearest parent when it is not there.
#[must_use]
pub fn locate(text: &str, path: &str) -> Option<(u64, u64)> {
    let root: serde_saphyr::Spanned<node::Node> =
        serde_saphyr::from_str_with_options(text, options()).ok()?;
    let mut at = root.referenced;
    let mut node = &root.value;
    for step in node::steps(path) {
        let Some(next) = node.child(&step) else { break };
        at = next.referenced;
        node = &next.value;
    }
    Some((at.line(), at.column()))
}

/// The path of a key below another one, in quotes where it needs them to be read back.
#[must_use]
pub fn join(parent: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    if plain {
        format!("{parent}.{key}")
    } else {
        format!("{parent}.\"{key}\"")
    }
}

fn is_empty(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { with_snippet: false }
}

fn refused(error: &serde_saphyr::Error, origin: &Path, path: Option<String>) -> ConfigError {
    let place = error
        .location()
        .map(|at| (at.line(), at.column()))
        .filter(|(line, _)| *line > 0);
    let message = error
        .without_snippet()
        .render_with_formatter(&serde_saphyr::UserMessageFormatter);
    // The renderer repeats the place, which stands at the head of our line already.
    let message = message
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    // A question mark stands for an element that the path does not name.
    let path = path.map(|path| path.trim_end_matches('?').trim_end_matches('.').to_owned());
    let path = path.filter(|path| !path.is_empty());
    ConfigError {
        origin: origin.to_owned(),
        place,
        path,
        message,
    }
}
