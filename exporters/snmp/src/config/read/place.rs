//! What a walk or get names: a number, or an object of a MIB.

use serde::{Deserialize, Deserializer, de};

use crate::oid::Oid;

/// What a walk or get names.
#[derive(Debug)]
pub(super) enum Place {
    /// A number.
    Oid(Oid),
    /// `NAME`, `MODULE::NAME`, or an instance of one of these.
    Name(String),
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        match text.parse() {
            Ok(oid) => Ok(Self::Oid(oid)),
            Err(_) if text.starts_with(|c: char| c.is_ascii_alphabetic()) => Ok(Self::Name(text)),
            Err(error) => Err(de::Error::custom(format!("`{text}`: {error}"))),
        }
    }
}
