//! A configuration as a tree of lines: what a line belongs to.

use ssh::Structure;

/// One line and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// The text, with its indentation.
    pub(crate) text: &'a str,
    /// The line that it belongs to.
    pub(crate) parent: Option<usize>,
}

/// The lines of a configuration; printing them one below the other gives the text again.
#[derive(Clone, Debug)]
pub(crate) struct Tree<'a> {
    pub(crate) lines: Vec<Line<'a>>,
}

impl<'a> Tree<'a> {
    /// The tree of `text`.
    pub(crate) fn parse(structure: Structure, text: &'a str) -> Self {
        // Those that the next line may belong to, with their indentation.
        let mut open: Vec<(usize, usize)> = Vec::new();
        let mut lines = Vec::new();
        for (number, text) in text.lines().enumerate() {
            let indent = text.len() - text.trim_start().len();
            let trimmed = text.trim();
            if structure == Structure::Indent && !trimmed.is_empty() {
                while open.last().is_some_and(|(_, other)| *other >= indent) {
                    open.pop();
                }
            }
            let parent = match structure {
                Structure::Lines => None,
                // The closing brace belongs to what it closes.
                _ => open.last().map(|(number, _)| *number),
            };
            lines.push(Line { text, parent });
            match structure {
                Structure::Indent if !trimmed.is_empty() && !trimmed.starts_with('!') => {
                    open.push((number, indent));
                }
                Structure::Braces if trimmed.ends_with('{') => open.push((number, 0)),
                Structure::Braces if trimmed.starts_with('}') => {
                    open.pop();
                }
                _ => {}
            }
        }
        Self { lines }
    }

    /// The lines directly below `parent`; of the top level for `None`.
    pub(crate) fn children(
        &self,
        parent: Option<usize>,
    ) -> impl Iterator<Item = (usize, &'a str)> + '_ {
        let from = parent.map_or(0, |parent| parent + 1);
        self.lines
            .iter()
            .enumerate()
            .skip(from)
            .filter(move |(_, line)| line.parent == parent)
            .map(|(number, line)| (number, line.text))
    }

    /// The lines that `number` belongs to, outermost first, without their indentation.
    pub(crate) fn path(&self, number: usize) -> Vec<&'a str> {
        let mut path = Vec::new();
        let mut at = self.lines.get(number).and_then(|line| line.parent);
        while let Some(number) = at {
            path.push(self.lines[number].text.trim());
            at = self.lines[number].parent;
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_belong_to_what_stands_above_them_with_less_indentation() {
        let text = "hostname r1\ninterface eth1\n ip address 198.18.0.1/30\n!\nrouter bgp 1\n address-family ipv4\n  network 198.18.0.0/15\n exit-address-family\nend\n";
        let tree = Tree::parse(Structure::Indent, text);
        let top: Vec<&str> = tree.children(None).map(|(_, text)| text).collect();
        assert_eq!(
            top,
            ["hostname r1", "interface eth1", "!", "router bgp 1", "end"]
        );
        assert_eq!(tree.path(6), ["router bgp 1", "address-family ipv4"]);
    }

    #[test]
    fn braces_hold_what_stands_between_them() {
        let text = "system {\n    host-name r1;\n    services {\n        ssh;\n    }\n}\nsnmp;\n";
        let tree = Tree::parse(Structure::Braces, text);
        assert_eq!(tree.path(3), ["system {", "services {"]);
        assert!(tree.path(6).is_empty());
    }

    proptest! {
        #[test]
        fn printing_gives_the_text_again(text in "([ ]{0,3}[a-z{}!]{0,5}\n){0,30}") {
            for structure in [Structure::Indent, Structure::Braces, Structure::Lines] {
                let tree = Tree::parse(structure, &text);
                let printed: String = tree.lines.iter().flat_map(|line| [line.text, "\n"]).collect();
                prop_assert_eq!(&printed, &text);
                for number in 0..tree.lines.len() {
                    prop_assert!(tree.lines[number].parent.is_none_or(|parent| parent < number));
                    let _ = tree.path(number);
                }
            }
        }
    }
}
