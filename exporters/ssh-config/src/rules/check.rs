//! A rule held against a configuration.

use regex::{Captures, Regex};

use super::{Breach, Rule};
use crate::tree::Tree;

/// Most breaches of one rule that are told.
const MOST: usize = 100;

/// `pattern` with what `value` says for each `{{name}}`; one without a value stays.
pub(super) fn template(pattern: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        match value(name.trim()) {
            Some(value) => out.push_str(&value),
            None => {
                out.push_str("{{");
                out.push_str(name);
                out.push_str("}}");
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

impl Rule {
    /// Where `tree` breaks the rule; nowhere when it holds.
    pub(crate) fn breaches(&self, tree: &Tree<'_>) -> Vec<Breach> {
        let mut found = Vec::new();
        let sections = self.sections(tree);
        if sections.is_empty() && self.section_required {
            let path: Vec<&str> = self.section.iter().map(Regex::as_str).collect();
            found.push(Breach {
                line: None,
                place: Vec::new(),
                message: format!("no section {}", path.join(" / ")),
            });
        }
        for section in sections {
            match &self.each {
                None => self.within(tree, section, section, None, &mut found),
                Some(each) => {
                    for (number, text) in tree.children(section) {
                        if let Some(captures) = each.captures(text) {
                            self.within(tree, section, Some(number), Some(&captures), &mut found);
                        }
                    }
                }
            }
        }
        found.truncate(MOST);
        found
    }

    /// The lines that the section's patterns lead to; the top level for none.
    fn sections(&self, tree: &Tree<'_>) -> Vec<Option<usize>> {
        let mut at = vec![None];
        for step in &self.section {
            let mut next = Vec::new();
            for parent in at {
                let children = tree
                    .children(parent)
                    .filter(|(_, text)| step.is_match(text));
                next.extend(children.map(|(number, _)| Some(number)));
            }
            at = next;
        }
        at
    }

    /// Holds the lines below `section` against the patterns; `told` is the line that a breach is shown at.
    fn within(
        &self,
        tree: &Tree<'_>,
        section: Option<usize>,
        told: Option<usize>,
        captures: Option<&Captures<'_>>,
        found: &mut Vec<Breach>,
    ) {
        let lines: Vec<(usize, &str)> = tree.children(section).collect();
        let compiled = |pattern: &String| {
            let value = |name: &str| Some(regex::escape(captures?.name(name)?.as_str()));
            // It was checked when the rule was read.
            Regex::new(&template(pattern, value)).ok()
        };
        let mut breach = |number: Option<usize>, message: String| {
            let mut place = Vec::new();
            if let Some(number) = number {
                place.extend(tree.path(number).into_iter().map(str::to_owned));
                place.push(tree.lines[number].text.trim().to_owned());
            }
            found.push(Breach {
                line: number.map(|number| number + 1),
                place,
                message,
            });
        };
        for regex in self.must.iter().filter_map(compiled) {
            if !lines.iter().any(|(_, text)| regex.is_match(text)) {
                breach(told, format!("no line like {regex}"));
            }
        }
        for regex in self.must_not.iter().filter_map(compiled) {
            for (number, _) in lines.iter().filter(|(_, text)| regex.is_match(text)) {
                breach(Some(*number), "a line that must not be there".to_owned());
            }
        }
        if let Some(count) = &self.count
            && let Some(regex) = compiled(&count.pattern)
        {
            let matching = lines
                .iter()
                .filter(|(_, text)| regex.is_match(text))
                .count();
            if matching < count.min || matching > count.max {
                let most = match count.max {
                    usize::MAX => String::new(),
                    max => format!(" and at most {max}"),
                };
                let least = count.min;
                breach(
                    told,
                    format!("{matching} lines like {regex}, expected at least {least}{most}"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ssh::Structure;

    use crate::tree::Tree;

    const CONFIG: &str = "hostname r1\nrouter bgp 65001\n neighbor 198.18.0.2 remote-as 65002\n neighbor 198.18.0.2 password <masked:1a2b3c4d>\n neighbor 198.18.0.6 remote-as 65003\nend\n";

    #[test]
    fn each_neighbour_is_looked_at_and_the_one_that_breaks_the_rule_is_named() {
        let text = "rules:\n  - id: bgp-auth\n    title: T\n    severity: major\n    why: w\n    platforms: [frr]\n    section: ['^router bgp ']\n    each: '^ neighbor (?P<peer>\\S+) remote-as '\n    must: ['^ neighbor {{peer}} password ']\n    tests: {pass: ['hostname a'], fail: [\"router bgp 1\\n neighbor 198.18.0.2 remote-as 1\"]}\n";
        let rules = super::super::parse(text, "rules.yaml".as_ref()).unwrap();
        let breaches = rules[0].breaches(&Tree::parse(Structure::Indent, CONFIG));
        assert_eq!(breaches.len(), 1);
        assert_eq!(breaches[0].line, Some(5));
        assert_eq!(
            breaches[0].place,
            ["router bgp 65001", "neighbor 198.18.0.6 remote-as 65003"]
        );
        assert!(
            breaches[0].message.contains("198\\.18\\.0\\.6"),
            "{}",
            breaches[0].message
        );
    }
}
