//! One log line with its labels and metadata, built in reused memory.

use crate::Limits;
use crate::wire;

/// A log line being built.
#[derive(Debug, Default)]
pub struct Line {
    /// The text. Anything but UTF-8 must be escaped before.
    pub text: String,
    /// The labels one behind another: whether it is essential (1), lengths of name and value (4 each), name, value.
    /// Lines with the same bytes are of the same stream.
    labels: Vec<u8>,
    /// The metadata as an entry of a push request carries it (field 3), so that it is copied whole.
    pairs: Vec<u8>,
    pair_count: usize,
    pair_bytes: usize,
}

/// Metadata that many lines share, encoded once.
#[derive(Debug, Default, Clone)]
pub struct Shared {
    pairs: Vec<u8>,
    count: usize,
    bytes: usize,
}

impl Shared {
    /// Pairs of name and value; those with an empty value are left out.
    #[must_use]
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        let mut shared = Self::default();
        for (name, value) in pairs.iter().filter(|p| !p.1.is_empty()) {
            wire::pair(&mut shared.pairs, name, value);
            shared.count += 1;
            shared.bytes += name.len() + value.len();
        }
        shared
    }
}

impl Line {
    /// Empties it.
    pub fn clear(&mut self) {
        self.text.clear();
        self.labels.clear();
        self.pairs.clear();
        self.pair_count = 0;
        self.pair_bytes = 0;
    }

    /// Adds a label of the stream. An empty value is no label. When the budget of streams is used up, a label
    /// that is not essential becomes metadata.
    #[inline]
    pub fn label(&mut self, name: &str, value: &str, essential: bool) {
        if !value.is_empty() {
            let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
            self.labels.reserve(9 + name.len() + value.len());
            self.labels.push(u8::from(essential));
            self.labels.extend_from_slice(&length(name));
            self.labels.extend_from_slice(&length(value));
            self.labels.extend_from_slice(name.as_bytes());
            self.labels.extend_from_slice(value.as_bytes());
        }
    }

    /// Adds the labels of another line.
    pub fn labels_of(&mut self, other: &Self) {
        self.labels.extend_from_slice(&other.labels);
    }

    /// Adds structured metadata. An empty value is left out.
    #[inline]
    pub fn metadata(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            wire::pair(&mut self.pairs, name, value);
            self.pair_count += 1;
            self.pair_bytes += name.len() + value.len();
        }
    }

    /// Adds metadata that was encoded before.
    pub fn shared(&mut self, shared: &Shared) {
        self.pairs.extend_from_slice(&shared.pairs);
        self.pair_count += shared.count;
        self.pair_bytes += shared.bytes;
    }

    /// What all lines of a stream have in common, as bytes.
    pub(crate) fn key(&self) -> &[u8] {
        &self.labels
    }

    fn all_labels(&self) -> impl Iterator<Item = (bool, &str, &str)> + Clone {
        let mut rest = &*self.labels;
        std::iter::from_fn(move || {
            let (head, behind) = rest.split_first_chunk::<9>()?;
            let length = |at: usize| {
                u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
            };
            let (name, behind) = behind.split_at_checked(length(1) as usize)?;
            let (value, behind) = behind.split_at_checked(length(5) as usize)?;
            rest = behind;
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
            Some((head[0] == 1, text(name), text(value)))
        })
    }

    /// The labels as name and value, of the stream or of the coarse stream.
    pub(crate) fn labels(&self, coarse: bool) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.all_labels()
            .filter(move |label| label.0 || !coarse)
            .map(|(_, name, value)| (name, value))
    }

    /// The metadata, with the labels that a coarse stream does not have.
    pub(crate) fn pairs(&self, coarse: bool) -> impl Iterator<Item = (&str, &str)> + Clone {
        let demoted = self.all_labels().filter(move |l| coarse && !l.0);
        let demoted = demoted.map(|(_, name, value)| (name, value));
        demoted.chain(wire::pairs(&self.pairs))
    }

    /// The encoded metadata with the bytes that Loki counts, when all of it is within the limits.
    pub(crate) fn encoded_pairs(&self, limits: &Limits) -> Option<(&[u8], usize)> {
        let fits =
            self.pair_count <= limits.metadata_pairs && self.pair_bytes <= limits.metadata_bytes;
        fits.then_some((&*self.pairs, self.pair_bytes))
    }
}
