//! Reading the rule files: `key | event | text | sentence | example`, and `vendor NAME` for what follows.

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

const FILES: [(&str, &str); 12] = [
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
    let mut vendor = "";
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
            vendor = name.trim();
            continue;
        }
        let parts: Vec<&'static str> = line.split(" | ").collect();
        let [key, event, pattern, sentence, example] = parts[..] else {
            return Err(wrong("expected key | event | text | sentence | example"));
        };
        let Some(event) = EVENTS.iter().find(|e| **e == event) else {
            return Err(wrong("expected a known event"));
        };
        let pattern = Pattern::parse(pattern).map_err(|e| wrong(&e))?;
        let sentence = Text::parse(sentence).map_err(|e| wrong(&e))?;
        if let Some(name) = sentence.names().find(|name| !pattern.gives(name)) {
            return Err(wrong(&format!(
                "expected a sentence of what the text gives, found {{{name}}}"
            )));
        }
        // Rules live as long as the process: they are read once.
        rules.push(Box::leak(Box::new(Rule {
            vendor,
            key,
            event,
            pattern,
            sentence,
            example,
        })));
    }
    Ok(())
}
