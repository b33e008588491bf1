//! Two configurations compared by what belongs together: the order of lines counts only where it means something.

use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::Serialize;
use ssh::Structure;

use crate::tree::Tree;

/// Sections whose lines are tried one after the other.
static ORDERED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:access-list|prefix-list|route-map|route-policy|policy-map|policy-statement|firewall|filter|term|policy|policies|nat|rule-set|rule|acl|ipsec-policy)\b").ok()
});

/// What changed in one section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Section {
    /// The lines that it belongs to, outermost first; empty for the top level.
    pub(crate) section: Vec<String>,
    /// Lines that are new, with what belongs to them below.
    pub(crate) added: Vec<String>,
    /// Lines that are gone, with what belonged to them below.
    pub(crate) removed: Vec<String>,
    /// Whether lines that stayed stand in another order, where that means something.
    pub(crate) moved: bool,
}

/// A line and what belongs to it.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) text: &'a str,
    pub(crate) children: Vec<Node<'a>>,
}

impl Node<'_> {
    /// The line and all below it, with their indentation.
    fn lines(&self, depth: usize, out: &mut Vec<String>) {
        out.push(format!("{}{}", " ".repeat(depth), self.text));
        for child in &self.children {
            child.lines(depth + 1, out);
        }
    }

    /// The same as lines.
    pub(crate) fn whole(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.lines(0, &mut lines);
        lines
    }
}

/// Words that end a section and are nothing of their own.
const ENDS: [&str; 9] = [
    "!",
    "#",
    "exit",
    "end",
    "next",
    "return",
    "quit",
    "exit-address-family",
    "}",
];

/// The lines of a configuration below each other, without comments and ends of sections.
pub(crate) fn nodes<'a>(tree: &Tree<'a>) -> Vec<Node<'a>> {
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); tree.lines.len()];
    let mut top = Vec::new();
    for (number, line) in tree.lines.iter().enumerate() {
        let text = line.text.trim();
        if text.is_empty()
            || ENDS.contains(&text)
            || text.starts_with("! ")
            || text.starts_with("# ")
        {
            continue;
        }
        match line.parent {
            Some(parent) => below[parent].push(number),
            None => top.push(number),
        }
    }
    // A line stands behind the one that it belongs to, so that its own children are complete when it is reached from the end.
    let mut made: Vec<Option<Node<'a>>> = Vec::new();
    made.resize_with(tree.lines.len(), || None);
    for number in (0..tree.lines.len()).rev() {
        let children = below[number].iter().filter_map(|&child| made[child].take());
        let children = children.collect();
        made[number] = Some(Node {
            text: tree.lines[number].text.trim(),
            children,
        });
    }
    top.into_iter()
        .filter_map(|number| made[number].take())
        .collect()
}

/// Whether the order of the lines below `path` means something.
pub(crate) fn is_ordered(path: &[&str]) -> bool {
    let ordered = |line: &&str| ORDERED.as_ref().is_some_and(|regex| regex.is_match(line));
    path.iter().any(ordered)
}

/// Each line of `one` with the line of `other` that is the same, where there is one; the rest of `other` stays.
fn matched<'n, 'a>(
    one: &'n [Node<'a>],
    other: &'n [Node<'a>],
) -> (Vec<(usize, usize)>, Vec<usize>, Vec<usize>) {
    let mut places: std::collections::HashMap<&str, std::collections::VecDeque<usize>> =
        std::collections::HashMap::new();
    for (number, node) in other.iter().enumerate() {
        places.entry(node.text).or_default().push_back(number);
    }
    let (mut both, mut gone) = (Vec::new(), Vec::new());
    for (number, node) in one.iter().enumerate() {
        match places
            .get_mut(node.text)
            .and_then(std::collections::VecDeque::pop_front)
        {
            Some(place) => both.push((number, place)),
            None => gone.push(number),
        }
    }
    let mut new: Vec<usize> = places.into_values().flatten().collect();
    new.sort_unstable();
    (both, gone, new)
}

/// What changed from `old` to `new`, section by section.
pub(crate) fn compare(structure: Structure, old: &str, new: &str) -> Vec<Section> {
    let (old, new) = (Tree::parse(structure, old), Tree::parse(structure, new));
    let mut found = Vec::new();
    below(&nodes(&old), &nodes(&new), &mut Vec::new(), &mut found);
    found
}

