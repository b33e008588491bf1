//! Reading a typed value from the tree: strict about keys and types, and going on after a mistake where it can.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

use crate::scalar::{self, Number};
use crate::spanned;
use crate::tree::{At, Node, Value};
use crate::{Mistake, Rules, shown};

mod access;

use access::{Entries, Items, Placed, Variant};

/// The `T` at `node`, which stands at `path`; `None` after everything wrong with it went to `mistakes`.
pub fn decode<T: DeserializeOwned>(
    node: &Node,
    text: &str,
    path: &str,
    rules: &Rules,
    mistakes: &mut Vec<Mistake>,
) -> Option<T> {
    let found = RefCell::new(Vec::new());
    let value = T::deserialize(Decoder {
        node,
        text,
        rules,
        path: Path::Root(path),
        found: &found,
    });
    let found = found.into_inner();
    if found.is_empty() {
        return value.ok();
    }
    mistakes.extend(found);
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
            Self::Key(Self::Root(""), key) => f.write_str(&crate::path::step(key)),
            Self::Key(parent, key) => write!(f, "{parent}.{}", crate::path::step(key)),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    text: &'a str,
    rules: &'a Rules,
    path: Path<'a>,
    found: &'a RefCell<Vec<Mistake>>,
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
        Self::Message(plain(&message.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Message(format!("\"{field}\" is missing"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::Message(unknown_key(field, expected))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::Message(format!(
            "unknown value \"{}\"; expected one of {}",
            shown(variant),
            expected.join(", ")
        ))
    }
}

/// What the address types of the standard library say, as what was expected.
fn plain(message: &str) -> String {
    let expected = match message {
        "invalid IPv4 address syntax" => "an IPv4 address such as 192.0.2.1",
        "invalid IPv6 address syntax" => "an IPv6 address such as 2001:db8::1",
        "invalid IP address syntax" => "an IP address such as 192.0.2.1 or 2001:db8::1",
        other => return other.to_owned(),
    };
    format!("expected {expected}")
}

fn unknown_key(key: &str, expected: &[&str]) -> String {
    format!(
        "unknown key \"{}\"; expected one of {}",
        shown(key),
        expected.join(", ")
    )
}

impl<'a> Decoder<'a> {
    fn report(&self, at: At, message: String) {
        self.found.borrow_mut().push(Mistake {
            at,
            path: self.path.to_string(),
            message,
        });
    }

    fn expected(&self, what: &str) -> Failure {
        let found = self.node.describe(self.text, self.rules.quotes);
        self.report(self.node.at, format!("expected {what}, found {found}"));
        Failure::Reported
    }

    /// Gives a failure that has no place yet the place of this value.
    fn placed<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| {
            if let Failure::Message(message) = failure {
                self.report(self.node.at, message);
            }
            Failure::Reported
        })
    }

    fn spelled(&self) -> Option<&'a str> {
        self.node.spelled(self.text)
    }

    fn number<N: Number>(&self, what: &str) -> Result<N, Failure> {
        let text = match &self.node.value {
            Value::Number(_) => self.spelled(),
            Value::String(text) if self.rules.lenient => Some(&**text),
            _ => None,
        };
        text.and_then(|text| scalar::number(text, self.rules))
            .ok_or_else(|| self.expected(what))
    }

    fn entries(self, known: Option<&'static [&'static str]>) -> Option<Entries<'a>> {
        match &self.node.value {
            Value::Map(entries) => Some(Entries::new(self, known, entries)),
            // A section with nothing in it has its defaults.
            Value::Null if known.is_some() => Some(Entries::new(self, known, &[])),
            _ => None,
        }
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
            Value::Bool(..) => self.deserialize_bool(visitor),
            Value::Number(_) => {
                let text = self.spelled().unwrap_or_default();
                if let Some(number) = scalar::number(text, self.rules) {
                    self.placed(visitor.visit_u64(number))
                } else if let Some(number) = scalar::number(text, self.rules) {
                    self.placed(visitor.visit_i64(number))
                } else {
                    self.deserialize_f64(visitor)
                }
            }
            Value::String(_) => self.deserialize_str(visitor),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = match &self.node.value {
            Value::Bool(value, _) => Some(*value),
            Value::String(word) if self.rules.lenient => scalar::boolean(word),
            _ => None,
        };
        match value {
            Some(value) => self.placed(visitor.visit_bool(value)),
            None => Err(self.expected("true or false")),
        }
    }

    numbers! {
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 u64, "a whole number from 0 to 18446744073709551615";
        deserialize_u128 visit_u128 u128, "a whole number from 0";
        deserialize_i8 visit_i8 i8, "a whole number from -128 to 127";
        deserialize_i16 visit_i16 i16, "a whole number from -32768 to 32767";
        deserialize_i32 visit_i32 i32, "a whole number from -2147483648 to 2147483647";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_i128 visit_i128 i128, "a whole number";
        deserialize_f32 visit_f64 f64, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::String(value) => self.placed(visitor.visit_str(value)),
            // A name such as 7 or 1.10 is meant as it is spelled.
            Value::Number(_) => match self.spelled() {
                Some(number) => self.placed(visitor.visit_str(number)),
                None => Err(self.expected("text in quotes")),
            },
            Value::Bool(value, _) if self.rules.lenient => {
                let word = if *value { "true" } else { "false" };
                self.placed(visitor.visit_str(self.spelled().unwrap_or(word)))
            }
            Value::Bool(..) => Err(self.expected("a string (put it in quotes if it is meant so)")),
            _ => Err(self.expected("a string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        // Where it is not lenient, a key with nothing after it is a section with its defaults, or a mistake; never the same as no key.
        if self.rules.lenient && matches!(self.node.value, Value::Null) {
            return self.placed(visitor.visit_none());
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.value {
            Value::Null => self.placed(visitor.visit_unit()),
            _ => Err(self.expected("nothing")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.placed(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::List(list) => self.placed(visitor.visit_seq(Items::new(self, list))),
            _ => Err(self.expected("a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::List(list) if list.len() == length => self.deserialize_seq(visitor),
            _ => Err(self.expected(&format!("a list of {length} values"))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.entries(None) {
            Some(entries) => self.placed(visitor.visit_map(entries)),
            None => Err(self.expected("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name == spanned::NAME {
            return self.placed(visitor.visit_map(Placed::new(self)));
        }
        let Some(entries) = self.entries(Some(fields)) else {
            return Err(self.expected("a mapping"));
        };
        for key in entries.unknown() {
            self.report(key.at, unknown_key(&key.name, fields));
        }
        self.placed(visitor.visit_map(entries))
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
            // A variant that is called 1 or true.
            Value::Number(_) | Value::Bool(..) => {
                let word = self.spelled().unwrap_or_default();
                let variant: StrDeserializer<'_, Failure> = word.into_deserializer();
                self.placed(visitor.visit_enum(variant))
            }
            Value::Map(entries) => match entries.as_slice() {
                [(key, node)] => self.placed(visitor.visit_enum(Variant::new(self, key, node))),
                _ => Err(self.expected("a mapping with one key")),
            },
            _ => Err(self.expected("a string")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bytes byte_buf unit_struct tuple_struct identifier
    }
}
