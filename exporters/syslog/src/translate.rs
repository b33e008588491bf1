//! From a vendor's message to an event: what happened, to what, and a sentence that says so.
//!
//! Rules are data (`rules/*.rules`), each with a line that proves it. A message finds its rules by its mnemonic or
//! its process and is compared with their literal texts in one pass.

mod hasher;
mod key;
mod pattern;
mod rules;

use std::borrow::Cow;
use std::collections::HashMap;

use crate::header::Header;
use hasher::Quick;

pub use pattern::Fields;
pub use rules::RulesError;

/// The kinds of events, a closed list: it becomes a label.
pub const EVENTS: [&str; 54] = [
    "acl",
    "address_conflict",
    "bfd_session",
    "bgp_neighbor",
    "configuration_change",
    "dhcp",
    "eigrp_neighbor",
    "environment",
    "failover",
    "gateway_redundancy",
    "hardware",
    "interface_state",
    "isis_neighbor",
    "ldp_neighbor",
    "licence",
    "link_aggregation",
    "load_balancer",
    "login",
    "login_failed",
    "logout",
    "mac_move",
    "mpls",
    "optics",
    "ospf_neighbor",
    "pim_neighbor",
    "poe",
    "privilege",
    "process_crash",
    "reboot",
    "resource",
    "script",
    "security",
    "security_event",
    "service",
    "session",
    "spanning_tree",
    "stack",
    "storage",
    "system",
    "time_sync",
    "tracking",
    "vpn",
    "wireless",
    "rip_neighbor",
    "certificate",
    "quality",
    "upgrade",
    "maintenance",
    "forwarding",
    "console",
    "command",
    "interface_error",
    "neighbor_discovery",
    "network_access",
];

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// The vendor it belongs to.
    pub vendor: &'static str,
    /// What people call the vendor's devices.
    pub title: &'static str,
    /// What its message is found by.
    pub key: &'static str,
    /// The kind of event, one of [`EVENTS`]; empty when the message is understood and is none of them for certain.
    pub event: &'static str,
    pattern: pattern::Pattern,
    sentence: pattern::Text,
    /// A message that it is for.
    pub example: &'static str,
    /// Further messages that it is for.
    pub examples: Vec<&'static str>,
    /// Messages that look alike and are not for it, each with the key that it is sent under.
    pub misses: Vec<(&'static str, &'static str)>,
}

/// A translated message.
#[derive(Debug)]
pub struct Translation<'a> {
    /// The rule that knew it.
    pub rule: &'static Rule,
    /// What was found in it, by name; `interface` is the full name of `ifName`.
    pub fields: Fields<'a>,
}

impl Translation<'_> {
    /// The event as a sentence.
    pub fn sentence(&self, into: &mut String) {
        self.rule.sentence.fill(&self.fields, into);
    }
}

/// All rules, ready to be matched.
#[derive(Debug)]
pub struct Translator {
    rules: Vec<&'static Rule>,
    index: HashMap<&'static str, Vec<&'static Rule>, Quick>,
}

impl Translator {
    /// The rules that come with this version.
    ///
    /// # Errors
    /// When a rule is not well-formed; the message names file and line.
    pub fn built_in() -> Result<Self, RulesError> {
        let rules = rules::built_in()?;
        let mut index: HashMap<&'static str, Vec<&'static Rule>, Quick> = HashMap::default();
        for rule in &rules {
            index.entry(rule.key).or_default().push(rule);
        }
        Ok(Self { rules, index })
    }

    /// Every rule.
    #[must_use]
    pub fn rules(&self) -> &[&'static Rule] {
        &self.rules
    }

    /// Translates a message; none when no rule knows it.
    #[must_use]
    pub fn translate<'a>(&self, header: &Header<'a>) -> Option<Translation<'a>> {
        let mut fields = Vec::with_capacity(12);
        // Structured data may be all that a message has.
        let message = match header.message.trim_end_matches([' ', '\t']) {
            "" => header.structured,
            message => key::level_in_front(header).map_or(message, |(_, text)| text.trim_end()),
        };
        let message = key::behind_part(header, message);
        let bare = header.message.is_empty();
        let likely = key::likely_vendor(header);
        key::candidates(header, |key| {
            let rules = self.index.get(key)?;
            let mut matched = None;
            // Whether the fields are those of the rule that matched.
            let mut fresh = false;
            for rule in rules {
                // The first that matches, but one of the vendor that the header points to goes first.
                if (matched.is_none() || likely == Some(rule.vendor))
                    && (!bare || rule.pattern.reads_pairs())
                {
                    fresh = rule.pattern.matches(message, &mut fields);
                    if fresh {
                        matched = Some(*rule);
                        if likely.is_none() || likely == Some(rule.vendor) {
                            break;
                        }
                    }
                }
            }
            let rule = matched?;
            (fresh || rule.pattern.matches(message, &mut fields)).then_some(rule)
        })
        .map(|rule| {
            fields.retain(|(name, value)| !pattern::unnamed(name, value));
            if let Some((_, name)) = fields.iter().find(|f| f.0 == "ifName") {
                let full = match name {
                    Cow::Borrowed(name) => pattern::full_interface(name),
                    Cow::Owned(name) => Cow::Owned(pattern::full_interface(name).into_owned()),
                };
                fields.push(("interface", full));
            }
            Translation { rule, fields }
        })
    }
}

/// The fields of a message that no rule knows: `key=value` pairs and structured data without its escapes, at most `most`.
pub fn generic_fields<'a>(header: &Header<'a>, most: usize) -> Fields<'a> {
    let structured = crate::header::parameters(header.structured);
    let mut fields: Fields<'a> = structured
        .map(|(name, value)| (name, pattern::unescaped(value)))
        .take(most)
        .collect();
    if fields.is_empty() {
        let pairs =
            pattern::pairs(header.message).map(|(name, value)| (name, Cow::Borrowed(value)));
        fields.extend(pairs.take(most));
    }
    fields
}

#[cfg(test)]
mod audit;
#[cfg(test)]
mod tests;
