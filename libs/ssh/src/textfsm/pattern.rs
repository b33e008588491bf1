//! Patterns of Python as the crates `regex` and, where they look around or back, `fancy-regex` take them.

use std::collections::HashMap;

use regex::Regex;

/// Most steps back that a pattern with look-around takes in one line; a line that needs more does not match.
const MOST_STEPS: usize = 100_000;

/// A pattern of a rule.
#[derive(Debug)]
pub(super) enum Pattern {
    /// Time grows with the line only.
    Plain(Regex),
    /// Looks around, or at what a group has found.
    Around(Box<fancy_regex::Regex>),
}

impl Pattern {
    /// The pattern in the form of Python.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = translated(text);
        let plain = match Regex::new(&text) {
            Ok(plain) => return Ok(Self::Plain(plain)),
            Err(error) => error.to_string(),
        };
        let around = fancy_regex::RegexBuilder::new(&text)
            .backtrack_limit(MOST_STEPS)
            .build();
        around
            .map(|around| Self::Around(Box::new(around)))
            .map_err(|_| {
                let last = plain.lines().last().unwrap_or_default();
                format!("the pattern cannot be used: {last}")
            })
    }

    /// The names of its groups.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Plain(regex) => regex.capture_names().flatten().collect(),
            Self::Around(regex) => regex.capture_names().flatten().collect(),
        }
    }

    /// What each of `names` found in a line; `None` when it does not match.
    pub(super) fn found<'a>(
        &self,
        names: &[String],
        line: &'a str,
    ) -> Option<Vec<Option<&'a str>>> {
        match self {
            Self::Plain(regex) => {
                let found = regex.captures(line)?;
                let text = |name: &String| found.name(name).map(|found| found.as_str());
                Some(names.iter().map(text).collect())
            }
            Self::Around(regex) => {
                let found = regex.captures(line).ok().flatten()?;
                let text = |name: &String| found.name(name).map(|found| found.as_str());
                Some(names.iter().map(text).collect())
            }
        }
    }
}

/// `text` with the pattern of each value in the place of `${NAME}` or `$NAME`, and `$` for `$$`.
pub(super) fn filled(text: &str, patterns: &HashMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (name, after) = match after.strip_prefix('{') {
            Some(inner) => inner.split_once('}').ok_or("expected } behind ${")?,
            None => {
                let end = after
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .unwrap_or(after.len());
                after.split_at(end)
            }
        };
        let pattern = patterns
            .get(name)
            .ok_or_else(|| format!("expected the name of a value behind $, found {name:?}"))?;
        out.push_str(pattern);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// What Python takes for itself and this crate takes for an operator.
fn translated(pattern: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    let mut class = false;
    // The groups that are open, and whether each looks around.
    let mut groups = Vec::new();
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        match c {
            '\\' => {
                match next {
                    Some('Z') => out.push_str("\\z"),
                    Some(c @ ('<' | '>' | '_' | ' ' | '\'' | '"' | ',' | ':' | '/' | '!')) => {
                        out.push(c);
                    }
                    Some(c) => {
                        out.push('\\');
                        out.push(c);
                    }
                    None => out.push('\\'),
                }
                at += 2;
                continue;
            }
            '[' if class => out.push_str("\\["),
            '[' => {
                class = true;
                out.push('[');
                // A bracket that closes at once stands for itself.
                let mut ahead = at + 1;
                if chars.get(ahead) == Some(&'^') {
                    out.push('^');
                    ahead += 1;
                }
                if chars.get(ahead) == Some(&']') {
                    out.push_str("\\]");
                    ahead += 1;
                }
                at = ahead;
                continue;
            }
            ']' if class => {
                class = false;
                out.push(']');
            }
            '&' | '~' if class => {
                out.push('\\');
                out.push(c);
            }
            '-' if class && next == Some('-') => out.push_str("\\-"),
            '(' if !class => {
                let ahead: String = chars[at + 1..].iter().take(3).collect();
                let around = ["?=", "?!", "?<=", "?<!"];
                groups.push(around.iter().any(|own| ahead.starts_with(own)));
                out.push('(');
            }
            ')' if !class => {
                out.push(')');
                // To look at the same place once more finds the same.
                at += usize::from(groups.pop() == Some(true) && next == Some('+'));
            }
            '{' if !class && next == Some(',') && repeats(&chars[at + 1..]) => out.push_str("{0"),
            '{' if !class && !repeats(&chars[at + 1..]) => out.push_str("\\{"),
            '}' if !class && !closes(&chars[..at]) => out.push_str("\\}"),
            _ => out.push(c),
        }
        at += 1;
    }
    out
}

/// Whether a brace is followed by what makes it a repetition.
fn repeats(rest: &[char]) -> bool {
    let inner: Vec<char> = rest.iter().copied().take_while(|c| *c != '}').collect();
    rest.len() > inner.len() && counts(&inner)
}

/// Whether a brace ends a repetition.
fn closes(before: &[char]) -> bool {
    let open = before.iter().rposition(|c| *c == '{');
    open.is_some_and(|open| counts(&before[open + 1..]))
}

fn counts(inner: &[char]) -> bool {
    !inner.is_empty()
        && inner.iter().all(|c| c.is_ascii_digit() || *c == ',')
        && inner.iter().filter(|c| **c == ',').count() <= 1
}
