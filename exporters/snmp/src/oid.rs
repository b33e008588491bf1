//! Object identifiers: dotted text, sub-identifiers, and the BER content octets (X.690 §8.19).

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};

/// The most sub-identifiers an object identifier may have (RFC 2578 §3.5).
pub const MAX_SUB_IDS: usize = 128;

/// An object identifier. Copies share its numbers: a scrape takes hundreds of those that the configuration names.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Arc<[u32]>);

/// Why a text or an encoding is not an object identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidError {
    /// Not numbers separated by dots.
    #[error("expected numbers from 0 to 4294967295 separated by dots, as in 1.3.6.1.2.1.1")]
    Text,
    /// More than [`MAX_SUB_IDS`].
    #[error("an object identifier has at most 128 numbers")]
    Long,
    /// A sub-identifier is cut off or does not fit 32 bits.
    #[error("malformed object identifier")]
    Encoding,
}

impl Oid {
    /// From sub-identifiers.
    #[must_use]
    pub fn new(ids: impl Into<Arc<[u32]>>) -> Self {
        Self(ids.into())
    }

    /// The sub-identifiers.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.0
    }

    /// This identifier with `tail` behind it.
    #[must_use]
    pub fn join(&self, tail: &[u32]) -> Self {
        Self(self.0.iter().chain(tail).copied().collect())
    }

    /// The column before this one: the last sub-identifier less one. `None` for an empty identifier or one that ends in 0.
    #[must_use]
    pub fn previous(&self) -> Option<Self> {
        let mut ids = self.0.to_vec();
        let last = ids.last_mut()?;
        *last = last.checked_sub(1)?;
        Some(Self::new(ids))
    }
}

/// Whether `ids` is `root` or below it.
#[must_use]
pub fn within(ids: &[u32], root: &[u32]) -> bool {
    ids.starts_with(root)
}

impl FromStr for Oid {
    type Err = OidError;

    fn from_str(text: &str) -> Result<Self, OidError> {
        let text = text.strip_prefix('.').unwrap_or(text);
        let mut ids = Vec::with_capacity(16);
        for part in text.split('.') {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(OidError::Text);
            }
            ids.push(part.parse().map_err(|_| OidError::Text)?);
        }
        if ids.len() > MAX_SUB_IDS {
            Err(OidError::Long)
        } else {
            Ok(Self::new(ids))
        }
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Dotted(&self.0).fmt(out)
    }
}

/// Sub-identifiers shown with dots between them.
#[derive(Clone, Copy, Debug)]
pub struct Dotted<'a>(pub &'a [u32]);

impl fmt::Display for Dotted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, id) in self.0.iter().enumerate() {
            if at > 0 {
                out.write_char('.')?;
            }
            write!(out, "{id}")?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Oid {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        text.parse()
            .map_err(|error| de::Error::custom(format!("`{text}`: {error}")))
    }
}

/// Appends the BER content octets of `ids` to `out`.
///
/// An identifier of fewer than two numbers is padded with zeros, since the encoding joins the first two.
pub fn encode(ids: &[u32], out: &mut Vec<u8>) {
    let first = ids.first().copied().unwrap_or(0);
    let second = ids.get(1).copied().unwrap_or(0);
    sub_id(u64::from(first) * 40 + u64::from(second), out);
    for id in ids.get(2..).unwrap_or_default() {
        sub_id(u64::from(*id), out);
    }
}

/// How many octets [`encode`] makes of `ids`.
#[must_use]
pub fn encoded_len(ids: &[u32]) -> usize {
    let octets = |id: &u32| (32 - id.leading_zeros()).div_ceil(7).max(1) as usize;
    1 + ids
        .get(2..)
        .unwrap_or_default()
        .iter()
        .map(octets)
        .sum::<usize>()
}

fn sub_id(id: u64, out: &mut Vec<u8>) {
    let groups = (64 - id.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let low = ((id >> (7 * group)) & 0x7f) as u8;
        out.push(if group == 0 { low } else { low | 0x80 });
    }
}

/// Appends the sub-identifiers of BER content octets to `out`.
///
/// # Errors
/// [`OidError::Encoding`] or [`OidError::Long`]; `out` then holds what it held before.
pub fn decode(bytes: &[u8], out: &mut Vec<u32>) -> Result<(), OidError> {
    let start = out.len();
    let result = decode_into(bytes, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn decode_into(bytes: &[u8], out: &mut Vec<u32>) -> Result<(), OidError> {
    let start = out.len();
    let mut id: u64 = 0;
    let mut first = true;
    let mut open = false;
    for byte in bytes {
        id = (id << 7) | u64::from(byte & 0x7f);
        open = byte & 0x80 != 0;
        if id > u64::from(u32::MAX) + 80 {
            return Err(OidError::Encoding);
        }
        if open {
            continue;
        }
        if first {
            let root = (id / 40).min(2);
            out.push(root as u32);
            out.push(u32::try_from(id - root * 40).map_err(|_| OidError::Encoding)?);
            first = false;
        } else {
            out.push(u32::try_from(id).map_err(|_| OidError::Encoding)?);
        }
        if out.len() - start > MAX_SUB_IDS {
            return Err(OidError::Long);
        }
        id = 0;
    }
    if open {
        Err(OidError::Encoding)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_read_with_and_without_the_leading_dot() {
        assert_eq!("1.3.6".parse(), Ok(Oid::new([1, 3, 6])));
        assert_eq!(".1.3.6".parse(), Ok(Oid::new([1, 3, 6])));
        for bad in [
            "",
            ".",
            "1..3",
            "1.3.",
            "1.a",
            "1.-3",
            "1.4294967296",
            "+1.3",
        ] {
            assert_eq!(bad.parse::<Oid>(), Err(OidError::Text), "{bad}");
        }
    }

    #[test]
    fn the_encoding_is_that_of_the_standard() {
        let mut out = Vec::new();
        encode(&[1, 3, 6, 1, 4, 1, 2680, 1, 2, 7, 3, 2, 0], &mut out);
        assert_eq!(out, [0x2b, 6, 1, 4, 1, 0x94, 0x78, 1, 2, 7, 3, 2, 0]);
    }

    #[test]
    fn a_cut_off_or_too_large_sub_identifier_is_refused() {
        for bad in [
            &[0x2b, 0x86][..],
            &[0x2b, 0x90, 0x80, 0x80, 0x80, 0x00],
            &[0x2b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ] {
            let mut out = vec![9];
            assert_eq!(decode(bad, &mut out), Err(OidError::Encoding));
            assert_eq!(out, [9]);
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(second in 0u32..40, tail in proptest::collection::vec(any::<u32>(), 0..60)) {
            let ids: Vec<u32> = [1, second].into_iter().chain(tail).collect();
            let (mut bytes, mut back) = (Vec::new(), Vec::new());
            encode(&ids, &mut bytes);
            decode(&bytes, &mut back).unwrap();
            prop_assert_eq!(ids, back);
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            let _ = decode(&bytes, &mut out);
            prop_assert!(out.len() <= MAX_SUB_IDS + 2);
        }
    }
}
