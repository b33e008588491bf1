//! Keys that stand twice in one object of a JSON body.
//!
//! Readers of JSON differ in which of the two they take (RFC 8259 section 4), so that what one program has checked another does
//! otherwise. No service gets such a body.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Where a key stands for the second time; `None` in a body that is no JSON, which is its reader's to refuse.
pub(super) fn repeated(body: &[u8]) -> Option<String> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if !matches!(first, b'{' | b'[') {
        return None;
    }
    let seen = Seen {
        hasher: &RandomState::new(),
        repeated: &Cell::new(false),
    };
    // Several values, as in lines of JSON, are each looked at.
    let mut from = serde_json::Deserializer::from_slice(body);
    loop {
        match seen.deserialize(&mut from) {
            Ok(()) if from.end().is_err() => {}
            Ok(()) => return None,
            Err(error) if seen.repeated.get() => {
                let (line, column) = (error.line(), error.column());
                return Some(format!("line {line}, column {column}"));
            }
            Err(_) => return None,
        }
    }
}

/// Goes over a value and keeps, of each object that is open, a number for each key: some bytes, however long the keys are.
#[derive(Clone, Copy)]
struct Seen<'a> {
    hasher: &'a RandomState,
    repeated: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Seen<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seen<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key_seed(Key(self.hasher))? {
            if !keys.insert(key) {
                self.repeated.set(true);
                return Err(A::Error::custom("a key stands twice"));
            }
            members.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// The number of a key.
struct Key<'a>(&'a RandomState);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<u64, D::Error> {
        let key = std::borrow::Cow::<'de, str>::deserialize(from)?;
        Ok(self.0.hash_one(key.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_found_wherever_it_stands() {
        for (body, place) in [
            (r#"{"a":1,"a":2}"#, "line 1, column"),
            ("{\"a\": {\"b\": 1,\n \"b\": 1}}", "line 2, column"),
            (r#"[0, [{"a":[], "a":null}]]"#, "line 1, column"),
            // Written otherwise, it is the same key.
            (r#"{"role":1,"r\u006fle":2}"#, "line 1, column"),
            ("{\"a\":1}\n{\"b\":1,\"b\":1}\n", "line 2, column"),
        ] {
            let found = repeated(body.as_bytes());
            assert!(found.is_some_and(|it| it.starts_with(place)), "{body}");
        }
    }

    #[test]
    fn other_bodies_are_left_to_their_readers() {
        let deep = "[".repeat(100_000);
        for body in [
            r#"{"a":{"a":1},"b":{"a":1},"A":2,"a ":3}"#,
            r#"[{"a":1},{"a":1}]"#,
            "{\"a\":1}\n{\"a\":1}\n",
            r#"{"a":1,"b""#,
            "a: 1\na: 1\n",
            "{a: 1, a: 1}",
            "",
            " ",
            "null",
            "{}",
            "{} x",
            "\u{feff}{}",
            &deep,
        ] {
            assert_eq!(repeated(body.as_bytes()), None, "{body:.40}");
        }
        assert_eq!(repeated(b"{\"\xff\":1,\"\xff\":2}"), None);
    }
}
