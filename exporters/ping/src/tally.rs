//! The counters of one target: written by the engine's thread alone, read whole by any other.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::reason::Reason;

/// Upper bounds of the round-trip buckets in nanoseconds: 50 µs, each twice the one before, up to 26.2 s.
pub const BOUNDS_NANOS: [u64; 20] = {
    let mut bounds = [0; 20];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = 50_000 << at;
        at += 1;
    }
    bounds
};

/// What is known of whether the target answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Neither has it answered nor have enough requests failed.
    #[default]
    Unknown,
    /// The last requests that ended failed, as many in a row as the configuration asks for.
    Down,
    /// It answered, and since then fewer failed in a row.
    Up,
}

/// The counters of one target at one moment. Always:
/// `requests = responses + lost + sum(errors) + in_flight`, and `sum(buckets) = responses`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests made, also those this host refused to send.
    pub requests: u64,
    /// Requests answered within the timeout.
    pub responses: u64,
    /// Requests without an answer when the timeout ended.
    pub lost: u64,
    /// Requests that wait for their answer.
    pub in_flight: u64,
    /// Requests that failed with a reason, by [`Reason::index`].
    pub errors: [u64; Reason::ALL.len()],
    /// First answers to requests that had been counted as lost or failed.
    pub late: u64,
    /// Further answers to answered requests.
    pub duplicates: u64,
    /// Answers whose content or length is not what was sent.
    pub corrupt: u64,
    /// Answers that came after the answer to a later request (RFC 4737).
    pub reordered: u64,
    /// Hop limit of the last answer as it arrived; 0 before the first.
    pub hop_limit: u64,
    /// How often it was another than that of the answer before.
    pub hop_limit_changes: u64,
    /// Round trips of [`responses`](Self::responses): per bound of [`BOUNDS_NANOS`], and one for what is above.
    pub buckets: [u64; BOUNDS_NANOS.len() + 1],
    /// Sum of these round trips in nanoseconds.
    pub sum_nanos: u64,
    /// The round trip of the last of them in nanoseconds; meaningless before the first.
    pub last_nanos: u64,
    /// Requests that ended without an answer since the newest answered one.
    pub failures: u64,
    /// Whether the target answers.
    pub state: State,
}

const FIXED: usize = 14;
const ERRORS: usize = Reason::ALL.len();
const CELLS: usize = FIXED + ERRORS + BOUNDS_NANOS.len() + 1;

impl Counters {
    fn to_cells(self) -> [u64; CELLS] {
        let mut cells = [0; CELLS];
        cells[..FIXED].copy_from_slice(&[
            self.requests,
            self.responses,
            self.lost,
            self.in_flight,
            self.late,
            self.duplicates,
            self.corrupt,
            self.sum_nanos,
            self.last_nanos,
            self.state as u64,
            self.reordered,
            self.hop_limit,
            self.hop_limit_changes,
            self.failures,
        ]);
        cells[FIXED..FIXED + ERRORS].copy_from_slice(&self.errors);
        cells[FIXED + ERRORS..].copy_from_slice(&self.buckets);
        cells
    }

    fn from_cells(cells: &[u64; CELLS]) -> Self {
        let mut counters = Self {
            requests: cells[0],
            responses: cells[1],
            lost: cells[2],
            in_flight: cells[3],
            late: cells[4],
            duplicates: cells[5],
            corrupt: cells[6],
            sum_nanos: cells[7],
            last_nanos: cells[8],
            state: match cells[9] {
                1 => State::Down,
                2 => State::Up,
                _ => State::Unknown,
            },
            reordered: cells[10],
            hop_limit: cells[11],
            hop_limit_changes: cells[12],
            failures: cells[13],
            ..Self::default()
        };
        counters
            .errors
            .copy_from_slice(&cells[FIXED..FIXED + ERRORS]);
        counters.buckets.copy_from_slice(&cells[FIXED + ERRORS..]);
        counters
    }

    /// Counts one answered request by its round trip.
    pub fn observe(&mut self, round_trip_nanos: u64) {
        let bucket = BOUNDS_NANOS.partition_point(|&bound| bound < round_trip_nanos);
        self.buckets[bucket] += 1;
        self.responses += 1;
        self.sum_nanos = self.sum_nanos.saturating_add(round_trip_nanos);
        self.last_nanos = round_trip_nanos;
    }
}

/// Shared [`Counters`] with one writer and no lock: a reader that meets a write reads again (a sequence lock). The
/// writer never waits, whatever the readers do.
#[derive(Debug)]
pub struct Tally {
    version: AtomicU64,
    cells: [AtomicU64; CELLS],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            version: AtomicU64::new(0),
            cells: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Tally {
    /// Makes `counters` what readers see. Only one thread may write.
    pub fn publish(&self, counters: &Counters) {
        let version = self.version.load(Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (cell, value) in self.cells.iter().zip(counters.to_cells()) {
            cell.store(value, Ordering::Relaxed);
        }
        self.version
            .store(version.wrapping_add(2), Ordering::Release);
    }

    /// The counters as they were between two writes. A write is a few dozen stores, so this ends soon.
    pub fn read(&self) -> Counters {
        loop {
            let before = self.version.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let cells = std::array::from_fn(|at| self.cells[at].load(Ordering::Relaxed));
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == before {
                    return Counters::from_cells(&cells);
                }
            }
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn buckets_hold_their_upper_bound() {
        for (round_trip, bucket) in [
            (0, 0),
            (50_000, 0),
            (50_001, 1),
            (100_000, 1),
            (u64::MAX, 20),
        ] {
            let mut counters = Counters::default();
            counters.observe(round_trip);
            assert_eq!(counters.buckets[bucket], 1, "{round_trip}");
        }
        assert_eq!(BOUNDS_NANOS[19], 26_214_400_000);
    }

    #[test]
    fn what_is_published_is_read() {
        // Every cell another number, so that none can be left out or exchanged.
        let mut cells: [u64; CELLS] = std::array::from_fn(|at| 100 + at as u64);
        cells[9] = State::Up as u64;
        let counters = Counters::from_cells(&cells);
        assert_eq!(counters.to_cells(), cells);
        let tally = Tally::default();
        assert_eq!(tally.read(), Counters::default());
        tally.publish(&counters);
        assert_eq!(tally.read(), counters);
    }

    #[test]
    fn readers_never_see_half_a_write() {
        let tally = Arc::new(Tally::default());
        let done = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let (tally, done) = (tally.clone(), done.clone());
            move || {
                while !done.load(Ordering::Relaxed) {
                    let seen = tally.read();
                    assert_eq!(seen.requests, seen.buckets[20]);
                    assert_eq!(seen.requests, seen.in_flight);
                }
            }
        });
        for number in 0..200_000 {
            let mut counters = Counters {
                requests: number,
                in_flight: number,
                ..Default::default()
            };
            counters.buckets[20] = number;
            tally.publish(&counters);
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    }
}
