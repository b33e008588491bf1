//! What is wrong with a document, and where.

use std::borrow::Cow;
use std::fmt;

use serde_saphyr::budget::BudgetBreach;

use crate::{At, Rules};

/// One thing that is wrong: `:line:column: path: message`, to stand after the name of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    /// Where.
    pub at: At,
    /// Path inside the document, `devices[3].address`; empty for the whole of it.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.line > 0 {
            write!(f, ":{}:{}", self.at.line, self.at.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// How much of a wrong value a message repeats.
const SHOWN: usize = 60;

/// `value` as a message may hold it: short, and without control characters.
#[must_use]
pub fn shown(value: &str) -> Cow<'_, str> {
    if value.len() <= SHOWN && !value.chars().any(char::is_control) {
        return Cow::Borrowed(value);
    }
    let mut short: String = value
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if value.chars().nth(SHOWN).is_some() {
        short.push_str("...");
    }
    Cow::Owned(short)
}

impl Mistake {
    /// What the YAML parser refused.
    pub(crate) fn of_parser(error: &serde_saphyr::Error, rules: &Rules) -> Self {
        Self {
            at: error.location().map_or(At::default(), At::from),
            path: String::new(),
            message: plain(error, rules),
        }
    }
}

/// The message of the parser on one line, without the place, which is told apart.
fn plain(error: &serde_saphyr::Error, rules: &Rules) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::AliasError { error, .. } => plain(error, rules),
        serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or_default();
            format!("duplicate key \"{}\"; expected each once", shown(key))
        }
        serde_saphyr::Error::Budget { breach, .. } => bound(breach, rules),
        serde_saphyr::Error::AliasReplayLimitExceeded { .. }
        | serde_saphyr::Error::AliasExpansionLimitExceeded { .. }
        | serde_saphyr::Error::AliasReplayStackDepthExceeded { .. } => repeated(rules),
        error => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            match line.find(" at line ").map_or(line, |end| &line[..end]) {
                // The parser's own bound on brackets, which is told before the budget's.
                "recursion limit exceeded" => {
                    bound(&BudgetBreach::Depth { depth: rules.depth }, rules)
                }
                "null is not allowed here" => "expected a key, found nothing".to_owned(),
                line => line.to_owned(),
            }
        }
    }
}

/// Which bound of the document was passed.
fn bound(breach: &BudgetBreach, rules: &Rules) -> String {
    match breach {
        BudgetBreach::Documents { .. } => "a second document begins here; expected one".to_owned(),
        BudgetBreach::Depth { .. } => {
            format!("nested too deep; expected {} levels at most", rules.depth)
        }
        BudgetBreach::Events { .. } | BudgetBreach::Nodes { .. } => {
            format!("too many values; expected {} at most", rules.values)
        }
        BudgetBreach::Aliases { .. } | BudgetBreach::MergeKeys { .. } => {
            format!("too many aliases; expected {} at most", rules.aliases)
        }
        BudgetBreach::RecordedAnchorEvents { .. } | BudgetBreach::RecordedAnchorBytes { .. } => {
            repeated(rules)
        }
        _ => "the document is too large".to_owned(),
    }
}

fn repeated(rules: &Rules) -> String {
    format!(
        "aliases repeat too much; expected {} values at most",
        rules.repeated
    )
}
