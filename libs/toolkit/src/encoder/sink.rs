//! Where an exposition goes: into memory, or through gzip in pieces that stay in the processor's cache.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes that wait for compression at most, and some: pieces are cut between samples.
const PIECE: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Sink {
    /// What was written and not yet compressed.
    pub(super) bytes: Vec<u8>,
    packed: Option<GzEncoder<Vec<u8>>>,
}

impl Sink {
    pub(super) fn plain(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            packed: None,
        }
    }

    pub(super) fn gzip(packed: Vec<u8>) -> Self {
        Self {
            bytes: Vec::with_capacity(PIECE + PIECE / 4),
            packed: Some(GzEncoder::new(packed, Compression::fast())),
        }
    }

    /// Compresses what was written when there is enough of it.
    #[inline]
    pub(super) fn spill(&mut self) {
        if self.bytes.len() >= PIECE && self.packed.is_some() {
            self.pack();
        }
    }

    fn pack(&mut self) {
        if let Some(packed) = &mut self.packed {
            // Writing into memory cannot fail.
            let _ = packed.write_all(&self.bytes);
            self.bytes.clear();
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.pack();
        match self.packed {
            Some(packed) => packed.finish().unwrap_or_default(),
            None => self.bytes,
        }
    }
}
