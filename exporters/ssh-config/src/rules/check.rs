//! A rule held against a configuration.

use std::borrow::Cow;

use regex::{Captures, Regex};

use super::{Block, Breach, Rule, Vars};
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

/// What stands for names in double braces: the inventory, and the groups of `each`.
type Values<'a> = (&'a Vars, Option<&'a Captures<'a>>);

fn said((vars, captures): Values<'_>, name: &str) -> Option<String> {
    let captured = captures.and_then(|found| found.name(name));
    captured
        .map(|found| found.as_str().to_owned())
        .or_else(|| vars.get(name).cloned())
}

/// What lines are held against. With names in double braces it is another one for each device or line, and compiled for each; otherwise once,
/// as that takes longer than to hold a configuration against it.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    fixed: Option<Regex>,
}

impl Pattern {
    /// `checked` is its expression, with any names filled in.
    pub(super) fn new(text: &str, checked: Regex) -> Self {
        Self {
            text: text.to_owned(),
            fixed: (!text.contains("{{")).then_some(checked),
        }
    }

    /// With its names filled in.
    fn compiled(&self, values: Values<'_>) -> Option<Cow<'_, Regex>> {
        if let Some(fixed) = &self.fixed {
            return Some(Cow::Borrowed(fixed));
        }
        let value = |name: &str| said(values, name).map(|text| regex::escape(&text));
        // It was checked when the rule was read.
        Regex::new(&template(&self.text, value))
            .ok()
            .map(Cow::Owned)
    }
}

fn compiled<'a>(
    patterns: &'a [Pattern],
    values: Values<'a>,
) -> impl Iterator<Item = Cow<'a, Regex>> {
    patterns
        .iter()
        .filter_map(move |pattern| pattern.compiled(values))
}

/// What is wrong with the lines of a section that has to hold a block.
fn block(block: &Block, values: Values<'_>, lines: &[(usize, &str)]) -> Option<String> {
    let wanted: Vec<String> = block
        .lines
        .iter()
        .map(|line| template(line.trim(), |name| said(values, name)))
        .collect();
    let there: Vec<&str> = lines
        .iter()
        .map(|(_, text)| text.trim())
        .filter(|text| !text.is_empty() && *text != "!")
        .collect();
    let missing = wanted.iter().find(|line| !there.contains(&line.as_str()));
    if let Some(line) = missing {
        return Some(format!("no line {line}"));
    }
    let more = there
        .iter()
        .find(|line| !wanted.iter().any(|own| own == *line));
    if let Some(line) = more.filter(|_| block.exact) {
        return Some(format!("a line that does not belong there: {line}"));
    }
    let place = |line: &String| there.iter().position(|own| own == line);
    let places: Vec<_> = wanted.iter().map(place).collect();
    (block.ordered && !places.is_sorted()).then(|| "the lines stand in another order".to_owned())
}

