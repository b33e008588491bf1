//! Repetitions of text of which nothing is known.

use super::repetition::LEAST;
use super::slots::Slots;

/// Places that one is held against.
pub(super) const STEPS: usize = 16;

/// The places of a page that were noted.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Each with the number of the one before that begins alike; the first stands for none.
    places: Vec<(u32, u32)>,
    newest: Slots,
}

impl Search {
    /// Begins a page of so many octets.
    pub(super) fn begin(&mut self, len: usize) {
        self.places.clear();
        self.places.push((0, 0));
        self.newest.begin(2 * len + 2);
    }

    /// Notes a place; gives the number of the one before that is likely to begin alike.
    pub(super) fn note(&mut self, text: &[u8], at: usize) -> usize {
        let Some(&[one, two, three]) = text.get(at..).and_then(<[u8]>::first_chunk::<LEAST>) else {
            return 0;
        };
        let hash = u64::from(u32::from_le_bytes([one, two, three, 0]));
        let before = self.newest.replace(hash, self.places.len());
        self.places.push((at as u32, before as u32));
        before
    }

    /// Notes a place; gives those before that are likely to begin alike, at most so many, the nearest first.
    pub(super) fn places(
        &mut self,
        text: &[u8],
        at: usize,
        most: usize,
    ) -> impl Iterator<Item = usize> + '_ {
        let mut next = self.note(text, at);
        let step = move || {
            let (place, before) = *self.places.get(next).filter(|_| next > 0)?;
            next = before as usize;
            Some(place as usize)
        };
        std::iter::from_fn(step).take(most)
    }
}
