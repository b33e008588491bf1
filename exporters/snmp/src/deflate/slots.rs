//! Numbers by hash.

/// How many there are, as a power of two.
const BITS: u32 = 13;
/// An odd number whose bits have no pattern: that of the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The last number of each hash, forgotten from page to page without being cleared.
#[derive(Debug, Default)]
pub(super) struct Slots {
    numbers: Vec<u32>,
    /// What stands for 0 in this page; smaller ones are of pages before.
    base: u32,
    /// Where the base of the next page begins.
    next: u32,
}

impl Slots {
    /// Forgets all; numbers to come are at most `most`.
    pub(super) fn begin(&mut self, most: usize) {
        let after = |base: u32| base.checked_add(u32::try_from(most).ok()?.checked_add(1)?);
        match after(self.next) {
            Some(next) if !self.numbers.is_empty() => (self.base, self.next) = (self.next, next),
            _ => {
                self.numbers.clear();
                self.numbers.resize(1 << BITS, 0);
                (self.base, self.next) = (0, after(0).unwrap_or(u32::MAX));
            }
        }
    }

    /// Puts a number above 0 in the place of the one before, which is given; 0 where there is none.
    pub(super) fn replace(&mut self, hash: u64, number: usize) -> usize {
        let slot = &mut self.numbers[(hash.wrapping_mul(ODD) >> (u64::BITS - BITS)) as usize];
        let before = slot.saturating_sub(self.base);
        *slot = self
            .base
            .saturating_add(u32::try_from(number).unwrap_or(u32::MAX));
        before as usize
    }
}

/// A hash of octets; [`Slots`] spread it.
pub(super) fn hash(text: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(ODD);
        mixed ^ (mixed >> 32)
    };
    let mut words = text.chunks_exact(8);
    let mut hash = text.len() as u64;
    for octets in &mut words {
        hash = mix(hash, super::repetition::word(octets, 0).unwrap_or(0));
    }
    let mut rest = [0; 8];
    rest[..words.remainder().len()].copy_from_slice(words.remainder());
    mix(hash, u64::from_le_bytes(rest))
}
