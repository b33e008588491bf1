//! The tree of a document, with the place of every value.

use serde_saphyr::Spanned;

use crate::path::{Step, steps};
use crate::{Mistake, Rules, shown};

mod visit;

/// Line and column of a value, both from 1; 0 where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// A value and its place.
#[derive(Debug)]
pub struct Node {
    /// Where it stands; of an alias, where the alias stands.
    pub at: At,
    /// What it is.
    pub value: Value,
}

/// What stands somewhere in a document.
#[derive(Debug)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool, Spelled),
    /// A number, as it is spelled.
    Number(Spelled),
    /// Text.
    String(Box<str>),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text.
    Map(Vec<(Key, Node)>),
}

/// Where a scalar is spelled: first byte and length in the text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spelled(u32, u32);

/// A key and its place.
#[derive(Debug)]
pub struct Key {
    /// Where it stands.
    pub at: At,
    /// The key.
    pub name: Box<str>,
}

/// The tree of `text`.
///
/// # Errors
/// The first thing that is no YAML, a key that stands twice, or a bound that is passed.
pub fn read(text: &str, rules: &Rules) -> Result<Node, Mistake> {
    serde_saphyr::from_str_with_options::<Spanned<Value>>(text, rules.options())
        .map(Node::from)
        .map_err(|error| Mistake::of_parser(&error, rules))
}

impl From<serde_saphyr::Location> for At {
    fn from(place: serde_saphyr::Location) -> Self {
        Self {
            line: u32::try_from(place.line()).unwrap_or(u32::MAX),
            column: u32::try_from(place.column()).unwrap_or(u32::MAX),
        }
    }
}

impl Node {
    /// What the value is, for a message: `a list`, `the number 7`; only its kind when `quotes` is off.
    #[must_use]
    pub fn describe(&self, text: &str, quotes: bool) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value, _) => format!("the boolean {value}"),
            Value::Number(_) if !quotes => "a number".to_owned(),
            Value::Number(_) => {
                format!("the number {}", shown(self.spelled(text).unwrap_or("?")))
            }
            Value::String(_) if !quotes => "text".to_owned(),
            Value::String(value) => format!("\"{}\"", shown(value)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The number or boolean as it is spelled in `text`, the text that the tree was read from.
    #[must_use]
    pub fn spelled<'a>(&self, text: &'a str) -> Option<&'a str> {
        let (Value::Number(spelled) | Value::Bool(_, spelled)) = self.value else {
            return None;
        };
        let Spelled(start, length) = spelled;
        text.get(start as usize..start as usize + length as usize)
    }

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries
            .iter()
            .find(|(k, _)| &*k.name == key)
            .map(|(_, node)| node)
    }

    /// The place of `path` (`devices[3].ping.interval`), or of the nearest thing that holds it.
    #[must_use]
    pub fn locate(&self, path: &str) -> At {
        let mut node = self;
        for step in steps(path) {
            let next = match (&node.value, step) {
                (Value::List(list), Step::Index(index)) => list.get(index),
                (_, Step::Key(key)) => node.get(key),
                _ => None,
            };
            let Some(next) = next else { break };
            node = next;
        }
        node.at
    }
}
