use std::time::Duration;

use crate::record::{HEADER, MAX_RECORD};
use crate::{Error, segment};

/// When what was accepted is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the append returns: survives a loss of power.
    Always,
    /// At most this long after the append; until then it survives the death of the process only.
    Interval(Duration),
    /// When the operating system likes: survives the death of the process, not a loss of power.
    System,
}

/// The bounds and promises of a queue.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes that all segments may use together.
    pub max_bytes: u64,
    /// Bytes after which a new segment begins; at most a quarter of `max_bytes`.
    pub segment_bytes: u64,
    /// Longest content of one record in bytes.
    pub max_record: usize,
    /// Records older than this are evicted, segment by segment. None: kept until acknowledged.
    pub max_age: Option<Duration>,
    /// When accepted records are made durable.
    pub durability: Durability,
    /// The readers, each with its own acknowledgement. Files of readers not named here are removed.
    pub readers: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            segment_bytes: 8 << 20,
            max_record: 128 << 10,
            max_age: None,
            durability: Durability::Interval(Duration::from_millis(100)),
            readers: vec!["main".to_owned()],
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |option, expected| Err(Error::Options { option, expected });
        if self.segment_bytes > self.max_bytes / 4 {
            return wrong("segment_bytes", "at most a quarter of max_bytes");
        }
        if self.max_record > MAX_RECORD {
            return wrong("max_record", "at most 16 MiB");
        }
        if self.segment_bytes < segment::HEADER + (HEADER + self.max_record) as u64 {
            return wrong("segment_bytes", "room for a record of max_record bytes");
        }
        if self.readers.is_empty() {
            return wrong("readers", "at least one reader");
        }
        let plain = |name: &String| {
            !name.is_empty()
                && name.len() <= 64
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !self.readers.iter().all(plain) {
            return wrong(
                "readers",
                "names of letters, digits, '-' and '_', at most 64 long",
            );
        }
        Ok(())
    }
}
