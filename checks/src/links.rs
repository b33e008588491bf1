//! Links between documents: whether what they point at is there.

use std::path::Path;

use crate::short;

/// Links in the Markdown file at `path` whose file, or whose heading in a file of ours, does not exist.
///
/// # Errors
/// When the file cannot be read.
pub fn problems(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut problems = Vec::new();
    for link in targets(&text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
        let target = if file.is_empty() { path.to_path_buf() } else { folder.join(file) };
        if !target.exists() {
            problems.push(format!("{}: `{link}` points at nothing", short(path)));
        } else if !heading.is_empty() && target.is_file() && !headings(&std::fs::read_to_string(&target)?).contains(&heading.to_owned()) {
            problems.push(format!("{}: `{link}` names a heading that is not there", short(path)));
        }
    }
    Ok(problems)
}

/// The targets of the links of a Markdown text, code left out.
#[must_use]
pub fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let mut rest = plain.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let Some(end) = rest.find(')') else { break };
            found.push(rest[..end].split(' ').next().unwrap_or_default().to_owned());
        }
    }
    found
}

/// The anchors of the headings of a Markdown text, as the usual web front ends make them.
#[must_use]
pub fn headings(text: &str) -> Vec<String> {
    let titles = prose(text).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |title: &str| {
        let kept = title.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
        kept.replace(' ', "-")
    };
    titles.map(anchor).collect()
}

/// The lines of a text that are not in a fenced block of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_in_prose_are_found_and_links_in_code_are_not() {
        let text = "# A: b\n[x](y.md#z) `[n](no)` ![p](p.png \"t\")\n```\n[n](no)\n```\n";
        assert_eq!(targets(text), ["y.md#z", "p.png"]);
        assert_eq!(headings(text), ["a-b"]);
    }
}
