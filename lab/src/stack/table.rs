//! The table at the end: what runs where, what to look at, what is missing and how to get it.

use super::output::colour;

/// A row: something that runs, or something that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// What it is.
    pub(crate) what: String,
    /// Its version, or nothing.
    pub(crate) version: String,
    /// Its URL, or the word for its state.
    pub(crate) place: String,
    /// What to look at, or how to get it.
    pub(crate) note: String,
}

impl Row {
    /// A row of four texts.
    pub(crate) fn new(
        what: impl Into<String>,
        version: impl Into<String>,
        place: impl Into<String>,
        note: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            version: version.into(),
            place: place.into(),
            note: note.into(),
        }
    }
}

/// The rows under a heading, in columns as wide as they need to be.
pub(crate) fn render(heading: &str, rows: &[Row]) -> String {
    render_with(heading, rows, colour())
}

fn render_with(heading: &str, rows: &[Row], colour: bool) -> String {
    let width = |of: fn(&Row) -> &str| {
        rows.iter()
            .map(|row| of(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (what, version, place) = (
        width(|row| &row.what),
        width(|row| &row.version),
        width(|row| &row.place),
    );
    let mut text = if colour {
        format!("\n\x1b[1m{heading}\x1b[0m\n")
    } else {
        format!("\n{heading}\n")
    };
    for row in rows {
        let line = format!(
            "  {:what$}  {:version$}  {:place$}  {}",
            row.what, row.version, row.place, row.note
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            Row::new("Prometheus", "2.42.0", "http://127.0.0.1:9090", "alerts"),
            Row::new("Loki", "", "missing", ""),
        ];
        let text = render_with("What runs", &rows, false);
        assert_eq!(
            text,
            "\nWhat runs\n  Prometheus  2.42.0  http://127.0.0.1:9090  alerts\n  Loki                missing\n"
        );
    }
}
