//! The names of series that exist: ours, those that rules record, and those that Prometheus makes itself.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;

/// Series that Prometheus writes by itself.
pub const BUILTIN: [&str; 4] = [
    "ALERTS",
    "ALERTS_FOR_STATE",
    "scrape_duration_seconds",
    "up",
];

/// The series of our own services, from `checks/series.txt`: one name a line, `#` begins a comment, `histogram NAME`
/// stands for its `_bucket`, `_sum` and `_count`.
///
/// # Errors
/// When the file cannot be read.
pub fn ours(root: &Path) -> anyhow::Result<BTreeSet<String>> {
    let path = root.join("checks/series.txt");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let mut names = BTreeSet::new();
    for line in text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
    {
        match line.strip_prefix("histogram ") {
            Some(name) => names.extend(expand(name, "histogram")),
            None if line.is_empty() => {}
            None => names.extend(expand(line, "")),
        }
    }
    Ok(names)
}

/// The series that a `/metrics` page offers, by its `# TYPE` lines.
#[must_use]
pub fn exposed(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .filter_map(|line| line.split_once(' '))
        .flat_map(|(name, kind)| expand(name, kind))
        .collect()
}

fn expand(name: &str, kind: &str) -> Vec<String> {
    let parts: &[&str] = match kind {
        "histogram" => &["_bucket", "_sum", "_count"],
        "summary" => &["", "_sum", "_count"],
        _ => &[""],
    };
    parts.iter().map(|part| format!("{name}{part}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_offers_the_parts_of_its_histograms() {
        let names = exposed("# HELP a x\n# TYPE a counter\na 1\n# TYPE b histogram\n");
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            ["a", "b_bucket", "b_count", "b_sum"]
        );
    }
}
