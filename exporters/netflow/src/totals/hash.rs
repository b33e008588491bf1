//! The hash by which tables of counters find their keys: a multiplication for each eight octets, with numbers that nobody outside knows.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

/// What makes the hash of a table its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed(u64, u64);

impl Default for Seed {
    fn default() -> Self {
        let random = RandomState::default();
        Self(random.hash_one(0), random.hash_one(1) | 1)
    }
}

impl Seed {
    /// The hash of these numbers.
    #[inline]
    pub(super) fn of(self, words: impl IntoIterator<Item = u64>) -> u64 {
        words.into_iter().fold(self.0, |hash, word| {
            let product = u128::from(hash ^ word) * u128::from(self.1);
            product as u64 ^ (product >> 64) as u64
        })
    }
}
