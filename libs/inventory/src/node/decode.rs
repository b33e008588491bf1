//! Reading an entry from the tree: strict about keys and types, and going on after an error where it can.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, Visitor,
};

use super::{At, Key, Node, Value};
use crate::names::shown;
use crate::problem::{Problem, Problems};

/// The `T` at `node`, or `None` after everything wrong with it went to `problems`.
pub(crate) fn decode<T: DeserializeOwned>(
    node: &Node,
    text: &str,
    path: &str,
    problems: &mut Problems,
) -> Option<T> {
    let found = RefCell::new(Vec::new());
    let value = T::deserialize(Decoder {
        node,
        text,
        path: Path::Root(path),
        found: &found,
    });
    let found = found.into_inner();
    if found.is_empty() {
        return value.ok();
    }
    found.into_iter().for_each(|problem| problems.push(problem));
    None
}

/// Where the decoder stands, as a chain through the stack.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root(&'a str),
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(path) => f.write_str(path),
            Self::Key(Self::Root(""), key) => f.write_str(&shown(key)),
            Self::Key(parent, key) => write!(f, "{parent}.{}", shown(key)),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    text: &'a str,
    path: Path<'a>,
    found: &'a RefCell<Vec<Problem>>,
}

/// A failure: with a message until its place is known, then already reported.
#[derive(Debug)]
enum Failure {
    Message(String),
    Reported,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => f.write_str(message),
            Self::Reported => f.write_str("reported"),
        }
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Message(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Message(format!("\"{field}\" is missing"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::Message(format!(
            "unknown value \"{}\"; expected one of {}",
            shown(variant),
            expected.join(", ")
        ))
    }
}

impl<'a> Decoder<'a> {
    fn report(&self, at: At, path: &Path<'_>, message: String) {
        self.found
            .borrow_mut()
            .push(Problem::new(at, path.to_string(), message));
    }

    fn expected(&self, what: &str) -> Failure {
        self.report(
            self.node.at,
            &self.path,
            format!("expected {what}, found {}", self.node.describe(self.text)),
        );
        Failure::Reported
    }

    /// Gives a failure that has no place yet the place of this value.
    fn placed<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| {
            if let Failure::Message(message) = failure {
                self.report(self.node.at, &self.path, message);
            }
            Failure::Reported
        })
    }

    fn number<N: std::str::FromStr>(&self, what: &str) -> Result<N, Failure> {
        let parsed = self
            .node
            .number(self.text)
            .and_then(|number| number.parse().ok());
        parsed.ok_or_else(|| self.expected(what))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            let number = self.number::<$type>($what)?;
            self.placed(visitor.$visit(number))
        }
    )*};
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::Null => self.placed(visitor.visit_unit()),
            Value::Bool(_) => self.deserialize_bool(visitor),
            Value::Number(..) => self.deserialize_f64(visitor),
            Value::String(_) => self.deserialize_str(visitor),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.value {
            Value::Bool(value) => self.placed(visitor.visit_bool(value)),
            _ => Err(self.expected("true or false")),
        }
    }

    numbers! {
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 1 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 u64, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::String(value) => self.placed(visitor.visit_str(value)),
            // A name such as 7 or 1.10 is meant as it is spelled.
            Value::Number(..) => match self.node.number(self.text) {
                Some(number) => self.placed(visitor.visit_str(number)),
                None => Err(self.expected("a string in quotes")),
            },
            Value::Bool(_) => Err(self.expected("a string (put it in quotes if it is meant so)")),
            _ => Err(self.expected("a string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        // A key with nothing after it is a section with its defaults, or a mistake; never the same as no key.
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::List(list) => {
                let result = visitor.visit_seq(Items {
                    of: self,
                    rest: list.iter().enumerate(),
                });
                self.placed(result)
            }
            _ => Err(self.expected("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::Map(entries) => {
                let result = visitor.visit_map(Entries {
                    of: self,
                    known: None,
                    rest: entries.iter(),
                    value: None,
                });
                self.placed(result)
            }
            _ => Err(self.expected("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => return Err(self.expected("a mapping")),
        };
        for (key, _) in entries
            .iter()
            .filter(|(key, _)| !fields.contains(&&*key.name))
        {
            let message = format!(
                "unknown key \"{}\"; expected one of {}",
                shown(&key.name),
                fields.join(", ")
            );
            self.report(key.at, &self.path, message);
        }
        let result = visitor.visit_map(Entries {
            of: self,
            known: Some(fields),
            rest: entries.iter(),
            value: None,
        });
        self.placed(result)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::String(value) => {
                let variant: StrDeserializer<'_, Failure> = (&**value).into_deserializer();
                self.placed(visitor.visit_enum(variant))
            }
            _ => Err(self.expected("a string")),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 char bytes byte_buf unit unit_struct newtype_struct
        tuple tuple_struct identifier ignored_any
    }
}

struct Items<'a> {
    of: Decoder<'a>,
    rest: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let Some((index, node)) = self.rest.next() else {
            return Ok(None);
        };
        seed.deserialize(Decoder {
            node,
            path: Path::Index(&self.of.path, index),
            ..self.of
        })
        .map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Entries<'a> {
    of: Decoder<'a>,
    known: Option<&'static [&'static str]>,
    rest: std::slice::Iter<'a, (Key, Node)>,
    value: Option<&'a (Key, Node)>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        let known = self.known;
        self.value = self
            .rest
            .find(|(key, _)| known.is_none_or(|fields| fields.contains(&&*key.name)));
        let Some((key, _)) = self.value else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, Failure> = (&*key.name).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let (key, node) = self
            .value
            .take()
            .ok_or_else(|| Failure::custom("a value was asked for before its key"))?;
        seed.deserialize(Decoder {
            node,
            path: Path::Key(&self.of.path, &key.name),
            ..self.of
        })
    }
}
