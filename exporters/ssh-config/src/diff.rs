//! What changed from one version to another.

use schemars::JsonSchema;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use ssh::Structure;

use crate::tree::Tree;

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// The difference of two texts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Difference {
    /// Lines that are new.
    pub(crate) added: usize,
    /// Lines that are gone.
    pub(crate) removed: usize,
    /// Places where something changed, in order.
    pub(crate) hunks: Vec<Hunk>,
}

/// A place where something changed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Hunk {
    /// Number of its first line before, counted from 1.
    pub(crate) old_start: usize,
    /// The same after.
    pub(crate) new_start: usize,
    /// What the first changed line belongs to, outermost first.
    pub(crate) section: Vec<String>,
    /// Its lines.
    pub(crate) lines: Vec<Changed>,
}

/// A line of a place where something changed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Changed {
    /// `+`, `-` or a space.
    pub(crate) op: char,
    /// The text.
    pub(crate) text: String,
}

/// The difference of two configurations.
pub(crate) fn difference(structure: Structure, old: &str, new: &str) -> Difference {
    let diff = TextDiff::from_lines(old, new);
    let (before, after) = (Tree::parse(structure, old), Tree::parse(structure, new));
    let (mut added, mut removed) = (0, 0);
    let mut hunks = Vec::new();
    for group in diff.grouped_ops(CONTEXT) {
        let Some(first) = group.first() else { continue };
        let mut hunk = Hunk {
            old_start: first.old_range().start + 1,
            new_start: first.new_range().start + 1,
            section: Vec::new(),
            lines: Vec::new(),
        };
        let mut found = false;
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (op, path) = match change.tag() {
                ChangeTag::Equal => (' ', None),
                ChangeTag::Insert => {
                    added += 1;
                    ('+', change.new_index().map(|number| after.path(number)))
                }
                ChangeTag::Delete => {
                    removed += 1;
                    ('-', change.old_index().map(|number| before.path(number)))
                }
            };
            if let (false, Some(path)) = (found, path) {
                hunk.section = path.into_iter().map(str::to_owned).collect();
                found = true;
            }
            hunk.lines.push(Changed {
                op,
                text: change.value().trim_end_matches('\n').to_owned(),
            });
        }
        hunks.push(hunk);
    }
    Difference {
        added,
        removed,
        hunks,
    }
}

/// The difference in the unified form, as `diff -u` writes it; empty when there is none.
pub(crate) fn unified(old: &str, new: &str, names: [&str; 2]) -> String {
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(names[0], names[1])
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str =
        "hostname r1\ninterface eth1\n description a\n ip address 198.18.0.1/30\nend\n";
    const NEW: &str =
        "hostname r1\ninterface eth1\n description b\n ip address 198.18.0.1/30\n shutdown\nend\n";

    #[test]
    fn changed_lines_are_counted_and_their_section_is_named() {
        let difference = difference(Structure::Indent, OLD, NEW);
        assert_eq!((difference.added, difference.removed), (2, 1));
        assert_eq!(difference.hunks.len(), 1);
        assert_eq!(difference.hunks[0].section, ["interface eth1"]);
        assert_eq!(difference.hunks[0].old_start, 1);
        let ops: String = difference.hunks[0]
            .lines
            .iter()
            .map(|line| line.op)
            .collect();
        assert_eq!(ops, "  -+ + ");
    }

    #[test]
    fn unified_form_is_what_patch_reads() {
        let text = unified(OLD, NEW, ["r1", "r1"]);
        assert!(
            text.starts_with("--- r1\n+++ r1\n@@ -1,5 +1,6 @@\n"),
            "{text}"
        );
        assert_eq!(unified(OLD, OLD, ["a", "b"]), "");
    }
}
