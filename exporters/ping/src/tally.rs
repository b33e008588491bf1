//! The counters of one target: written by the engine's thread alone, read whole by any other.

use std::sync::OnceLock;
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

/// Upper bounds of the buckets of the delay variation in nanoseconds: 50 µs, each four times the one before, up to
/// 0.8 s.
pub const VARIATION_NANOS: [u64; 8] = {
    let mut bounds = [0; 8];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = 50_000 << (2 * at);
        at += 1;
    }
    bounds
};

/// Upper bounds of the buckets of the loss bursts, in requests.
pub const BURST_REQUESTS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Resolution of the native histogram of round trips: eight buckets from one power of two to the next.
pub const NATIVE_SCHEMA: i32 = 3;
const NATIVE_PER_OCTAVE: usize = 1 << NATIVE_SCHEMA;
/// Powers of two, in seconds, that the native buckets begin and end at: 7.6 µs and 64 s. What is below is in the zero bucket, what is above
/// in the last one.
const NATIVE_OCTAVES: std::ops::Range<i32> = -17..6;
const OCTAVES: usize = (NATIVE_OCTAVES.end - NATIVE_OCTAVES.start) as usize;

/// Width of the zero bucket of the native histogram in seconds.
pub fn native_zero_threshold() -> f64 {
    f64::from(NATIVE_OCTAVES.start).exp2()
}

/// Where a round trip stands in the native histogram: 0 for the zero bucket, then the buckets in order.
fn native_place(nanos: u64) -> u16 {
    let per_octave = NATIVE_PER_OCTAVE as f64;
    let index = ((nanos as f64 / 1e9).log2() * per_octave).ceil();
    let first = f64::from(NATIVE_OCTAVES.start) * per_octave;
    (index - first).clamp(0.0, (OCTAVES * NATIVE_PER_OCTAVE) as f64) as u16
}

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
    /// Differences between the round trips of neighbouring answered requests (RFC 3393 over the way there and back):
    /// per bound of [`VARIATION_NANOS`], and one for what is above.
    pub variation: [u64; VARIATION_NANOS.len() + 1],
    /// Sum of these differences in nanoseconds.
    pub variation_sum_nanos: u64,
    /// Runs of requests without an answer between two answered ones, by their length: per bound of
    /// [`BURST_REQUESTS`], and one for what is above.
    pub bursts: [u64; BURST_REQUESTS.len() + 1],
    /// Requests in these runs.
    pub burst_requests: u64,
    /// DSCP of the last answer and one; 0 before the first.
    pub reply_dscp: u64,
    /// How often it was another than that of the answer before.
    pub reply_dscp_changes: u64,
    /// Type (upper eight bits) and code of the last ICMP error that ended a request, and one; 0 before the first.
    pub icmp_error: u64,
    /// Smoothed round trip in nanoseconds: each new one counts for a sixteenth.
    pub smooth_rtt_nanos: u64,
    /// Smoothed delay variation in nanoseconds, as RFC 3550 section 6.4.1 does it.
    pub smooth_variation_nanos: u64,
    /// Smoothed part of the requests without an answer, in parts of 2³²: each new one counts for a 64th.
    pub smooth_loss: u64,
    /// Requests that ended without an answer since the newest answered one.
    pub failures: u64,
    /// Whether the target answers.
    pub state: State,
}

const FIXED: usize = 22;
const ERRORS: usize = Reason::ALL.len();
const CELLS: usize = BURSTS + BURST_REQUESTS.len() + 1;
const BUCKETS: usize = FIXED + ERRORS;
const VARIATION: usize = BUCKETS + BOUNDS_NANOS.len() + 1;
const BURSTS: usize = VARIATION + VARIATION_NANOS.len() + 1;

impl Counters {
    fn to_fixed(self) -> [u64; FIXED] {
        [
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
            self.variation_sum_nanos,
            self.burst_requests,
            self.reply_dscp,
            self.reply_dscp_changes,
            self.icmp_error,
            self.smooth_rtt_nanos,
            self.smooth_variation_nanos,
            self.smooth_loss,
        ]
    }

