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
    "expected NUMBER:HASH with 64 lower-case hexadecimal digits, or a log line with msg=audit, seq=NUMBER and hash=HASH"
)]
pub struct NoAnchor;

impl FromStr for Anchor {
    type Err = NoAnchor;

    /// Reads `NUMBER:HASH`, or the log line that the service wrote for the record, in either log format. What stands inside the value
    /// of another field, as the text of a caller does, is no anchor.
    fn from_str(text: &str) -> Result<Self, NoAnchor> {
        if let Some((sequence, hash)) = text.trim().split_once(':')
            && let (Ok(sequence), Some(hash)) = (sequence.parse(), unhex(hash))
        {
            return Ok(Self { sequence, hash });
        }
        let fields = fields(text);
        let value = |key: &str| {
            let mut named = fields.iter().filter(|(name, _)| name == key);
            // What stands twice stands for nothing.
            let (_, value) = named.next()?;
            named.next().is_none().then_some(value)
        };
        if value("msg").is_none_or(|message| message != "audit") {
            return Err(NoAnchor);
        }
        let sequence = value("seq").and_then(|text| text.parse().ok());
        let hash: Option<Hash> = value("hash").and_then(|text| unhex(text));
        match (sequence, hash) {
            (Some(sequence), Some(hash)) => Ok(Self { sequence, hash }),
            _ => Err(NoAnchor),
        }
    }
}

/// The fields of a line of logfmt or JSON.
fn fields(line: &str) -> Vec<(String, String)> {
    if let Ok(object) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line) {
        let text = |value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        return object
            .into_iter()
            .map(|(key, it)| (key, text(it)))
            .collect();
    }
    let mut fields = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        rest = after;
        if let Some(after) = rest.strip_prefix('=') {
            let (value, after) = logfmt_value(after);
            fields.push((key.to_owned(), value));
            rest = after;
        }
        rest = rest.trim_start();
    }
    fields
}

/// A value of logfmt and what stands after it. Escapes inside quotes are left as they are: an anchor has none.
fn logfmt_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut escaped = false;
    let end = quoted.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    match end {
        Some(end) => (quoted[..end].to_owned(), &quoted[end + 1..]),
        None => (quoted.to_owned(), ""),
    }
}
