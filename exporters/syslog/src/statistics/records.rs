//! What becomes of records at one destination, booked for the devices that sent them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use loki::Records;
use spool::Record;

use super::{DEAD_LETTER_REASONS, DeviceCounters, Statistics};
use crate::record;

/// The statistics of one destination.
#[derive(Debug)]
pub struct AtDestination {
    /// All statistics.
    pub statistics: Arc<Statistics>,
    /// The place of the destination in them.
    pub index: usize,
}

impl Records for AtDestination {
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>) {
        let _updating = self.statistics.updating();
        let mut run: Option<(Arc<DeviceCounters>, u64)> = None;
        let count = |run: Option<(Arc<DeviceCounters>, u64)>| {
            if let Some((counters, count)) = run
                && let Some(counts) = counters.destinations.get(self.index)
            {
                counts.queued.fetch_sub(count.cast_signed(), Relaxed);
                counts.delivered.fetch_add(count, Relaxed);
            }
        };
        // Messages of one device often follow each other.
        for record in records {
            let device = record::device(record.payload);
            match &mut run {
                Some((counters, count)) if counters.device == device => *count += 1,
                _ => count(run.replace((self.statistics.counters(device), 1))),
            }
        }
        count(run);
    }

    fn dead_lettered(&self, record: &Record<'_>, reason: &str) {
        let _updating = self.statistics.updating();
        let counters = self.statistics.counters(record::device(record.payload));
        let at = DEAD_LETTER_REASONS
            .iter()
            .position(|p| *p == reason)
            .unwrap_or(DEAD_LETTER_REASONS.len() - 1);
        counters.destinations[self.index]
            .queued
            .fetch_sub(1, Relaxed);
        counters.destinations[self.index].dead_lettered[at].fetch_add(1, Relaxed);
    }
}
