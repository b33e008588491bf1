//! Loki's limits, held on our side first.

use std::time::Duration;

use crate::Line;

/// What Loki accepts; the defaults are Loki's own, with some room for clocks that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest line in bytes (`max_line_size`).
    pub line_bytes: usize,
    /// Most labels of a stream (`max_label_names_per_series`).
    pub labels: usize,
    /// Longest label name in bytes (`max_label_name_length`).
    pub label_name_bytes: usize,
    /// Longest label value in bytes (`max_label_value_length`).
    pub label_value_bytes: usize,
    /// Most metadata pairs of an entry (`max_structured_metadata_entries_count`).
    pub metadata_pairs: usize,
    /// Most bytes of metadata of an entry (`max_structured_metadata_size`).
    pub metadata_bytes: usize,
    /// Oldest entry (`reject_old_samples_max_age`); an older one is stamped anew.
    pub max_age: Duration,
    /// Furthest ahead (`creation_grace_period`); an entry further ahead is stamped anew.
    pub max_ahead: Duration,
    /// How far behind the newest entry of its stream an entry may be (half of `max_chunk_age`).
    pub max_behind: Duration,
    /// Streams in use within half an hour; beyond it only essential labels are kept.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes: 256 << 10,
            labels: 15,
            label_name_bytes: 1024,
            label_value_bytes: 2048,
            metadata_pairs: 128,
            metadata_bytes: 64 << 10,
            max_age: Duration::from_secs(7 * 86_400 - 3_600),
            max_ahead: Duration::from_secs(300),
            max_behind: Duration::from_secs(50 * 60),
            streams: 4_000,
        }
    }
}

/// Why an entry cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its text is longer than [`Limits::line_bytes`].
    #[error("line_too_long")]
    LineTooLong,
    /// It has no label, too many, or one with a wrong name or too long.
    #[error("invalid_labels")]
    Labels,
}

impl Limits {
    /// Whether the line's text can be sent.
    ///
    /// # Errors
    /// Why not.
    pub fn check_text(&self, line: &Line) -> Result<(), Refusal> {
        if line.text.len() > self.line_bytes {
            return Err(Refusal::LineTooLong);
        }
        Ok(())
    }

    /// Whether the line's labels can be those of a stream.
    ///
    /// # Errors
    /// Why not.
    pub fn check_labels(&self, line: &Line) -> Result<(), Refusal> {
        let labels = line.labels(false);
        let count = labels.clone().count();
        let fits = |(name, value): (&str, &str)| {
            is_label_name(name)
                && name.len() <= self.label_name_bytes
                && value.len() <= self.label_value_bytes
        };
        let mut names = labels.clone().map(|l| l.0);
        let unique = |name: &str| labels.clone().filter(|l| l.0 == name).count() == 1;
        if count == 0 || count > self.labels || !labels.clone().all(fits) || !names.all(unique) {
            return Err(Refusal::Labels);
        }
        Ok(())
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
pub(crate) fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
