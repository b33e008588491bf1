//! What no rule may do, whatever its line: found by looking at all rules, and by putting wrong values into their fixtures.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::pattern::Kind;
use super::tests::lined;
use super::*;
use crate::header;

/// Fields by which a line is joined with an inventory, a graph or another line: a value of another kind joins wrongly.
const JOINED: [&str; 21] = [
    "address",
    "asn",
    "destination",
    "dport",
    "host",
    "ifName",
    "line",
    "mac",
    "natAddress",
    "natPort",
    "other",
    "otherAddress",
    "otherPort",
    "own",
    "peer",
    "port",
    "source",
    "sport",
    "target",
    "user",
    "vlan",
];

#[test]
fn a_field_that_is_joined_by_has_a_type_in_every_rule() {
    let translator = Translator::built_in().unwrap();
    let mut wrong = Vec::new();
    for rule in translator.rules() {
        let places = rule
            .pattern
            .text()
            .into_iter()
            .flat_map(|text| text.places());
        for place in places.filter(|place| JOINED.contains(&place.name)) {
            if matches!(place.kind, Kind::Any | Kind::Text) {
                wrong.push(format!("{} {}: {{{}}}", rule.vendor, rule.key, place.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with the value of a field, whatever the rule that said it.
fn untypical(name: &str, value: &str) -> bool {
    let word = |value: &str| !value.is_empty() && !value.contains([' ', '"', '(', ')', '[', ']']);
    let nothing = [
        "", "-", "n/a", "none", "unknown", "(none)", "(null)", "null",
    ]
    .contains(&value.to_lowercase().as_str());
    match name {
        "source" | "destination" | "address" | "natAddress" | "otherAddress" | "own" => {
            value.parse::<IpAddr>().is_err()
        }
        "port" | "sport" | "dport" | "natPort" | "otherPort" => {
            value.parse::<u16>().is_err()
                && !(word(value) && value.starts_with(|c: char| c.is_ascii_lowercase()))
        }
        "mac" => value.bytes().filter(u8::is_ascii_hexdigit).count() < 12,
        "vlan" => !value.bytes().any(|b| b.is_ascii_digit()) || !word(value),
        "host" | "vrf" | "line" => nothing || !word(value),
        "user" | "target" | "peer" | "ifName" | "interface" | "other" => {
            nothing || value.contains(['"', '\n'])
        }
        "reason" => {
            nothing
                || value.starts_with([',', ';', ':', ')'])
                || value.len() < 4 && value.bytes().all(|b| b.is_ascii_digit())
        }
        _ => false,
    }
}

#[test]
fn wrong_values_in_the_places_of_a_fixture_are_not_told_as_facts() {
    let translator = Translator::built_in().unwrap();
    let mutants = |value: &str| -> Vec<String> {
        vec![
            String::new(),
            "-".to_owned(),
            "N/A".to_owned(),
            "(none)".to_owned(),
            "unknown".to_owned(),
            "two words".to_owned(),
            "2001:db8::7".to_owned(),
            format!("{value}/443"),
            format!("{value}%outside"),
            format!("inside:{value}"),
            format!("\"{value}\""),
            format!("({value})"),
        ]
    };
    let (mut wrong, mut tried) = (BTreeSet::new(), 0);
    let mut last = "";
    for rule in translator.rules() {
        // Several names of one message have the same fixtures.
        if std::ptr::eq(rule.example, last) {
            continue;
        }
        last = rule.example;
        let whole = lined(rule.vendor, rule.key, rule.example);
        let header = header::parse(&whole);
        let Some(found) = translator.translate(&header) else {
            continue;
        };
        let values: BTreeSet<&str> = found
            .fields
            .iter()
            .filter(|(name, value)| value.len() > 1 && (*name == "reason" || JOINED.contains(name)))
            .map(|(_, value)| &**value)
            .collect();
        for value in values {
            let Some(at) = rule.example.rfind(value) else {
                continue;
            };
            for mutant in mutants(value) {
                let (before, behind) = rule.example.split_at(at);
                let text = format!("{before}{mutant}{}", &behind[value.len()..]);
                let line = lined(rule.vendor, rule.key, &text);
                let header = header::parse(&line);
                tried += 1;
                let Some(found) = translator.translate(&header) else {
                    continue;
                };
                for (name, value) in &found.fields {
                    if untypical(name, value) {
                        wrong.insert(format!(
                            "{} {}: {name}={value}",
                            found.rule.vendor, found.rule.key
                        ));
                    }
                }
            }
        }
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(tried > 10_000, "{tried}");
}

/// Words that say how something went, each with its opposite.
const OPPOSITES: [(&str, &str); 14] = [
    ("accepted", "rejected"),
    ("allowed", "denied"),
    ("fail", "success"),
    ("failed", "succeeded"),
    ("failure", "success"),
    ("invalid", "valid"),
    ("logged in", "logged out"),
    ("logged out", "logged in"),
    ("login", "logout"),
    ("logout", "login"),
    ("denied", "permitted"),
    ("refused", "accepted"),
    ("rejected", "accepted"),
    ("succeeded", "failed"),
];

/// The text with every whole word `from`, in any case of letters, as `to`; none when it is not in it.
fn turned(text: &str, from: &str, to: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let letter = |at: Option<char>| at.is_some_and(|c| c.is_ascii_alphanumeric());
    let (mut out, mut last) = (String::new(), 0);
    for (at, _) in lower.match_indices(from) {
        let end = at + from.len();
        if letter(lower[..at].chars().next_back()) || letter(lower[end..].chars().next()) {
            continue;
        }
        out += &text[last..at];
        out += to;
        last = end;
    }
    (last > 0).then(|| out + &text[last..])
}

/// A rule that stands though all words of how it went say the opposite has taken its kind from the family of the
/// message and not from the message. The number or name of a message may say it: what is under it says it again.
#[test]
fn a_login_is_none_when_its_words_say_the_opposite() {
    let translator = Translator::built_in().unwrap();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for rule in translator.rules() {
        // What is read by names and values has the condition on a value; an error is a failure whatever else is said.
        if !matches!(rule.event, "login" | "login_failed" | "logout")
            || rule.pattern.text().is_none()
            || rule.example.to_ascii_lowercase().contains("error")
        {
            continue;
        }
        let mut text = rule.example.to_owned();
        let mut turns = 0;
        for (from, to) in OPPOSITES {
            if let Some(other) = turned(rule.example, from, to) {
                turns += 1;
                if turns == 1 {
                    text = other;
                }
            }
        }
        if turns != 1 {
            continue;
        }
        tried += 1;
        let line = lined(rule.vendor, rule.key, &text);
        let header = header::parse(&line);
        if let Some(found) = translator.translate(&header)
            && found.rule.event == rule.event
        {
            wrong.push(format!(
                "{} {} {}: {text}",
                rule.vendor, rule.key, rule.event
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(tried > 100, "{tried}");
}
