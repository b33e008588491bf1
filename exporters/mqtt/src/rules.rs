//! Rules: which values of which topics become which series. They are data, in files, each with examples that it is held to when it is read.

mod announced;
mod number;
mod read;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use toolkit::Labels;

use crate::path::Path;
use crate::topic::{Pattern, subscriptions};
pub use announced::Announcement;
use announced::Table;
use number::Conversion;

/// Files of rules that come with the program, by name.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("tasmota", include_str!("../rules/tasmota.yaml")),
    ("zigbee2mqtt", include_str!("../rules/zigbee2mqtt.yaml")),
    ("homeassistant", include_str!("../rules/homeassistant.yaml")),
];
/// Longest value of a label that comes from the network, bytes.
pub const LONGEST_LABEL: usize = 128;
/// Most samples of one message.
const MOST_SAMPLES: usize = 200;

/// What a prefix of announcements has to be.
pub(crate) const PREFIX: &str =
    "expected levels of a topic such as homeassistant, without + and #, of 128 bytes at most";

/// Whether announcements can stand below it.
pub(crate) fn is_prefix(prefix: &str) -> bool {
    prefix.len() <= 128 && Pattern::parse(prefix).is_ok_and(|pattern| pattern.is_exact())
}

/// A series family of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// What it is, one sentence.
    pub help: String,
    /// Whether it only grows.
    pub counter: bool,
}

/// Every rule in force.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    metrics: BTreeMap<Arc<str>, Metric>,
    rules: Vec<Rule>,
    announced: Vec<Table>,
}

/// What is read of the messages of some topics.
#[derive(Debug, Clone)]
pub struct Rule {
    topic: Pattern,
    retained: Option<bool>,
    state: bool,
    stale_after: Option<Duration>,
    values: Vec<ValueRule>,
}

impl Rule {
    /// The topics, as a broker understands it.
    pub(crate) fn filter(&self) -> String {
        self.topic.filter()
    }

    /// Whether both write the same series from the same topics.
    fn same(&self, other: &Self) -> bool {
        let series = |rule: &Self| -> Vec<_> {
            let values = rule.values.iter();
            let series = |value: &ValueRule| (Arc::clone(&value.metric), value.labels.clone());
            values.map(series).collect()
        };
        self.filter() == other.filter() && series(self) == series(other)
    }
}

#[derive(Debug, Clone)]
struct ValueRule {
    metric: Arc<str>,
    path: Path,
    when: Vec<(Path, String)>,
    labels: Vec<(String, String)>,
    conversion: Conversion,
}

/// What is known of a topic before a payload is seen: the rules that take it, with the labels that its levels give.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Match(Vec<(usize, Vec<(String, String)>)>);

impl Match {
    /// Whether no rule takes the topic.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One value of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The family.
    pub metric: Arc<str>,
    /// Labels of its own, without those of the device.
    pub labels: Labels,
    /// The value.
    pub value: f64,
    /// It is said when it changes and not again.
    pub state: bool,
    /// After which time it is no longer shown, where the rule says so.
    pub stale_after: Option<Duration>,
}

/// Why a value became no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// It is no finite number, and no text that the rule knows.
    NotANumber,
    /// A label from topic or payload is empty, too long, or has control characters.
    Label,
    /// The message has more values than are taken of one.
    TooMany,
    /// There is no room for another series.
    Budget,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NotANumber, Self::Label, Self::TooMany, Self::Budget];

    /// As the label says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotANumber => "not_a_number",
            Self::Label => "label",
            Self::TooMany => "too_many",
            Self::Budget => "budget",
        }
    }
}

/// What a message gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Read {
    /// Its samples.
    pub samples: Vec<Sample>,
    /// Values that became none.
    pub refused: Vec<Refused>,
    /// A rule would have taken it, had the broker not kept it.
    pub retained: bool,
}

/// The payload is neither UTF-8 nor, where it begins like JSON, JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload is neither text nor JSON")]
pub struct Malformed;

impl Rules {
    /// The families, by name.
    #[must_use]
    pub fn metrics(&self) -> &BTreeMap<Arc<str>, Metric> {
        &self.metrics
    }

