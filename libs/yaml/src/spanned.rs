//! A value with its place.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use crate::At;

/// By this name [`decode`](crate::decode) knows that a place is asked for.
pub(crate) const NAME: &str = "$sotp::yaml::Spanned";
pub(crate) const FIELDS: [&str; 3] = ["line", "column", "value"];

/// A value and where it stands; only [`decode`](crate::decode) can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// Where it stands.
    pub at: At,
    /// The value.
    pub value: T,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_struct(NAME, &FIELDS, SpannedVisitor(PhantomData))
    }
}

struct SpannedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
    type Value = Spanned<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a YAML document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Spanned<T>, A::Error> {
        let mut next = |name| match map.next_key::<String>()? {
            Some(key) if key == name => map.next_value::<u32>(),
            _ => Err(A::Error::custom("expected a place")),
        };
        let at = At {
            line: next(FIELDS[0])?,
            column: next(FIELDS[1])?,
        };
        let _ = map.next_key::<String>()?;
        Ok(Spanned {
            at,
            value: map.next_value()?,
        })
    }
}