    fn to_cells(self) -> [u64; CELLS] {
        let mut cells = [0; CELLS];
        cells[..FIXED].copy_from_slice(&self.to_fixed());
        cells[FIXED..BUCKETS].copy_from_slice(&self.errors);
        cells[BUCKETS..VARIATION].copy_from_slice(&self.buckets);
        cells[VARIATION..BURSTS].copy_from_slice(&self.variation);
        cells[BURSTS..].copy_from_slice(&self.bursts);
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
            variation_sum_nanos: cells[14],
            burst_requests: cells[15],
            reply_dscp: cells[16],
            reply_dscp_changes: cells[17],
            icmp_error: cells[18],
            smooth_rtt_nanos: cells[19],
            smooth_variation_nanos: cells[20],
            smooth_loss: cells[21],
            ..Self::default()
        };
        counters.errors.copy_from_slice(&cells[FIXED..BUCKETS]);
        counters.buckets.copy_from_slice(&cells[BUCKETS..VARIATION]);
        counters
            .variation
            .copy_from_slice(&cells[VARIATION..BURSTS]);
        counters.bursts.copy_from_slice(&cells[BURSTS..]);
        counters
    }

    /// Requests that failed with a reason, whichever it was.
    pub fn failed_requests(&self) -> u64 {
        self.errors.iter().sum()
    }

    /// Counts one answered request by its round trip.
    pub fn observe(&mut self, round_trip_nanos: u64, touched: &mut Touched) {
        let bucket = BOUNDS_NANOS.partition_point(|&bound| bound < round_trip_nanos);
        self.buckets[bucket] += 1;
        touched.cell(BUCKETS + bucket);
        touched.native.push(native_place(round_trip_nanos));
        self.responses += 1;
        self.sum_nanos = self.sum_nanos.saturating_add(round_trip_nanos);
        self.last_nanos = round_trip_nanos;
        self.smooth_rtt_nanos = match self.responses {
            1 => round_trip_nanos,
            _ => smoothed(self.smooth_rtt_nanos, round_trip_nanos, 16),
        };
    }

    /// Counts the difference between the round trips of two neighbouring requests.
    pub fn vary(&mut self, nanos: u64, touched: &mut Touched) {
        let bucket = VARIATION_NANOS.partition_point(|&bound| bound < nanos);
        self.variation[bucket] += 1;
        touched.cell(VARIATION + bucket);
        self.variation_sum_nanos = self.variation_sum_nanos.saturating_add(nanos);
        self.smooth_variation_nanos = smoothed(self.smooth_variation_nanos, nanos, 16);
    }

    /// Counts a run of `length` requests without an answer that has ended.
    pub fn burst(&mut self, length: u64, touched: &mut Touched) {
        let bucket = BURST_REQUESTS.partition_point(|&bound| bound < length);
        self.bursts[bucket] += 1;
        touched.cell(BURSTS + bucket);
        self.burst_requests += length;
    }

    /// Counts a request that failed with a reason.
    pub fn failed(&mut self, reason: Reason, touched: &mut Touched) {
        self.errors[reason.index()] += 1;
        touched.cell(FIXED + reason.index());
    }

    /// Takes the end of a request, in the order of the requests, into the smoothed loss.
    pub fn ended(&mut self, answered: bool) {
        let value = if answered { 0 } else { 1 << 32 };
        self.smooth_loss = smoothed(self.smooth_loss, value, 64);
    }
}

fn smoothed(old: u64, new: u64, share: u64) -> u64 {
    old - old / share + new / share
}

/// Which of many counters have changed since they were published last.
#[derive(Debug, Default)]
pub struct Touched {
    cells: Vec<u8>,
    native: Vec<u16>,
}

impl Touched {
    fn cell(&mut self, cell: usize) {
        const { assert!(CELLS <= u8::MAX as usize) };
        self.cells.push(cell as u8);
    }
}

/// One power of two of the native histogram.
type Octave = Box<[AtomicU64; NATIVE_PER_OCTAVE]>;

/// Shared [`Counters`] with one writer and no lock: a reader that meets a write reads again (a sequence lock). The
/// writer never waits, whatever the readers do.
#[derive(Debug)]
pub struct Tally {
    version: AtomicU64,
    cells: [AtomicU64; CELLS],
    native_zero: AtomicU64,
    /// There is memory for those alone that a round trip fell into: a target has few of them.
    native: [OnceLock<Octave>; OCTAVES],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            version: AtomicU64::new(0),
            cells: std::array::from_fn(|_| AtomicU64::new(0)),
            native_zero: AtomicU64::new(0),
            native: std::array::from_fn(|_| OnceLock::new()),
        }
    }
}

impl Tally {
    /// Makes `counters` what readers see. Only one thread may write.
    pub fn publish(&self, counters: &Counters) {
        self.write(|| {
            for (cell, value) in self.cells.iter().zip(counters.to_cells()) {
                cell.store(value, Ordering::Relaxed);
            }
        });
    }

