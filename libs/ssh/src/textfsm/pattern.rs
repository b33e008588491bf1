//! Patterns of Python as the crate `regex` takes them.

use std::collections::HashMap;

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
pub(super) fn translated(pattern: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    let mut class = false;
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
    inner.first().is_some_and(char::is_ascii_digit)
        && inner.iter().all(|c| c.is_ascii_digit() || *c == ',')
        && inner.iter().filter(|c| **c == ',').count() <= 1
}
