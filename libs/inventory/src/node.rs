//! The tree of a YAML document with the place of every value, from which entries are read.

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use serde_saphyr::budget::BudgetBreach;

use crate::problem::Problem;

pub(crate) mod decode;

/// Line and column of a value, both from 1; 0 where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it is spelled: first byte and length in the text.
    Number(u32, u32),
    String(Box<str>),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) at: At,
    pub(crate) name: Box<str>,
}

/// Bound of the values of one document, those that aliases repeat included.
const MAX_NODES: usize = 3_000_000;
/// Bound of the values that aliases repeat: ten for each of [`MAX_DEVICES`](crate::MAX_DEVICES), and some.
const MAX_REPEATED: usize = 500_000;
/// Bound of the aliases, and of the merge keys.
const MAX_ALIASES: usize = 200_000;
const MAX_DEPTH: usize = 16;

/// The tree of `text`; the error is the first one that the YAML parser meets.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        reject_unsupported_tags: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        budget: serde_saphyr::budget! {
            max_events: 2 * MAX_NODES,
            max_nodes: MAX_NODES,
            max_documents: 1,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_aliases: MAX_ALIASES,
            max_merge_keys: MAX_ALIASES,
            max_recorded_anchor_events: MAX_REPEATED,
            // One set of values that every device takes is no attack; what it grows to is bounded above.
            enforce_alias_anchor_ratio: false,
            max_total_scalar_bytes: crate::MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPEATED,
            max_replay_stack_depth: MAX_DEPTH,
            max_alias_expansions_per_anchor: MAX_ALIASES,
        },
    };
    serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options)
        .map(Node::from)
        .map_err(|error| {
            let at = error.location().map_or(At::default(), |place| at(&place));
            Problem::new(at, String::new(), plain(&error))
        })
}

/// The message of the parser on one line, without the place, which is told apart.
fn plain(error: &serde_saphyr::Error) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::AliasError { error, .. } => plain(error),
        serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or_default();
            format!(
                "the key \"{}\" stands here twice; expected each once",
                crate::names::shown(key)
            )
        }
        serde_saphyr::Error::Budget { breach, .. } => bound(breach),
        serde_saphyr::Error::AliasReplayLimitExceeded { .. }
        | serde_saphyr::Error::AliasExpansionLimitExceeded { .. }
        | serde_saphyr::Error::AliasReplayStackDepthExceeded { .. } => repeated(),
        error => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            match line.find(" at line ").map_or(line, |end| &line[..end]) {
                // The parser's own bound on brackets, which is told before the budget's.
                "recursion limit exceeded" => bound(&BudgetBreach::Depth { depth: MAX_DEPTH }),
                line => line.to_owned(),
            }
        }
    }
}

/// Which bound of the document was passed.
fn bound(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Documents { .. } => "a second document begins here; expected one".to_owned(),
        BudgetBreach::Depth { .. } => {
            format!("nested too deep; expected {MAX_DEPTH} levels at most")
        }
        BudgetBreach::Events { .. } | BudgetBreach::Nodes { .. } => {
            format!("too many values; expected {MAX_NODES} at most")
        }
        BudgetBreach::Aliases { .. } | BudgetBreach::MergeKeys { .. } => {
            format!("too many aliases; expected {MAX_ALIASES} at most")
        }
        BudgetBreach::RecordedAnchorEvents { .. } | BudgetBreach::RecordedAnchorBytes { .. } => {
            repeated()
        }
        _ => "the document is too large".to_owned(),
    }
}

fn repeated() -> String {
    format!("aliases repeat too much; expected {MAX_REPEATED} values at most")
}

fn at(place: &serde_saphyr::Location) -> At {
    At {
        line: u32::try_from(place.line()).unwrap_or(u32::MAX),
        column: u32::try_from(place.column()).unwrap_or(u32::MAX),
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        let value = match spanned.value {
            Value::Number(..) => {
                let span = spanned.defined.span();
                let small =
                    |number: Option<u64>| number.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
                Value::Number(small(span.byte_offset()), small(span.byte_len()))
            }
            value => value,
        };
        Self {
            at: at(&spanned.referenced),
            value,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Number(0, 0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Number(0, 0))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Number(0, 0))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Number(0, 0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number(0, 0))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value.into_boxed_str()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Value>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Key {
                at: at(&key.referenced),
                name: key.value.into_boxed_str(),
            };
            entries.push((key, map.next_value::<Spanned<Value>>()?.into()));
        }
        Ok(Value::Map(entries))
    }
}

impl Node {
    /// What the value is, for a message: `a list`, `the number 7`.
    pub(crate) fn describe(&self, text: &str) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("the boolean {value}"),
            Value::Number(..) => format!(
                "the number {}",
                crate::names::shown(self.number(text).unwrap_or("?"))
            ),
            Value::String(value) => format!("\"{}\"", crate::names::shown(value)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The number as it is spelled in `text`.
    pub(crate) fn number<'a>(&self, text: &'a str) -> Option<&'a str> {
        let Value::Number(start, length) = self.value else {
            return None;
        };
        text.get(start as usize..start as usize + length as usize)
    }

    /// The value under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries
            .iter()
            .find(|(k, _)| &*k.name == key)
            .map(|(_, node)| node)
    }

    /// The place of `path` (`devices[3].ping.interval`), or of the nearest thing that holds it.
    pub(crate) fn locate(&self, path: &str) -> At {
        self.walk(path).0.at
    }

    /// Whether there is something at `path`.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.walk(path).1
    }

    /// The nearest value on the way to `path`, and whether it is the one that was asked for.
    fn walk(&self, path: &str) -> (&Node, bool) {
        let mut node = self;
        for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
            let next = match (&node.value, part.strip_suffix(']')) {
                (Value::List(list), Some(index)) => index
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| list.get(index)),
                _ => node.get(part),
            };
            match next {
                Some(next) => node = next,
                None => return (node, false),
            }
        }
        (node, true)
    }
}
