//! Reading the rule files: `key | event | text | sentence | example`, and `vendor NAME TITLE` for what follows. The event `-` is
//! none. Below a rule, `+ TEXT` is a further message that it is for and `- TEXT` one that it must not take; `-{KEY} TEXT` is
//! one of another key, for a rule that takes whatever its own key has.

use super::pattern::{Pattern, Text};
use super::{EVENTS, Rule};

/// What is wrong with a rule.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {expected}")]
pub struct RulesError {
    /// The file.
    pub file: &'static str,
    /// The line, from 1.
    pub line: usize,
    /// What was expected.
    pub expected: String,
}

const FILES: [(&str, &str); 13] = [
    (
        "appliances.rules",
        include_str!("../../rules/appliances.rules"),
    ),
    ("arista.rules", include_str!("../../rules/arista.rules")),
    (
        "cisco_asa.rules",
        include_str!("../../rules/cisco_asa.rules"),
    ),
    (
        "cisco_ios.rules",
        include_str!("../../rules/cisco_ios.rules"),
    ),
    (
        "cisco_iosxr.rules",
        include_str!("../../rules/cisco_iosxr.rules"),
    ),
    (
        "cisco_nxos.rules",
        include_str!("../../rules/cisco_nxos.rules"),
    ),
    (
        "check_point.rules",
        include_str!("../../rules/check_point.rules"),
    ),
    ("huawei.rules", include_str!("../../rules/huawei.rules")),
    ("juniper.rules", include_str!("../../rules/juniper.rules")),
    ("linux.rules", include_str!("../../rules/linux.rules")),
    (
        "palo_alto.rules",
        include_str!("../../rules/palo_alto.rules"),
    ),
    ("vmware.rules", include_str!("../../rules/vmware.rules")),
    ("others.rules", include_str!("../../rules/others.rules")),
];

pub(super) fn built_in() -> Result<Vec<&'static Rule>, RulesError> {
    let mut rules = Vec::new();
    for (file, text) in FILES {
        parse(file, text, &mut rules)?;
    }
    Ok(rules)
}

fn parse(
    file: &'static str,
    text: &'static str,
    rules: &mut Vec<&'static Rule>,
) -> Result<(), RulesError> {
    let (mut vendor, mut title) = ("", "");
    // The rules of the last line, which fixtures below belong to.
    let mut group: Vec<Rule> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |expected: &str| RulesError {
            file,
            line: number + 1,
            expected: expected.to_owned(),
        };
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("vendor ") {
            (vendor, title) = name
                .trim()
                .split_once(' ')
                .ok_or_else(|| wrong("expected vendor NAME TITLE"))?;
            continue;
        }
        if line.starts_with(['+', '-']) {
            if group.is_empty() {
                return Err(wrong("expected a rule above"));
            }
            let fixture = line
                .get(2..)
                .ok_or_else(|| wrong("expected + TEXT, - TEXT or -{KEY} TEXT"))?;
            for rule in &mut group {
                match &line[..2] {
                    "+ " => rule.examples.push(fixture),
                    "- " => rule.misses.push((rule.key, fixture)),
                    "-{" => rule.misses.push(
                        fixture
                            .split_once("} ")
                            .ok_or_else(|| wrong("expected -{KEY} TEXT"))?,
                    ),
                    _ => return Err(wrong("expected + TEXT, - TEXT or -{KEY} TEXT")),
                }
            }
            continue;
        }
        let parts: Vec<&'static str> = line.split(" | ").collect();
        let [key, event, pattern, sentence, example] = parts[..] else {
            return Err(wrong("expected key | event | text | sentence | example"));
        };
        let event = match EVENTS.iter().find(|e| **e == event) {
            Some(event) => event,
            None if event == "-" => "",
            None => return Err(wrong("expected a known event, or - for none")),
        };
        rules.extend(group.drain(..).map(kept));
        // Several names of one message: a rule for each.
        for key in key.split(',') {
            let mut pattern = Pattern::parse(pattern).map_err(|e| wrong(&e))?;
            let sentence = Text::sentence(sentence).map_err(|e| wrong(&e))?;
            if let Some(place) = sentence.places().find(|place| !pattern.gives(place.name)) {
                return Err(wrong(&format!(
                    "expected a sentence of what the text gives, found {{{}}}",
                    place.name
                )));
            }
            for name in sentence.needed() {
                pattern.need(name).map_err(|e| wrong(&e))?;
            }
            group.push(Rule {
                vendor,
                title,
                key,
                event,
                pattern,
                sentence,
                example,
                examples: Vec::new(),
                misses: Vec::new(),
            });
        }
    }
    rules.extend(group.drain(..).map(kept));
    Ok(())
}

/// Rules live as long as the process: they are read once.
fn kept(rule: Rule) -> &'static Rule {
    Box::leak(Box::new(rule))
}
