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
        let mut quoted = false;
        let mut banner: Option<String> = None;
        for (number, text) in text.lines().enumerate() {
            let indent = text.len() - text.trim_start().len();
            let trimmed = text.trim();
            // What stands in a banner or goes on in quotes is text and no configuration.
            if let Some(end) = &banner {
                let parent = open.last().map(|(number, _)| *number);
                lines.push(Line { text, parent });
                if trimmed.contains(end.as_str()) {
                    banner = None;
                    open.pop();
                }
                continue;
            }
            let inside = quoted;
            if structure == Structure::Blocks {
                quoted ^= ssh::is_quote_odd(text);
            }
            if structure == Structure::Indent && !trimmed.is_empty() {
                while open.last().is_some_and(|(_, other)| *other >= indent) {
                    open.pop();
                }
            }
            let parent = match structure {
                Structure::Lines => None,
                Structure::Paths if trimmed.starts_with('/') => None,
                // The closing brace belongs to what it closes.
                _ => open.last().map(|(number, _)| *number),
            };
            lines.push(Line { text, parent });
            if structure == Structure::Indent && indent == 0 {
                banner = banner_end(trimmed);
            }
            match structure {
                Structure::Paths if trimmed.starts_with('/') => open = vec![(number, 0)],
                Structure::Blocks if inside => {}
                Structure::Blocks => match trimmed.split(' ').next() {
                    Some("config" | "edit") => open.push((number, 0)),
                    Some("end") if trimmed == "end" => {
                        // `end` within an `edit` closes both.
                        while open.pop().is_some_and(|(number, _)| {
                            lines[number].text.trim_start().starts_with("edit")
                        }) {}
                    }
                    Some("next") if trimmed == "next" => {
                        open.pop();
                    }
                    _ => {}
                },
                Structure::Indent
                    if !trimmed.is_empty() && !trimmed.starts_with('!') && trimmed != "#" =>
                {
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
            // The first line that belongs to something above ends what belongs to this one.
            .take_while(move |(_, line)| parent.is_none() || line.parent >= parent)
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

/// What ends the banner that a line begins, where that does not stand in the line itself.
fn banner_end(line: &str) -> Option<String> {
    let rest = line.strip_prefix("banner ")?;
    let (_, text) = rest.split_once(' ')?;
    let mark = match text.strip_prefix('^') {
        Some(rest) => format!("^{}", rest.chars().next()?),
        None => text.chars().next()?.to_string(),
    };
    let plain = mark.starts_with(char::is_alphanumeric);
    let ended = text[mark.len()..].contains(&mark);
    (!plain && !ended).then_some(mark)
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

    #[test]
    fn blocks_and_paths_hold_what_stands_in_them() {
        let text = "config system interface\n    edit \"wan1\"\n        set alias \"a\nend\nb\"\n        config ipv6\n            set x y\n        end\n    next\nend\nconfig x\nend\n";
        let tree = Tree::parse(Structure::Blocks, text);
        let x = text
            .lines()
            .position(|line| line.contains("set x y"))
            .unwrap();
        assert_eq!(
            tree.path(x),
            ["config system interface", "edit \"wan1\"", "config ipv6"]
        );
        let last = text.lines().position(|line| line == "config x").unwrap();
        assert!(tree.path(last).is_empty());
        let tree = Tree::parse(
            Structure::Paths,
            "# model = x\n/ip address\nadd a\n/port\nset b\n",
        );
        assert_eq!(
            (tree.path(2), tree.path(4)),
            (vec!["/ip address"], vec!["/port"])
        );
        assert!(tree.path(3).is_empty());
    }

    #[test]
    fn text_of_a_banner_is_no_configuration() {
        let text = "hostname r1\nbanner motd ^C\nip http server\n^C\nbanner exec # one #\nip ssh version 2\n";
        let tree = Tree::parse(Structure::Indent, text);
        let top: Vec<&str> = tree.children(None).map(|(_, text)| text).collect();
        assert_eq!(
            top,
            [
                "hostname r1",
                "banner motd ^C",
                "banner exec # one #",
                "ip ssh version 2"
            ]
        );
    }

    proptest! {
        #[test]
        fn printing_gives_the_text_again(text in "([ ]{0,3}([a-z{}!/\"]{0,5}|config|edit|next|end|banner motd #)\n){0,30}") {
            for structure in [Structure::Indent, Structure::Braces, Structure::Lines, Structure::Blocks, Structure::Paths] {
                let tree = Tree::parse(structure, &text);
                let printed: String = tree.lines.iter().flat_map(|line| [line.text, "\n"]).collect();
                prop_assert_eq!(&printed, &text);
                for parent in (0..tree.lines.len()).map(Some).chain([None]) {
                    let own = |number: &usize| tree.lines[*number].parent == parent;
                    let all: Vec<usize> = (0..tree.lines.len()).filter(own).collect();
                    let found: Vec<usize> = tree.children(parent).map(|(number, _)| number).collect();
                    prop_assert_eq!(found, all);
                }
                for number in 0..tree.lines.len() {
                    prop_assert!(tree.lines[number].parent.is_none_or(|parent| parent < number));
                    let _ = tree.path(number);
                }
            }
        }
    }
}
