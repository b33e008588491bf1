//! What Grafana puts in the place of `$name`, `${name}` and `${name:format}` before it sends a query.

use std::collections::{BTreeMap, BTreeSet};

/// The values of variables, built-in ones (`__range`, `__rate_interval`) among them.
#[derive(Debug, Clone, Default)]
pub struct Values(BTreeMap<String, String>);

impl Values {
    /// Values of the built-in variables: the time range, the step between two points, and the interval between two
    /// scrapes, each in seconds.
    #[must_use]
    pub fn builtin(range: u64, step: u64, scrape: u64) -> Self {
        let mut values = Self::default();
        values.set("__range", format!("{range}s"));
        values.set("__range_s", range.to_string());
        values.set("__interval", format!("{step}s"));
        // Grafana's own rule: four scrapes at least, else a step and a scrape.
        values.set(
            "__rate_interval",
            format!("{}s", (4 * scrape).max(step + scrape)),
        );
        values
    }

    /// Sets one value.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// `text` with every variable replaced.
    ///
    /// # Errors
    /// The name of a variable that has no value.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Name(name) => {
                    filled.push_str(self.0.get(name).ok_or_else(|| name.to_owned())?);
                }
            }
        }
        Ok(filled)
    }
}

/// The names of the variables in `text`.
#[must_use]
pub fn names(text: &str) -> BTreeSet<&str> {
    pieces(text)
        .into_iter()
        .filter_map(|piece| {
            if let Piece::Name(name) = piece {
                Some(name)
            } else {
                None
            }
        })
        .collect()
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        let (name, end) = if let Some(braced) = after.strip_prefix('{') {
            let Some(close) = braced.find('}') else { break };
            let inner = &braced[..close];
            (
                inner.split([':', '.', '[']).next().unwrap_or(inner),
                close + 2,
            )
        } else {
            let end = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            (&after[..end], end)
        };
        pieces.push(Piece::Text(&rest[..at]));
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            // `$1` of label_replace and a lone dollar sign are no variables.
            pieces.push(Piece::Text(&rest[at..=at + end]));
        } else {
            pieces.push(Piece::Name(name));
        }
        rest = &after[end..];
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// The two parts of `label_values(selector, label)`.
#[must_use]
pub fn label_values(query: &str) -> Option<(String, String)> {
    let inner = query
        .trim()
        .strip_prefix("label_values(")?
        .strip_suffix(')')?;
    let (selector, label) = inner.rsplit_once(',')?;
    Some((selector.trim().to_owned(), label.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_in_each_spelling() {
        let mut values = Values::builtin(300, 1, 1);
        values.set("site", "north");
        let filled = values
            .fill(r#"a{site=~"|$site",b="${site:regex}"}[$__rate_interval] $1"#)
            .unwrap();
        assert_eq!(filled, r#"a{site=~"|north",b="north"}[4s] $1"#);
    }

    #[test]
    fn a_variable_without_a_value_is_named() {
        assert_eq!(Values::default().fill("a{b='$c'}"), Err("c".to_owned()));
        assert_eq!(
            names("${__url_time_range} $site ${__data.fields.device}"),
            BTreeSet::from(["__data", "__url_time_range", "site"])
        );
    }
}