    /// The topic filters that bring every message that a rule takes.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<String> {
        let announced: Vec<Pattern> = self.announced.iter().flat_map(Table::patterns).collect();
        subscriptions(self.rules.iter().map(|rule| &rule.topic).chain(&announced))
    }

    /// What a message of discovery says; `None` when its topic is none of that.
    #[must_use]
    pub fn announcement(&self, topic: &str, payload: &[u8]) -> Option<Announcement> {
        self.announced
            .iter()
            .find_map(|table| table.read(topic, payload))
    }

    /// The same with announcements below this prefix where the rules say `homeassistant`.
    #[must_use]
    pub fn with_discovery_prefix(mut self, prefix: &str) -> Self {
        for table in &mut self.announced {
            if table.prefix == announced::PREFIX {
                prefix.clone_into(&mut table.prefix);
            }
        }
        self
    }

    /// Whether entities may announce themselves.
    #[must_use]
    pub fn announces(&self) -> bool {
        !self.announced.is_empty()
    }

    /// The rules that take a topic.
    #[must_use]
    pub fn matching(&self, topic: &str) -> Match {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let all = self.rules.iter().enumerate().filter_map(|(index, rule)| {
            let named = rule.topic.matches(topic)?;
            Some((index, named.into_iter().map(own).collect()))
        });
        Match(all.collect())
    }

    /// The samples of a message, by the rules that take its topic and those of the entities that announced it. `retained` says that the broker had kept it, `take_retained` what holds where the rule does not say.
    ///
    /// # Errors
    /// The payload cannot be read.
    pub fn read(
        &self,
        matching: &Match,
        announced: &[Arc<Rule>],
        payload: &[u8],
        (retained, take_retained): (bool, bool),
    ) -> Result<Read, Malformed> {
        let json = payload_of(payload)?;
        let mut read = Read::default();
        let written = matching.0.iter().filter_map(|(index, named)| {
            let rule = self.rules.get(*index)?;
            Some((rule, named.as_slice()))
        });
        let announced = announced.iter().map(|rule| (&**rule, [].as_slice()));
        for (rule, named) in written.chain(announced) {
            if retained && !rule.retained.unwrap_or(rule.state || take_retained) {
                read.retained = true;
                continue;
            }
            for value in &rule.values {
                value.read(rule, named, &json, &mut read);
            }
        }
        Ok(read)
    }
}

/// JSON where it is JSON, else text.
fn payload_of(payload: &[u8]) -> Result<Json, Malformed> {
    let text = std::str::from_utf8(payload).map_err(|_| Malformed)?.trim();
    match serde_json::from_str(text) {
        Ok(json) => Ok(json),
        Err(_) if text.starts_with(['{', '[']) => Err(Malformed),
        Err(_) => Ok(Json::String(text.to_owned())),
    }
}

fn is_label(value: &str) -> bool {
    !value.is_empty() && value.len() <= LONGEST_LABEL && !value.contains(char::is_control)
}

/// Whether a scalar is this text.
fn is_spelled(json: &Json, text: &str) -> bool {
    match json {
        Json::String(own) => own == text,
        Json::Bool(value) => text == if *value { "true" } else { "false" },
        Json::Number(number) => number.to_string() == text,
        _ => false,
    }
}

impl ValueRule {
    fn read(&self, rule: &Rule, named: &[(String, String)], json: &Json, read: &mut Read) {
        let holds = |(path, expected): &(Path, String)| {
            path.first(json)
                .is_some_and(|found| is_spelled(found, expected))
        };
        if !self.when.iter().all(holds) {
            return;
        }
        self.path.each(json, &mut |keys, found| {
            // null means that the sensor does not know it.
            if matches!(found, Json::Null | Json::Object(_) | Json::Array(_)) {
                return;
            }
            if read.samples.len() >= MOST_SAMPLES {
                read.refused.push(Refused::TooMany);
                return;
            }
            let topic = named.iter().map(|(name, value)| (&**name, &**value));
            let fixed = self.labels.iter().map(|(name, value)| (&**name, &**value));
            let pairs: Vec<(&str, &str)> = topic.chain(keys.iter().copied()).chain(fixed).collect();
            if !pairs.iter().all(|(_, value)| is_label(value)) {
                read.refused.push(Refused::Label);
                return;
            }
            match self.conversion.apply(found) {
                Some(value) => read.samples.push(Sample {
                    metric: Arc::clone(&self.metric),
                    labels: Labels::new(pairs),
                    value,
                    state: rule.state,
                    stale_after: rule.stale_after,
                }),
                None => read.refused.push(Refused::NotANumber),
            }
        });
    }
}

#[cfg(test)]
mod tests;