impl Rule {
    /// Where `tree` breaks the rule; nowhere when it holds.
    /// `vars` stand for `{{device.name}}` and so on.
    pub(crate) fn breaches(&self, tree: &Tree<'_>, vars: &Vars) -> Vec<Breach> {
        let mut found = Vec::new();
        if !self.applies(tree, vars) {
            return found;
        }
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
                None => self.within(tree, section, section, (vars, None), &mut found),
                Some(each) => {
                    for (number, text) in tree.children(section) {
                        if let Some(captures) = each.captures(text) {
                            let values = (vars, Some(&captures));
                            self.within(tree, section, Some(number), values, &mut found);
                        }
                    }
                }
            }
        }
        found.truncate(MOST);
        found
    }

    /// Whether the rule is meant for this configuration.
    fn applies(&self, tree: &Tree<'_>, vars: &Vars) -> bool {
        let has = |pattern: &Pattern| {
            let regex = pattern.compiled((vars, None));
            let mut lines = tree.lines.iter();
            regex.is_some_and(|regex| lines.any(|line| regex.is_match(line.text)))
        };
        self.when.iter().all(has) && !self.unless.iter().any(has)
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
        values: Values<'_>,
        found: &mut Vec<Breach>,
    ) {
        let lines: Vec<(usize, &str)> = tree.children(section).collect();
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
        for regex in compiled(&self.must, values) {
            if !lines.iter().any(|(_, text)| regex.is_match(text)) {
                breach(told, format!("no line like {regex}"));
            }
        }
        if !self.one_of.is_empty() {
            let mut patterns = compiled(&self.one_of, values);
            let texts: Vec<&str> = self.one_of.iter().map(|own| &*own.text).collect();
            if !patterns.any(|regex| lines.iter().any(|(_, text)| regex.is_match(text))) {
                breach(told, format!("no line like one of {}", texts.join(", ")));
            }
        }
        if let Some(own) = &self.block
            && let Some(message) = block(own, values, &lines)
        {
            breach(told, message);
        }
        if let Some(check) = &self.value
            && let Some(regex) = check.pattern.compiled(values)
        {
            for (number, text) in &lines {
                let value = regex.captures(text).and_then(|found| found.name("value"));
                let plain = |text: &str| template(text, |name| said(values, name));
                if let Some(message) = value.and_then(|value| check.wrong(value.as_str(), plain)) {
                    breach(Some(*number), message);
                }
            }
        }
        for regex in compiled(&self.must_not, values) {
            for (number, _) in lines.iter().filter(|(_, text)| regex.is_match(text)) {
                breach(Some(*number), "a line that must not be there".to_owned());
            }
        }
        if let Some(count) = &self.count
            && let Some(regex) = count.pattern.compiled(values)
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
        let breaches =
            rules.0[0].breaches(&Tree::parse(Structure::Indent, CONFIG), &super::Vars::new());
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

    /// Rules are their own tests: each is read only if its examples pass and fail as they say.
    fn read(body: &str) -> Result<(), String> {
        let text = format!(
            "rules:\n  - id: a\n    title: A\n    severity: minor\n    why: because\n    platforms: [ios]\n{body}"
        );
        let read = super::super::parse(&text, "rules.yaml".as_ref());
        read.map(|_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_of_check_passes_and_fails() {
        for (kind, pass, fail) in [
            (
                "one_of: ['^ntp server ', '^clock timezone ']",
                "ntp server 198.18.0.1",
                "hostname a",
            ),
            (
                "section: ['^line vty']\n    block: {lines: ['login local', 'transport input ssh'], ordered: true}",
                "line vty 0 4\\n login local\\n exec-timeout 5\\n transport input ssh",
                "line vty 0 4\\n transport input ssh\\n login local",
            ),
            (
                "section: ['^ip access-list extended MGMT']\n    block: {lines: ['permit ip any any'], exact: true}",
                "ip access-list extended MGMT\\n permit ip any any",
                "ip access-list extended MGMT\\n permit ip any any\\n permit tcp any any",
            ),
            (
                "section: ['^line ']\n    value: {pattern: '^ exec-timeout (?P<value>\\d+)', min: 1, max: 10}",
                "line vty 0 4\\n exec-timeout 10 0",
                "line vty 0 4\\n exec-timeout 0 0",
            ),
            (
                "value: {pattern: '^logging trap (?P<value>\\S+)', in: [informational, notifications]}",
                "logging trap informational",
                "logging trap errors",
            ),
            (
                "value: {pattern: '^ntp server (?P<value>\\S+)', in_network: [198.18.0.0/15, '2001:db8::/32']}",
                "ntp server 198.19.255.1\\nntp server 2001:db8::1",
                "ntp server 198.20.0.1",
            ),
            (
                "when: ['^ip ssh version 2']\n    unless: ['^hostname lab']\n    must: ['^ip ssh time-out ']",
                "hostname lab1\\nip ssh version 2",
                "hostname r1\\nip ssh version 2",
            ),
            (
                "must: ['^hostname {{device.name}}$']",
                "hostname r1",
                "hostname r2",
            ),
        ] {
            let tests = |pass: &str, fail: &str| {
                let vars = "vars: {device.name: r1}";
                let body = format!(
                    "    {kind}\n    tests: {{{vars}, pass: [\"{pass}\"], fail: [\"{fail}\"]}}\n"
                );
                read(&body)
            };
            assert_eq!(tests(pass, fail), Ok(()), "{kind}");
            assert!(
                tests(fail, fail).is_err() && tests(pass, pass).is_err(),
                "{kind}"
            );
        }
        let body = "    value: {pattern: '^a (\\d)', min: 1}\n    tests: {pass: [a], fail: [b]}\n";
        assert!(read(body).unwrap_err().contains("value.pattern"));
        let body = "    value: {pattern: '^a (?P<value>.)', in_network: [x]}\n    tests: {pass: [a], fail: [b]}\n";
        assert!(read(body).unwrap_err().contains("value.in_network"));
    }
}
