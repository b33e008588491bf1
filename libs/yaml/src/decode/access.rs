//! What is inside a list, a mapping, a variant, and a value with its place.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::{Decoder, Failure, Path};
use crate::scalar;
use crate::spanned::FIELDS;
use crate::tree::{Key, Node};

pub(super) struct Items<'a> {
    of: Decoder<'a>,
    rest: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'a> Items<'a> {
    pub(super) fn new(of: Decoder<'a>, list: &'a [Node]) -> Self {
        let rest = list.iter().enumerate();
        Self { of, rest }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let Some((index, node)) = self.rest.next() else {
            return Ok(None);
        };
        let item = Decoder {
            node,
            path: Path::Index(&self.of.path, index),
            ..self.of
        };
        item.placed(seed.deserialize(item)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

pub(super) struct Entries<'a> {
    of: Decoder<'a>,
    /// The keys of a struct; the others are reported, and skipped.
    known: Option<&'static [&'static str]>,
    rest: std::slice::Iter<'a, (Key, Node)>,
    value: Option<&'a (Key, Node)>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(
        of: Decoder<'a>,
        known: Option<&'static [&'static str]>,
        entries: &'a [(Key, Node)],
    ) -> Self {
        Self {
            of,
            known,
            rest: entries.iter(),
            value: None,
        }
    }

    pub(super) fn unknown(&self) -> impl Iterator<Item = &'a Key> + use<'a> {
        let known = self.known.unwrap_or_default();
        let keys = self.rest.clone().map(|(key, _)| key);
        keys.filter(|key| !known.contains(&&*key.name))
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
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
        let of = Decoder {
            path: Path::Key(&self.of.path, &key.name),
            ..self.of
        };
        let name = seed.deserialize(Name(&key.name, of));
        name.map(Some).map_err(|failure| {
            if let Failure::Message(message) = failure {
                of.report(key.at, message);
            }
            Failure::Reported
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let (key, node) = self
            .value
            .take()
            .ok_or_else(|| Failure::custom("a value was asked for before its key"))?;
        let value = Decoder {
            node,
            path: Path::Key(&self.of.path, &key.name),
            ..self.of
        };
        value.placed(seed.deserialize(value))
    }
}

/// A key, which may be a number.
struct Name<'a>(&'a str, Decoder<'a>);

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            match scalar::number::<$type>(self.0, self.1.rules) {
                Some(number) => visitor.$visit(number),
                None => Err(Failure::custom("expected a whole number as key")),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Name<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_str(self.0)
    }

    numbers! {
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let variant: StrDeserializer<'_, Failure> = self.0.into_deserializer();
        visitor.visit_enum(variant)
    }

    serde::forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// `variant: value`.
pub(super) struct Variant<'a> {
    key: &'a str,
    inner: Decoder<'a>,
}

impl<'a> Variant<'a> {
    pub(super) fn new(of: Decoder<'a>, key: &'a Key, node: &'a Node) -> Self {
        let inner = Decoder { node, ..of };
        Self {
            key: &key.name,
            inner,
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        let name: StrDeserializer<'_, Failure> = self.key.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        serde::de::Deserialize::deserialize(self.inner)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        let path = Path::Key(&self.inner.path, self.key);
        seed.deserialize(Decoder { path, ..self.inner })
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let path = Path::Key(&self.inner.path, self.key);
        Decoder { path, ..self.inner }.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let path = Path::Key(&self.inner.path, self.key);
        Decoder { path, ..self.inner }.deserialize_struct("", fields, visitor)
    }
}

/// Line, column and value, for [`Spanned`](crate::Spanned).
pub(super) struct Placed<'a> {
    of: Decoder<'a>,
    next: usize,
}

impl<'a> Placed<'a> {
    pub(super) fn new(of: Decoder<'a>) -> Self {
        Self { of, next: 0 }
    }
}

impl<'de> MapAccess<'de> for Placed<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        let Some(field) = FIELDS.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        let name: StrDeserializer<'_, Failure> = (*field).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let at = self.of.node.at;
        match self.next {
            1 => seed.deserialize(at.line.into_deserializer()),
            2 => seed.deserialize(at.column.into_deserializer()),
            _ => seed.deserialize(self.of),
        }
    }
}
