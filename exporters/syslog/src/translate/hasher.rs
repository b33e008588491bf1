//! A quick hash for keys that nobody outside can choose: the rules' own.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds [`Words`].
pub(super) type Quick = BuildHasherDefault<Words>;

/// Multiplies and folds eight bytes at a time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Words(u64);

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Words {
    fn add(&mut self, word: u64) {
        let mixed = u128::from(self.0 ^ word) * u128::from(ODD);
        self.0 = (mixed as u64) ^ (mixed >> 64) as u64;
    }
}

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        self.add(u64::from_le_bytes(word) ^ (bytes.len() as u64) << 56);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
