//! Paths inside a document: `devices[3].address`, `users."j.doe"`.

/// The path of a key below another one, in quotes where it needs them to be read back.
#[must_use]
pub fn join(parent: &str, key: &str) -> String {
    let dot = if parent.is_empty() { "" } else { "." };
    format!("{parent}{dot}{}", step(key))
}

/// A key as a step of a path.
pub(crate) fn step(key: &str) -> std::borrow::Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let key = crate::shown(key);
    if !key.is_empty() && key.chars().all(plain) {
        key
    } else {
        format!("\"{key}\"").into()
    }
}

/// One step of a path.
#[derive(Debug, PartialEq)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Splits a path into its steps.
pub(crate) fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
        } else if let Some((index, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']'))
        {
            steps.push(index.parse().map_or(Step::Key(index), Step::Index));
            rest = after;
        } else if let Some((key, after)) = rest.strip_prefix('"').and_then(|r| r.split_once('"')) {
            steps.push(Step::Key(key));
            rest = after;
        } else {
            let end = rest
                .char_indices()
                .skip(1)
                .find(|(_, c)| matches!(c, '.' | '['));
            let (key, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
            steps.push(Step::Key(key));
            rest = after;
        }
    }
    steps
}
