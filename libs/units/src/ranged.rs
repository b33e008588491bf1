//! Whole numbers within bounds.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A `T` from `MIN` to `MAX`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ranged<T, const MIN: u64, const MAX: u64>(T);

impl<T: Copy + TryFrom<u64>, const MIN: u64, const MAX: u64> Ranged<T, MIN, MAX> {
    /// The number.
    #[must_use]
    pub fn get(self) -> T {
        self.0
    }

    /// `number`, which is known to be within the bounds.
    ///
    /// # Panics
    /// When it is not: for numbers in the code, such as defaults.
    #[must_use]
    pub fn of(number: u64) -> Self {
        Self::new(number).unwrap_or_else(|error| panic!("{error}"))
    }

    /// `number`, when it is within the bounds.
    ///
    /// # Errors
    /// The bounds.
    pub fn new(number: u64) -> Result<Self, String> {
        Self::checked(i128::from(number))
    }

    fn checked(number: i128) -> Result<Self, String> {
        let inside = u64::try_from(number)
            .ok()
            .filter(|n| (MIN..=MAX).contains(n));
        inside
            .and_then(|number| T::try_from(number).ok().map(Self))
            .ok_or_else(|| format!("{number} is out of bounds, expected {MIN} to {MAX}"))
    }
}

impl<T: Copy + TryFrom<u64>, const MIN: u64, const MAX: u64> FromStr for Ranged<T, MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse();
        number
            .map_err(|_| format!("expected a whole number from {MIN} to {MAX}, found {text:?}"))
            .and_then(Self::checked)
    }
}

impl<T: fmt::Display, const MIN: u64, const MAX: u64> fmt::Display for Ranged<T, MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Debug, const MIN: u64, const MAX: u64> fmt::Debug for Ranged<T, MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Serialize, const MIN: u64, const MAX: u64> Serialize for Ranged<T, MIN, MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de, T: Copy + TryFrom<u64>, const MIN: u64, const MAX: u64> Deserialize<'de>
    for Ranged<T, MIN, MAX>
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::checked(i64::deserialize(from)?.into()).map_err(D::Error::custom)
    }
}

impl<T, const MIN: u64, const MAX: u64> JsonSchema for Ranged<T, MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Whole_{MIN}_{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Dscp = Ranged<u8, 0, 63>;

    #[test]
    fn bounds_hold_in_flags_and_files() {
        assert_eq!("63".parse::<Dscp>().unwrap().get(), 63);
        assert_eq!(serde_json::from_str::<Dscp>("5").unwrap().get(), 5);
        for (text, expected) in [
            ("64", "64 is out of bounds, expected 0 to 63"),
            ("-1", "-1 is out of bounds, expected 0 to 63"),
            ("300", "300 is out of bounds, expected 0 to 63"),
            (
                "many",
                "expected a whole number from 0 to 63, found \"many\"",
            ),
        ] {
            assert_eq!(text.parse::<Dscp>().unwrap_err(), expected);
        }
        let error = serde_json::from_str::<Dscp>("64").unwrap_err().to_string();
        assert!(
            error.starts_with("64 is out of bounds, expected 0 to 63"),
            "{error}"
        );
    }
}
