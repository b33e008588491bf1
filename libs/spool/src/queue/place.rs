//! Where a reader stands.

use std::collections::VecDeque;

use crate::ack::AckFile;

/// A reader as the queue knows it.
pub(crate) struct ReaderState {
    pub(crate) name: String,
    pub(crate) ack: AckFile,
    /// First number that is not acknowledged.
    pub(crate) acked: u64,
    /// First number that was not read.
    pub(crate) taken: u64,
    /// The segment that is being read, by its first number.
    pub(crate) reading: Option<u64>,
    /// Number and stamp of the first record of each batch that is out.
    pub(crate) out: VecDeque<(u64, u64)>,
    /// Records at or above `acked` that were evicted or found damaged: disjoint ranges in order.
    pub(crate) missing: Vec<(u64, u64)>,
}

impl ReaderState {
    /// Notes that the records of a range will not be given; gives how many of them were not known to be missing.
    pub(crate) fn miss(&mut self, from: u64, to: u64) -> u64 {
        let mut merged = (from.max(self.acked), to);
        if merged.0 >= merged.1 {
            return 0;
        }
        let mut known = 0;
        self.missing.retain(|&(a, b)| {
            let apart = b < merged.0 || a > merged.1;
            if !apart {
                known += b.min(to).saturating_sub(a.max(from));
                merged = (merged.0.min(a), merged.1.max(b));
            }
            apart
        });
        let at = self.missing.partition_point(|range| range.0 < merged.0);
        self.missing.insert(at, merged);
        to - from.max(self.acked) - known
    }
}
