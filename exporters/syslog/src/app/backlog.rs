//! What an earlier process left in the queue, by device.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Context as _;
use spool::{Batch, Queue};

use crate::handover::sockets::Backlog;
use crate::record;
use crate::statistics::Statistics;

/// Restores what the process before this one said of the queue; false when the queue says otherwise.
pub(super) fn given(given: Backlog, queued: &[u64], statistics: &Statistics) -> bool {
    let width = statistics.destinations.len();
    let total = |at: usize| {
        given
            .values()
            .filter_map(|counts| counts.get(at))
            .sum::<u64>()
    };
    let agrees = queued.len() == width
        && given.values().all(|counts| counts.len() == width)
        && (0..width).all(|at| total(at) == queued[at]);
    if agrees {
        for (device, counts) in given {
            restore(statistics, &device, &counts);
        }
    }
    agrees
}

fn restore(statistics: &Statistics, device: &str, counts: &[u64]) {
    let counters = statistics.counters(device);
    let most = counts.iter().copied().max().unwrap_or(0);
    counters.recovered.store(most, Relaxed);
    for (counts, count) in counters.destinations.iter().zip(counts) {
        counts.queued.store(count.cast_signed(), Relaxed);
        // What another destination had already stored in the earlier run is delivered there.
        counts.delivered.store(most - count, Relaxed);
    }
}

/// Counts what is in the queue by reading it.
pub(super) fn count(queue: &Queue, statistics: &Statistics) -> anyhow::Result<()> {
    let width = statistics.destinations.len();
    let mut all = Backlog::new();
    let mut batch = Batch::default();
    for (at, name) in statistics.destinations.iter().enumerate() {
        let mut counts: HashMap<String, u64> = HashMap::new();
        let mut reader = queue.reader(name)?;
        loop {
            reader
                .read(&mut batch, 4 << 20, 100_000)
                .context("reading the queue")?;
            if batch.is_empty() {
                break;
            }
            for record in batch.iter() {
                let device = record::device(record.payload);
                match counts.get_mut(device) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(device.to_owned(), 1);
                    }
                }
            }
        }
        for (device, count) in counts {
            let entry = all.entry(device).or_insert_with(|| vec![0; width]);
            entry[at] = count;
        }
    }
    for (device, counts) in &all {
        restore(statistics, device, counts);
    }
    Ok(())
}
