//! Go's regular expressions (RE2 syntax) on the `regex` crate.
//!
//! Two things differ: `\d`, `\w`, `\s` and `\b` mean ASCII in Go, and `\Q…\E` quotes. Both are translated here.

use regex::Regex;
use serde::{Deserialize, Deserializer, de};

/// An expression that must match the whole text, as those of `regex_extracts` do.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    text: String,
}

impl Pattern {
    /// Compiles `text`, anchored at both ends.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn new(text: &str) -> Result<Self, String> {
        let anchored = format!("^(?:{text})$");
        Ok(Self {
            regex: compile(&anchored)?,
            text: anchored,
        })
    }

    /// The anchored expression, as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `template` with `$1`, `${name}` replaced by what the groups matched; `None` when `text` does not match.
    #[must_use]
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let captures = self.regex.captures(text)?;
        let mut out = String::new();
        captures.expand(template, &mut out);
        Some(out)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

/// Compiles `text` to match anywhere, as the values of a filter do.
///
/// # Errors
/// What is wrong with the expression.
pub fn unanchored(text: &str) -> Result<Regex, String> {
    compile(text)
}

fn compile(text: &str) -> Result<Regex, String> {
    Regex::new(&translate(text)).map_err(|error| {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or_default();
        format!(
            "regular expression `{text}`: {}",
            last.strip_prefix("error: ").unwrap_or(last)
        )
    })
}

fn translate(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars();
    let mut in_class = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('Q') => {
                    let tail = rest.as_str();
                    let (quoted, after) = tail.split_once("\\E").unwrap_or((tail, ""));
                    out.push_str(&regex::escape(quoted));
                    rest = after.chars();
                }
                Some('d') => out.push_str(if in_class { "0-9" } else { "[0-9]" }),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str(if in_class {
                    "0-9A-Za-z_"
                } else {
                    "[0-9A-Za-z_]"
                }),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str(if in_class {
                    "\\t\\n\\f\\r "
                } else {
                    "[\\t\\n\\f\\r ]"
                }),
                Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                Some(b @ ('b' | 'B')) if !in_class => {
                    out.push_str("(?-u:\\");
                    out.push(b);
                    out.push(')');
                }
                Some('C') => out.push('.'),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            '[' if in_class => out.push_str(if rest.as_str().starts_with(':') {
                "["
            } else {
                "\\["
            }),
            '[' => {
                in_class = true;
                out.push('[');
                for prefix in ["^]", "]", "^"] {
                    if let Some(after) = rest.as_str().strip_prefix(prefix) {
                        out.push_str(&prefix.replace(']', "\\]"));
                        rest = after.chars();
                        break;
                    }
                }
            }
            ']' if in_class
                && out.ends_with(':')
                && out.rfind("[:").is_some_and(|at| !out[at..].contains(']')) =>
            {
                out.push(']');
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(pattern: &str, text: &str, template: &str) -> Option<String> {
        Pattern::new(pattern).unwrap().expand(text, template)
    }

    #[test]
    fn expressions_are_anchored_and_expanded_as_in_go() {
        assert_eq!(extract(r"(\d+) C", "35 C", "$1").as_deref(), Some("35"));
        assert_eq!(extract(r"(\d+)", "35 C", "$1"), None);
        assert_eq!(extract("^(?:(.*))$", "x", "$1").as_deref(), Some("x"));
        assert_eq!(extract("(?P<n>a)b", "ab", "${n}c").as_deref(), Some("ac"));
        assert_eq!(extract("(a)", "a", "$1x").as_deref(), Some(""));
        assert_eq!(extract("(a)", "a", "$$1").as_deref(), Some("$1"));
    }

    #[test]
    fn classes_mean_ascii_and_quoting_works() {
        assert_eq!(extract(r"\d+", "\u{663}", ""), None);
        assert_eq!(extract(r"[\d.]+", "1.5", "$0").as_deref(), Some("1.5"));
        assert_eq!(extract(r"\Qa.b\E", "axb", ""), None);
        assert_eq!(extract(r"\Qa.b\E+", "a.bb", "$0").as_deref(), Some("a.bb"));
        assert_eq!(
            extract(r"[[:alpha:]]+", "abc", "$0").as_deref(),
            Some("abc")
        );
        assert_eq!(extract(r"[]a]+", "]a", "$0").as_deref(), Some("]a"));
        assert_eq!(extract(r"[^\s]+", "ab", "$0").as_deref(), Some("ab"));
        assert_eq!(extract(r"[a&&b]+", "&", "$0").as_deref(), Some("&"));
        assert_eq!(extract(r".", "é", "$0").as_deref(), Some("é"));
    }

    #[test]
    fn a_bad_expression_says_what_is_wrong() {
        let error = Pattern::new("a(").unwrap_err();
        assert_eq!(error, "regular expression `^(?:a()$`: unclosed group");
    }
}
