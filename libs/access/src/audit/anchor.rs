//! The head of the chain, to be kept somewhere else.

use std::fmt;
use std::str::FromStr;

use super::line::{Hash, hex, unhex};

/// A record's number and hash. Whoever keeps one outside can later prove that nothing up to that record was changed, and that it was
/// there; only an anchor shows that records at the end are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Number of the record.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Anchor {
    /// The hash as numbers that a Prometheus sample holds exactly: five of 48 bits and one of 16, the first bits first.
    #[must_use]
    pub fn parts(&self) -> [u64; 6] {
        let mut parts = [0; 6];
        for (part, bytes) in parts.iter_mut().zip(self.hash.chunks(6)) {
            *part = bytes
                .iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte));
        }
        parts
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, hex(&self.hash))
    }
}

/// The text is no anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected NUMBER:HASH with 64 lower-case hexadecimal digits, or a log line with seq=NUMBER and hash=HASH"
)]
pub struct NoAnchor;

impl FromStr for Anchor {
    type Err = NoAnchor;

    /// Reads `NUMBER:HASH`, or the log line that the service wrote for the record, in either log format.
    fn from_str(text: &str) -> Result<Self, NoAnchor> {
        if let Some((sequence, hash)) = text.trim().split_once(':')
            && let (Ok(sequence), Some(hash)) = (sequence.parse(), unhex(hash))
        {
            return Ok(Self { sequence, hash });
        }
        let sequence = value(text, "seq").and_then(|text| text.parse().ok());
        let hash: Option<Hash> = value(text, "hash").and_then(|text| unhex(&text));
        match (sequence, hash) {
            (Some(sequence), Some(hash)) => Ok(Self { sequence, hash }),
            _ => Err(NoAnchor),
        }
    }
}

/// The value of a key in a line of logfmt or JSON.
fn value(line: &str, key: &str) -> Option<String> {
    if let Ok(object) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line) {
        return object.get(key).map(|value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
    }
    line.split_whitespace()
        .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
        .map(|value| value.trim_matches('"').to_owned())
}
