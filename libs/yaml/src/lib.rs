//! Strict YAML: unknown and duplicate keys refused, every mistake with line, column and path.
//!
//! A text becomes one tree that knows the place of every value ([`read`]), and typed values are decoded from that tree ([`decode`]):
//! all unknown keys are found at once, and the first value that is wrong. [`parse`] does both. Bounds on depth, size and aliases stand in the [`Rules`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod decode;
mod error;
mod path;
mod rules;
mod scalar;
mod spanned;
mod tree;

pub use decode::decode;
pub use error::{Mistake, shown};
pub use path::join;
pub use rules::Rules;
pub use spanned::Spanned;
pub use tree::{At, Key, Node, Value, read};

use serde::de::DeserializeOwned;

/// The `T` that `text` holds; a text without content counts as an empty mapping.
///
/// # Errors
/// Everything that is wrong, in the order of the text.
pub fn parse<T: DeserializeOwned>(text: &str, rules: &Rules) -> Result<T, Vec<Mistake>> {
    let text = if is_empty(text) { "{}" } else { text };
    let root = read(text, rules).map_err(|mistake| vec![mistake])?;
    let mut mistakes = Vec::new();
    let value = decode(&root, text, "", rules, &mut mistakes);
    mistakes.sort_by_key(|mistake| (mistake.at.line, mistake.at.column));
    value.ok_or(mistakes)
}

/// Whether a text has blank lines and comments only.
#[must_use]
pub fn is_empty(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

#[cfg(test)]
mod tests;
