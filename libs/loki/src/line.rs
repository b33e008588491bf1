//! One log line with its labels and metadata, built in reused memory.

use std::ops::Range;

use crate::Limits;
use crate::wire;

/// A log line being built.
#[derive(Debug, Default)]
pub struct Line {
    /// The text. Anything but UTF-8 must be escaped before.
    pub text: String,
    arena: String,
    labels: Vec<Label>,
    /// The metadata as an entry of a push request carries it (field 3), so that it is copied whole.
    pairs: Vec<u8>,
    pair_count: usize,
    pair_bytes: usize,
}

#[derive(Debug)]
struct Label {
    name: Range<usize>,
    value: Range<usize>,
    essential: bool,
}

impl Line {
    /// Empties it.
    pub fn clear(&mut self) {
        self.text.clear();
        self.arena.clear();
        self.labels.clear();
        self.pairs.clear();
        self.pair_count = 0;
        self.pair_bytes = 0;
    }

    /// Adds a label of the stream. An empty value is no label. When the budget of streams is used up, a label
    /// that is not essential becomes metadata.
    pub fn label(&mut self, name: &str, value: &str, essential: bool) {
        if !value.is_empty() {
            let (name, value) = (self.keep(name), self.keep(value));
            self.labels.push(Label {
                name,
                value,
                essential,
            });
        }
    }

    /// Adds structured metadata. An empty value is left out.
    pub fn metadata(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            wire::pair(&mut self.pairs, name, value);
            self.pair_count += 1;
            self.pair_bytes += name.len() + value.len();
        }
    }

    fn keep(&mut self, text: &str) -> Range<usize> {
        let start = self.arena.len();
        self.arena.push_str(text);
        start..self.arena.len()
    }

    /// The labels as name and value, of the stream or of the coarse stream.
    pub(crate) fn labels(&self, coarse: bool) -> impl Iterator<Item = (&str, &str)> + Clone {
        let wanted = move |label: &&Label| label.essential || !coarse;
        self.labels
            .iter()
            .filter(wanted)
            .map(|l| (&self.arena[l.name.clone()], &self.arena[l.value.clone()]))
    }

    /// The metadata, with the labels that a coarse stream does not have.
    pub(crate) fn pairs(&self, coarse: bool) -> impl Iterator<Item = (&str, &str)> + Clone {
        let demoted = self.labels.iter().filter(move |l| coarse && !l.essential);
        let demoted = demoted.map(|l| (&self.arena[l.name.clone()], &self.arena[l.value.clone()]));
        demoted.chain(wire::pairs(&self.pairs))
    }

    /// The encoded metadata with the bytes that Loki counts, when all of it is within the limits.
    pub(crate) fn encoded_pairs(&self, limits: &Limits) -> Option<(&[u8], usize)> {
        let fits =
            self.pair_count <= limits.metadata_pairs && self.pair_bytes <= limits.metadata_bytes;
        fits.then_some((&*self.pairs, self.pair_bytes))
    }
}
