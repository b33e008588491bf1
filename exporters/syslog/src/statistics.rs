//! Delivery statistics: for each device, what was received and what became of it. They balance at every scrape:
//! received + recovered = dropped + delivered + queued + dead-lettered + evicted, for each destination.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::config::EVENTS_READER;
use crate::record::Transport;

mod records;

pub use records::AtDestination;

/// Why a message was not taken, or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Dropped {
    /// The queue was full.
    Full,
    /// The device had more than its share of a queue that was filling up.
    Share,
    /// The device sent more than its limit.
    Rate,
    /// The storage refused it.
    Storage,
}

impl Dropped {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Full, Self::Share, Self::Rate, Self::Storage];

    /// The label in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["queue_full", "share", "rate", "storage"][self as usize]
    }
}

/// Reasons for dead letters, as labels.
pub const DEAD_LETTER_REASONS: [&str; 9] = [
    "line_too_long",
    "invalid_labels",
    "too_far_behind",
    "too_old",
    "too_new",
    "out_of_order",
    "metadata",
    "too_large",
    "refused",
];

/// What became of a device's messages at one destination.
#[derive(Debug, Default)]
pub struct DestinationCounters {
    /// Stored there.
    pub delivered: AtomicU64,
    /// Waiting.
    pub queued: AtomicI64,
    /// Given up to make room, or for age.
    pub evicted: AtomicU64,
    /// In the dead-letter file, by [`DEAD_LETTER_REASONS`].
    pub dead_lettered: [AtomicU64; DEAD_LETTER_REASONS.len()],
}

/// What one receiver counted of one device and has not added yet.
#[derive(Debug, Default, Clone)]
pub struct Increments {
    received: [u64; 4],
    bytes: u64,
    truncated: u64,
    dropped: [u64; 4],
    queued: i64,
    last: u64,
}

impl Increments {
    /// Counts a received message.
    pub fn receive(&mut self, transport: Transport, bytes: usize, stamp: u64, truncated: bool) {
        self.received[transport as usize] += 1;
        self.bytes += bytes as u64;
        self.truncated += u64::from(truncated);
        self.last = self.last.max(stamp);
    }

    /// Counts a message that was not taken.
    pub fn drop_one(&mut self, why: Dropped) {
        self.dropped[why as usize] += 1;
    }

    /// Counts a message that waits for every destination.
    pub fn queue_one(&mut self) {
        self.queued += 1;
    }
}

fn add(count: &AtomicU64, more: u64) {
    if more > 0 {
        count.fetch_add(more, Relaxed);
    }
}

/// The counters of one device.
#[derive(Debug)]
pub struct DeviceCounters {
    /// The device's name; empty for all senders that the inventory does not know.
    pub device: String,
    /// Messages received, by transport.
    pub received: [AtomicU64; 4],
    /// Bytes received.
    pub bytes: AtomicU64,
    /// Messages found in the queue at the start.
    pub recovered: AtomicU64,
    /// Messages not taken, by [`Dropped`].
    pub dropped: [AtomicU64; 4],
    /// Messages that were cut.
    pub truncated: AtomicU64,
    /// Messages of which no header was recognised.
    pub raw: AtomicU64,
    /// Messages that no rule knows.
    pub unknown: AtomicU64,
    /// Messages by severity.
    pub severities: [AtomicU64; 8],
    /// Messages by event type.
    pub events: Mutex<BTreeMap<&'static str, u64>>,
    /// For each destination.
    pub destinations: Vec<DestinationCounters>,
    /// Nanoseconds since 1970 of the last message; 0: none yet.
    pub last: AtomicU64,
    /// The device's clock minus ours, milliseconds; `i64::MIN`: not known.
    pub skew: AtomicI64,
    /// The zone of a clock that names none, as its skew shows it.
    pub zone: Zone,
    /// Messages that the device counted and that did not arrive.
    pub path_lost: AtomicU64,
    /// The last count of the device; 0: none.
    pub sequence: AtomicU64,
    /// Messages that we gave up ourselves and that explained a gap in the device's count.
    explained: AtomicU64,
}

impl DeviceCounters {
    fn new(device: &str, destinations: usize) -> Self {
        Self {
            device: device.to_owned(),
            received: Default::default(),
            bytes: AtomicU64::new(0),
            recovered: AtomicU64::new(0),
            dropped: Default::default(),
            truncated: AtomicU64::new(0),
            raw: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            severities: Default::default(),
            events: Mutex::default(),
            destinations: (0..destinations)
                .map(|_| DestinationCounters::default())
                .collect(),
            last: AtomicU64::new(0),
            skew: AtomicI64::new(i64::MIN),
            zone: Zone::default(),
            path_lost: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            explained: AtomicU64::new(0),
        }
    }

    /// Adds what one receiver counted.
    pub fn add(&self, increments: &Increments) {
        for (count, more) in self.received.iter().zip(increments.received) {
            add(count, more);
        }
        for (count, more) in self.dropped.iter().zip(increments.dropped) {
            add(count, more);
        }
        add(&self.bytes, increments.bytes);
        add(&self.truncated, increments.truncated);
        self.last.fetch_max(increments.last, Relaxed);
        if increments.queued > 0 {
            for counts in &self.destinations {
                counts.queued.fetch_add(increments.queued, Relaxed);
            }
        }
    }

    /// Messages of the device that a reader will never see: not taken, or evicted.
    #[must_use]
    pub fn given_up(&self, reader: usize) -> u64 {
        let dropped: u64 = self.dropped.iter().map(|count| count.load(Relaxed)).sum();
        let evicted = self
            .destinations
            .get(reader)
            .map(|o| o.evicted.load(Relaxed));
        dropped + evicted.unwrap_or(0)
    }

