//! Labels, escaped once.

use std::fmt;

/// Label pairs as they stand between the braces of a sample: `device="r1",site="lab"`.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Labels(Box<str>);

impl Labels {
    /// Renders pairs in the order given. A pair whose name is not a label name is left out.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            push(&mut text, name.as_ref(), value.as_ref());
        }
        Self(text.into())
    }

    /// Of pairs that are rendered already, as [`Self::as_str`] gives them.
    #[must_use]
    pub fn rendered(text: &str) -> Self {
        Self(text.into())
    }

    /// No labels.
    #[must_use]
    pub fn none() -> &'static Self {
        static NONE: std::sync::LazyLock<Labels> = std::sync::LazyLock::new(Labels::default);
        &NONE
    }

    /// These labels and one more.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut text = String::from(&*self.0);
        push(&mut text, name, value);
        Self(text.into())
    }

    /// The pairs as they were given, name and value; `scratch` takes a value that was escaped.
    pub(super) fn each(&self, scratch: &mut String, take: impl FnMut(&str, &str)) {
        each(&self.0, scratch, take);
    }

    /// The rendered pairs without braces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0)
    }
}

fn push(text: &mut String, name: &str, value: &str) {
    if !is_label_name(name) {
        return;
    }
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(name);
    text.push_str("=\"");
    escape_label(value, text);
    text.push('"');
}

/// Appends the value of a label as it stands between its quotes.
pub fn escape_label(value: &str, out: &mut String) {
    let mut from = 0;
    for (at, byte) in value.bytes().enumerate() {
        let escaped = match byte {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => continue,
        };
        out.push_str(&value[from..at]);
        out.push_str(escaped);
        from = at + 1;
    }
    out.push_str(&value[from..]);
}

/// As [`Labels::each`], of rendered pairs.
pub(super) fn each(rendered: &str, scratch: &mut String, mut take: impl FnMut(&str, &str)) {
    let mut rest = rendered;
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.strip_prefix('"').unwrap_or(after);
        let plain = after.bytes().position(|b| b == b'"' || b == b'\\');
        if let Some((value, end)) = plain.and_then(|at| after.split_at_checked(at))
            && let Some(end) = end.strip_prefix('"')
        {
            take(name, value);
            rest = end.strip_prefix(',').unwrap_or(end);
            continue;
        }
        scratch.clear();
        let mut end = after.len();
        let mut characters = after.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => scratch.push('\n'),
                    Some((_, other)) => scratch.push(other),
                    None => {}
                },
                other => scratch.push(other),
            }
        }
        take(name, scratch);
        rest = after.get(end..).unwrap_or_default();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
fn is_label_name(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|first| !first.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`
pub(super) fn is_metric_name(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|first| !first.is_ascii_digit())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}