fn below<'a>(
    old: &[Node<'a>],
    new: &[Node<'a>],
    path: &mut Vec<&'a str>,
    found: &mut Vec<Section>,
) {
    let (both, gone, added) = matched(old, new);
    let moved = is_ordered(path) && !both.is_sorted_by_key(|(_, place)| *place);
    if !gone.is_empty() || !added.is_empty() || moved {
        let whole = |nodes: &[Node<'_>], numbers: &[usize]| -> Vec<String> {
            numbers
                .iter()
                .flat_map(|&number| nodes[number].whole())
                .collect()
        };
        found.push(Section {
            section: path.iter().map(|&line| line.to_owned()).collect(),
            added: whole(new, &added),
            removed: whole(old, &gone),
            moved,
        });
    }
    for (one, other) in both {
        path.push(old[one].text);
        below(&old[one].children, &new[other].children, path, found);
        path.pop();
    }
}

/// The lines that lead from one configuration to the other, for a platform whose lines can be taken back one by one.
pub(crate) fn steps(structure: Structure, undo: &str, from: &str, to: &str) -> Option<Vec<String>> {
    let (from, to) = (Tree::parse(structure, from), Tree::parse(structure, to));
    let (from, to) = (nodes(&from), nodes(&to));
    let mut steps = Vec::new();
    match structure {
        Structure::Indent => typed(&from, &to, undo, &mut Vec::new(), &mut steps),
        Structure::Braces | Structure::Lines => {
            let (from, to) = (flat(&from), flat(&to));
            let delete = |line: &String| line.replacen("set ", "delete ", 1);
            steps.extend(from.iter().filter(|line| !to.contains(*line)).map(delete));
            steps.extend(to.iter().filter(|line| !from.contains(*line)).cloned());
        }
        Structure::Blocks | Structure::Paths => return None,
    }
    Some(steps)
}

/// What is typed to come from `from` to `to`, below `path`.
fn typed<'a>(
    from: &[Node<'a>],
    to: &[Node<'a>],
    undo: &str,
    path: &mut Vec<&'a str>,
    steps: &mut Vec<String>,
) {
    let depth = path.len();
    let write = |steps: &mut Vec<String>, line: &str| {
        steps.push(format!("{}{line}", " ".repeat(depth)));
    };
    let (both, gone, added) = matched(from, to);
    for number in gone {
        let line = from[number].text;
        match line
            .strip_prefix(undo)
            .and_then(|rest| rest.strip_prefix(' '))
        {
            Some(back) => write(steps, back),
            None => write(steps, &format!("{undo} {line}")),
        }
    }
    for (one, other) in both {
        let mut inner = Vec::new();
        path.push(from[one].text);
        let (old, new) = (&from[one].children, &to[other].children);
        let same = |(a, b): (&Node<'_>, &Node<'_>)| a.text == b.text;
        let changed = old.len() != new.len() || !old.iter().zip(new).all(same);
        if is_ordered(path) && changed {
            // Lines that are tried in order are written anew, all of them.
            path.pop();
            write(steps, &format!("{undo} {}", from[one].text));
            steps.extend(
                to[other]
                    .whole()
                    .iter()
                    .map(|line| format!("{}{line}", " ".repeat(depth))),
            );
            continue;
        }
        typed(old, new, undo, path, &mut inner);
        path.pop();
        if !inner.is_empty() {
            write(steps, from[one].text);
            steps.append(&mut inner);
            write(steps, " exit");
        }
    }
    for number in added {
        for line in to[number].whole() {
            write(steps, &line);
        }
    }
}

/// A configuration of braces or of `set` lines as `set` lines.
fn flat(nodes: &[Node<'_>]) -> Vec<String> {
    fn leaves(node: &Node<'_>, path: &mut Vec<String>, out: &mut Vec<String>) {
        let text = node.text.split(" ## ").next().unwrap_or_default();
        let text = text.trim_end_matches(['{', ';', ' ']);
        path.push(text.to_owned());
        if node.children.is_empty() {
            let line = path.join(" ");
            out.push(match line.starts_with("set ") {
                true => line,
                false => format!("set {line}"),
            });
        }
        for child in &node.children {
            leaves(child, path, out);
        }
        path.pop();
    }
    let mut out = Vec::new();
    for node in nodes {
        leaves(node, &mut Vec::new(), &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "hostname r1\nntp server 198.18.0.1\nntp server 198.18.0.2\ninterface eth1\n description a\n shutdown\n!\nip access-list extended A\n permit ip any any\n deny ip any any\n!\nend\n";
    const NEW: &str = "hostname r1\nntp server 198.18.0.2\nntp server 198.18.0.1\ninterface eth1\n description b\n!\nip access-list extended A\n deny ip any any\n permit ip any any\n!\ninterface eth2\n no shutdown\n!\nend\n";

    #[test]
    fn sections_tell_what_changed_and_order_counts_only_where_it_means_something() {
        let found = compare(Structure::Indent, OLD, NEW);
        let section = |path: &[&str]| {
            found
                .iter()
                .find(|section| section.section == path)
                .unwrap()
        };
        assert_eq!(section(&[]).added, ["interface eth2", " no shutdown"]);
        assert!(section(&[]).removed.is_empty() && !section(&[]).moved);
        assert_eq!(
            section(&["interface eth1"]).removed,
            ["description a", "shutdown"]
        );
        assert!(section(&["ip access-list extended A"]).moved);
        assert_eq!(found.len(), 3);
        assert!(compare(Structure::Indent, OLD, OLD).is_empty());
    }

    #[test]
    fn steps_lead_back() {
        let steps = steps(Structure::Indent, "no", NEW, OLD).unwrap();
        assert_eq!(
            steps,
            [
                "no interface eth2",
                "interface eth1",
                " no description b",
                " description a",
                " shutdown",
                " exit",
                "no ip access-list extended A",
                "ip access-list extended A",
                " permit ip any any",
                " deny ip any any",
            ]
        );
    }

    #[test]
    fn braces_and_set_lines_are_set_and_deleted() {
        let old = "system {\n    host-name r1;\n    services {\n        ssh;\n    }\n}\n";
        let new = "system {\n    host-name r2;\n    services {\n        ssh;\n        telnet;\n    }\n}\n";
        assert_eq!(
            steps(Structure::Braces, "no", new, old).unwrap(),
            [
                "delete system host-name r2",
                "delete system services telnet",
                "set system host-name r1"
            ]
        );
        assert_eq!(
            steps(
                Structure::Lines,
                "no",
                "set a 'b'\nset c\n",
                "set a 'x'\nset c\n"
            )
            .unwrap(),
            ["delete a 'b'", "set a 'x'"]
        );
        assert_eq!(super::steps(Structure::Blocks, "no", "a", "b"), None);
    }
}