    /// Follows the device's own count; a gap is what the path lost, but for what was given up here. A jump back or far
    /// ahead is a restart.
    pub fn follow(&self, sequence: u64, given_up: u64) {
        const FAR: u64 = 10_000;
        let last = self.sequence.swap(sequence, Relaxed);
        if last > 0 && sequence > last + 1 && sequence - last <= FAR {
            let gap = sequence - last - 1;
            let ours = gap.min(given_up.saturating_sub(self.explained.load(Relaxed)));
            self.explained.fetch_add(ours, Relaxed);
            self.path_lost.fetch_add(gap - ours, Relaxed);
        }
    }
}

/// What a device's skew says of its zone: a clock in local time is off by whole half hours.
#[derive(Debug, Default)]
pub struct Zone {
    offset: AtomicI64,
    candidate: AtomicI64,
    seen: AtomicU64,
}

impl Zone {
    /// Seconds east of the configured zone.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.offset.load(Relaxed)
    }

    /// Follows the skew in seconds that a clock without a zone shows when it is read in the configured zone; gives the
    /// offset to read it with. A new offset holds when several messages in a row agree.
    pub fn follow(&self, skew: i64) -> i64 {
        const STEP: i64 = 1_800;
        const NEAR: i64 = 120;
        const AGREE: u64 = 5;
        let nearest = (skew + STEP / 2).div_euclid(STEP) * STEP;
        let plain = (skew - nearest).abs() > NEAR || nearest.abs() > 14 * 3_600;
        let candidate = if plain { 0 } else { nearest };
        if self.candidate.swap(candidate, Relaxed) == candidate {
            if self.seen.fetch_add(1, Relaxed) + 1 >= AGREE {
                self.offset.store(candidate, Relaxed);
            }
        } else {
            self.seen.store(1, Relaxed);
        }
        self.offset()
    }
}

/// The counters of all devices.
#[derive(Debug)]
pub struct Statistics {
    /// The names of the destinations.
    pub destinations: Vec<String>,
    gate: RwLock<()>,
    devices: RwLock<HashMap<String, Arc<DeviceCounters>>>,
}

impl Statistics {
    /// Empty statistics for some destinations.
    #[must_use]
    pub fn new(destinations: Vec<String>) -> Self {
        Self {
            destinations,
            gate: RwLock::default(),
            devices: RwLock::default(),
        }
    }

    /// Held while a message is moved from one count to another.
    pub fn updating(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while the statistics are read as a whole.
    pub fn consistent(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters of a device; only devices of the inventory have one, all others share the one with an empty name.
    #[must_use]
    pub fn counters(&self, device: &str) -> Arc<DeviceCounters> {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = devices.get(device) {
            return counters.clone();
        }
        drop(devices);
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        devices
            .entry(device.to_owned())
            .or_insert_with(|| Arc::new(DeviceCounters::new(device, self.destinations.len())))
            .clone()
    }

    /// The reader that counts what messages say: the one that reads for nothing else, or the first.
    #[must_use]
    pub fn counting(&self) -> usize {
        let own = |name: &String| name == EVENTS_READER;
        self.destinations.iter().position(own).unwrap_or(0)
    }

    /// The counters of all devices in order of names.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<DeviceCounters>> {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = devices.values().cloned().collect();
        all.sort_by(|a, b| a.device.cmp(&b.device));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_devices_count_is_the_paths_but_for_what_was_given_up_here() {
        let statistics = Statistics::new(vec!["main".to_owned()]);
        let counters = statistics.counters("r1");
        let lost = |sequence| {
            counters.follow(sequence, counters.given_up(statistics.counting()));
            counters.path_lost.load(Relaxed)
        };
        assert_eq!(
            [lost(5), lost(6), lost(9), lost(9), lost(8)],
            [0, 0, 2, 2, 2]
        );
        // A restart, and a count that cannot be followed.
        assert_eq!(
            [lost(1), lost(2), lost(500_000), lost(500_001)],
            [2, 2, 2, 2]
        );
        let mut increments = Increments::default();
        (0..5).for_each(|_| increments.drop_one(Dropped::Full));
        counters.add(&increments);
        counters.destinations[0].evicted.fetch_add(2, Relaxed);
        assert_eq!([lost(500_006), lost(500_010), lost(500_012)], [2, 2, 3]);
    }

    #[test]
    fn a_clock_in_local_time_shows_its_zone_and_a_wrong_clock_does_not() {
        let zone = Zone::default();
        let mut offset = 0;
        for skew in [7_201, 7_198, 7_260, 7_199, 7_200] {
            assert_eq!(offset, 0);
            offset = zone.follow(skew);
        }
        assert_eq!(offset, 7_200);
        // One message that waited long does not change it; a change to summer time does.
        assert_eq!(zone.follow(7_200 - 900), 7_200);
        for _ in 0..5 {
            offset = zone.follow(10_800);
        }
        assert_eq!(offset, 10_800);
        let wrong = Zone::default();
        for _ in 0..20 {
            assert_eq!(wrong.follow(5_000), 0);
        }
        let india = Zone::default();
        for _ in 0..5 {
            offset = india.follow(19_770);
        }
        assert_eq!(offset, 19_800);
        let west = Zone::default();
        for _ in 0..5 {
            offset = west.follow(-12_610);
        }
        assert_eq!(offset, -12_600);
    }
}
