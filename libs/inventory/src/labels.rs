//! Label pairs of the Prometheus text format, rendered once.

use std::fmt::Write as _;

/// `pairs` as they stand between the braces of a sample: `device="r1",site="lab"`.
///
/// Values are escaped as the text format asks: backslash, double quote and line feed.
#[must_use]
pub fn render(pairs: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(
        pairs
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4)
            .sum(),
    );
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(name);
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    out
}

/// `labels` with one more pair at the end.
#[must_use]
pub fn with(labels: &str, name: &str, value: &str) -> String {
    let mut out = labels.to_owned();
    if !out.is_empty() {
        out.push(',');
    }
    // Writing to a string does not fail.
    let _ = write!(out, "{}", render(&[(name, value)]));
    out
}