    /// Makes `counters` what readers see when nothing but single numbers and what is in `touched`, which is emptied, has changed since
    /// the last time. It writes to a third of the memory.
    pub fn publish_touched(&self, counters: &Counters, touched: &mut Touched) {
        self.write(|| {
            for (cell, value) in self.cells.iter().zip(counters.to_fixed()) {
                cell.store(value, Ordering::Relaxed);
            }
            for cell in touched.cells.drain(..).map(usize::from) {
                let value = match cell {
                    BURSTS.. => counters.bursts[cell - BURSTS],
                    VARIATION.. => counters.variation[cell - VARIATION],
                    BUCKETS.. => counters.buckets[cell - BUCKETS],
                    _ => counters.errors[cell - FIXED],
                };
                self.cells[cell].store(value, Ordering::Relaxed);
            }
            for place in touched.native.drain(..).map(usize::from) {
                let cell = match place.checked_sub(1) {
                    None => &self.native_zero,
                    Some(at) => {
                        let octave =
                            self.native[at / NATIVE_PER_OCTAVE].get_or_init(Octave::default);
                        &octave[at % NATIVE_PER_OCTAVE]
                    }
                };
                cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
        });
    }

    fn write(&self, stores: impl FnOnce()) {
        let version = self.version.load(Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        stores();
        self.version
            .store(version.wrapping_add(2), Ordering::Release);
    }

    /// The counters as they were between two writes. A write is a few dozen stores, so this ends soon.
    pub fn read(&self) -> Counters {
        self.read_with(|| ()).0
    }

    /// The same with the native histogram of the round trips: the zero bucket, and the buckets by index with their counts.
    pub fn read_native(&self) -> (Counters, u64, Vec<(i32, u64)>) {
        let (counters, (zero, buckets)) = self.read_with(|| {
            let mut buckets = Vec::new();
            for (octave, power) in self.native.iter().zip(NATIVE_OCTAVES) {
                for (cell, at) in octave
                    .get()
                    .into_iter()
                    .flat_map(|cells| cells.iter())
                    .zip(1..)
                {
                    let count = cell.load(Ordering::Relaxed);
                    if count > 0 {
                        buckets.push((power * NATIVE_PER_OCTAVE as i32 + at, count));
                    }
                }
            }
            (self.native_zero.load(Ordering::Relaxed), buckets)
        });
        (counters, zero, buckets)
    }

    fn read_with<T>(&self, more: impl Fn() -> T) -> (Counters, T) {
        loop {
            let before = self.version.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let cells = std::array::from_fn(|at| self.cells[at].load(Ordering::Relaxed));
                let more = more();
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == before {
                    return (Counters::from_cells(&cells), more);
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
            counters.observe(round_trip, &mut Touched::default());
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
    fn what_was_touched_is_published_as_if_all_was() {
        let (tally, mut touched) = (Tally::default(), Touched::default());
        let mut counters = Counters::default();
        for step in 0..400_u64 {
            counters.requests += 1;
            match step % 4 {
                0 => counters.observe(1 << (step / 10), &mut touched),
                1 => counters.vary(1 << (step / 10), &mut touched),
                2 => counters.burst(step, &mut touched),
                _ => counters.failed(Reason::ALL[step as usize % Reason::ALL.len()], &mut touched),
            }
            if step % 3 == 0 {
                tally.publish_touched(&counters, &mut touched);
                assert_eq!(tally.read(), counters);
                let (seen, zero, native) = tally.read_native();
                let count = zero + native.iter().map(|(_, count)| count).sum::<u64>();
                assert_eq!((seen.responses, seen), (count, counters));
            }
        }
    }

    #[test]
    fn native_buckets_are_those_of_their_schema() {
        let bound = |index: i32| (f64::from(index) / f64::from(1 << NATIVE_SCHEMA)).exp2();
        for nanos in [
            7_000,
            8_000,
            50_000,
            1_000_000,
            999_999_999,
            1_000_000_001,
            63_000_000_000,
        ] {
            let (tally, mut touched) = (Tally::default(), Touched::default());
            let mut counters = Counters::default();
            counters.observe(nanos, &mut touched);
            tally.publish_touched(&counters, &mut touched);
            let (_, zero, native) = tally.read_native();
            let seconds = nanos as f64 / 1e9;
            if seconds <= native_zero_threshold() {
                assert_eq!((zero, native.len()), (1, 0));
                continue;
            }
            let [(index, 1)] = native[..] else {
                panic!("{nanos}: {native:?}");
            };
            assert!(
                bound(index - 1) < seconds && seconds <= bound(index),
                "{nanos}: {index}"
            );
        }
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
