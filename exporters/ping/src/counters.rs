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
fn native_place(nanos: u64) -> u8 {
    let per_octave = NATIVE_PER_OCTAVE as f64;
    let index = ((nanos as f64 / 1e9).log2() * per_octave).ceil();
    let first = f64::from(NATIVE_OCTAVES.start) * per_octave;
    (index - first).clamp(0.0, (OCTAVES * NATIVE_PER_OCTAVE) as f64) as u8
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
    /// The last requests, as many in a row, never left this host: nothing is known of the target.
    Unasked,
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
    /// Answers that came from another address than was asked.
    pub elsewhere: u64,
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

/// The counters that nearly every request changes, each a word of its own.
#[derive(Debug, Clone, Copy)]
enum Word {
    Requests,
    Responses,
    Lost,
    InFlight,
    SumNanos,
    LastNanos,
    VariationSumNanos,
    SmoothRtt,
    SmoothVariation,
    SmoothLoss,
    /// [`Marks`].
    Marks,
}

const WORDS: usize = Word::Marks as usize + 1;

/// The small numbers that share a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Marks {
    state: State,
    hop_limit: u8,
    /// DSCP of the last answer and one.
    dscp: u8,
    /// Requests in a row that never left this host.
    unasked: u8,
    failures: u32,
}

impl Marks {
    fn to_word(self) -> u64 {
        self.state as u64
            | u64::from(self.hop_limit) << 8
            | u64::from(self.dscp) << 16
            | u64::from(self.unasked) << 24
            | u64::from(self.failures) << 32
    }

    fn from_word(word: u64) -> Self {
        let [state, hop_limit, dscp, unasked, ..] = word.to_le_bytes();
        Self {
            state: match state {
                1 => State::Down,
                2 => State::Up,
                3 => State::Unasked,
                _ => State::Unknown,
            },
            hop_limit,
            dscp,
            unasked,
            failures: (word >> 32) as u32,
        }
    }
}

/// Counters that most targets have not, or have few of, are kept by key: the buckets of the histograms, the reasons, and these.
mod key {
    use super::{
        BOUNDS_NANOS, BURST_REQUESTS, NATIVE_PER_OCTAVE, OCTAVES, Reason, VARIATION_NANOS,
    };

    pub(super) const LATE: u8 = 0;
    pub(super) const DUPLICATES: u8 = 1;
    pub(super) const CORRUPT: u8 = 2;
    pub(super) const REORDERED: u8 = 3;
    pub(super) const HOP_LIMIT_CHANGES: u8 = 4;
    pub(super) const DSCP_CHANGES: u8 = 5;
    pub(super) const BURST_REQUESTS_SUM: u8 = 6;
    pub(super) const ICMP_ERROR: u8 = 7;
    pub(super) const ELSEWHERE: u8 = 8;
    pub(super) const ERRORS: u8 = 9;
    pub(super) const BUCKETS: u8 = ERRORS + Reason::ALL.len() as u8;
    pub(super) const VARIATION: u8 = BUCKETS + BOUNDS_NANOS.len() as u8 + 1;
    pub(super) const BURSTS: u8 = VARIATION + VARIATION_NANOS.len() as u8 + 1;
    /// The zero bucket of the native histogram, then the others.
    pub(super) const NATIVE: u8 = BURSTS + BURST_REQUESTS.len() as u8 + 1;
    const _: () = assert!(NATIVE as usize + OCTAVES * NATIVE_PER_OCTAVE <= u8::MAX as usize);
}

fn smoothed(old: u64, new: u64, share: u64) -> u64 {
    old - old / share + new / share
}

/// A counter by key: the key in the upper eight bits, the count, never 0, in the others. 0 is room for one.
#[derive(Debug, Default)]
struct Slot(AtomicU64);

impl Slot {
    const COUNT_BITS: u32 = 56;

    fn get(&self) -> Option<(u8, u64)> {
        let word = self.0.load(Ordering::Relaxed);
        (word != 0).then_some((
            (word >> Self::COUNT_BITS) as u8,
            word & ((1 << Self::COUNT_BITS) - 1),
        ))
    }

    fn set(&self, key: u8, count: u64) {
        let word = u64::from(key) << Self::COUNT_BITS | count;
        self.0.store(word, Ordering::Relaxed);
    }
}

/// Further counters by key: two lines of a processor's cache.
#[derive(Debug, Default)]
struct More {
    slots: [Slot; 12],
    next: OnceLock<Box<More>>,
}

/// Shared [`Counters`] with one writer and no lock: a reader that meets a write reads again (a sequence lock). The
/// writer never waits, whatever the readers do. It takes 184 bytes, and 112 for each twelve further buckets, reasons or rare events
/// that have a count: a few for most targets, 2.3 kB for one that had all of them.
#[derive(Debug, Default)]
pub struct SharedCounters {
    version: AtomicU64,
    words: [AtomicU64; WORDS],
    slots: [Slot; 9],
    more: OnceLock<Box<More>>,
}

/// A change of a [`SharedCounters`] under way.
#[derive(Debug)]
pub struct Writer<'a>(&'a SharedCounters);

impl Writer<'_> {
    fn get(&self, word: Word) -> u64 {
        self.0.words[word as usize].load(Ordering::Relaxed)
    }

    fn set(&self, word: Word, value: u64) {
        self.0.words[word as usize].store(value, Ordering::Relaxed);
    }

    fn add(&self, word: Word, value: u64) {
        self.set(word, self.get(word).saturating_add(value));
    }

    fn count(&self, key: u8, by: u64) {
        let slot = self.0.slot(key);
        let count = slot.get().map_or(0, |(_, count)| count);
        slot.set(key, count + by);
    }

    fn marks(&self, change: impl FnOnce(&mut Marks)) {
        let mut marks = Marks::from_word(self.get(Word::Marks));
        change(&mut marks);
        self.set(Word::Marks, marks.to_word());
    }

    /// A request was made.
    pub fn made(&mut self) {
        self.add(Word::Requests, 1);
        self.add(Word::InFlight, 1);
    }

    /// A request in flight was answered with this round trip.
    pub fn answered(&mut self, round_trip_nanos: u64) {
        self.ended_flight();
        let first = self.get(Word::Responses) == 0;
        self.add(Word::Responses, 1);
        self.add(Word::SumNanos, round_trip_nanos);
        self.set(Word::LastNanos, round_trip_nanos);
        let smooth = match first {
            true => round_trip_nanos,
            false => smoothed(self.get(Word::SmoothRtt), round_trip_nanos, 16),
        };
        self.set(Word::SmoothRtt, smooth);
        let bucket = BOUNDS_NANOS.partition_point(|&bound| bound < round_trip_nanos);
        self.count(key::BUCKETS + bucket as u8, 1);
        self.count(key::NATIVE + native_place(round_trip_nanos), 1);
    }

    /// A request in flight has timed out.
    pub fn lost(&mut self) {
        self.ended_flight();
        self.add(Word::Lost, 1);
    }

    /// A request in flight has failed with a reason.
    pub fn failed(&mut self, reason: Reason) {
        self.ended_flight();
        self.count(key::ERRORS + reason.index() as u8, 1);
    }

    fn ended_flight(&self) {
        self.set(Word::InFlight, self.get(Word::InFlight).saturating_sub(1));
    }

    /// The round trips of two neighbouring requests differ by this.
    pub fn varied(&mut self, nanos: u64) {
        let bucket = VARIATION_NANOS.partition_point(|&bound| bound < nanos);
        self.count(key::VARIATION + bucket as u8, 1);
        self.add(Word::VariationSumNanos, nanos);
        let smooth = smoothed(self.get(Word::SmoothVariation), nanos, 16);
        self.set(Word::SmoothVariation, smooth);
    }

    /// A run of `length` requests without an answer has ended.
    pub fn burst(&mut self, length: u64) {
        let bucket = BURST_REQUESTS.partition_point(|&bound| bound < length);
        self.count(key::BURSTS + bucket as u8, 1);
        self.count(key::BURST_REQUESTS_SUM, length);
    }

    /// A request has ended, in the order of the requests.
    pub fn concluded(&mut self, answered: bool) {
        let value = if answered { 0 } else { 1 << 32 };
        let smooth = smoothed(self.get(Word::SmoothLoss), value, 64);
        self.set(Word::SmoothLoss, smooth);
    }

    /// The first answer to a request that had ended came.
    pub fn late(&mut self) {
        self.count(key::LATE, 1);
    }

    /// A further answer came.
    pub fn duplicate(&mut self) {
        self.count(key::DUPLICATES, 1);
    }

    /// An answer came that is not what was sent.
    pub fn corrupt(&mut self) {
        self.count(key::CORRUPT, 1);
    }

    /// An answer came from another address than was asked.
    pub fn elsewhere(&mut self) {
        self.count(key::ELSEWHERE, 1);
    }

    /// An answer came after that of a later request.
    pub fn reordered(&mut self) {
        self.count(key::REORDERED, 1);
    }

    /// The last answer arrived with this hop limit and traffic class. It is up.
    pub fn seen(&mut self, hop_limit: Option<u8>, class: Option<u8>) {
        let mut before = Marks::default();
        self.marks(|marks| {
            before = *marks;
            marks.hop_limit = hop_limit.unwrap_or(marks.hop_limit);
            marks.dscp = class.map_or(marks.dscp, |class| (class >> 2) + 1);
            marks.state = State::Up;
        });
        if before.hop_limit != 0 && hop_limit.is_some_and(|limit| limit != before.hop_limit) {
            self.count(key::HOP_LIMIT_CHANGES, 1);
        }
        if before.dscp != 0 && class.is_some_and(|class| (class >> 2) + 1 != before.dscp) {
            self.count(key::DSCP_CHANGES, 1);
        }
    }

    /// No request has failed since the newest answered one.
    pub fn unfailed(&mut self) {
        self.marks(|marks| (marks.failures, marks.unasked) = (0, 0));
    }

    /// One more request in a row has failed; `down_after` of them are down.
    pub fn failed_in_a_row(&mut self, down_after: u32) {
        self.marks(|marks| {
            marks.unasked = 0;
            marks.failures = marks.failures.saturating_add(1);
            if marks.failures >= down_after {
                marks.state = State::Down;
            }
        });
    }

    /// One more request in a row never left this host; after `down_after` of them nothing is known of the target, whatever was before.
    pub fn unasked_in_a_row(&mut self, down_after: u32) {
        self.marks(|marks| {
            marks.unasked = marks.unasked.saturating_add(1);
            if u32::from(marks.unasked) >= down_after.min(u8::MAX.into()) {
                (marks.state, marks.failures) = (State::Unasked, 0);
            }
        });
    }

    /// The ICMP error of this type and code has ended a request.
    pub fn told(&mut self, kind: u8, code: u8) {
        let error = u64::from(u16::from_be_bytes([kind, code])) + 1;
        self.0.slot(key::ICMP_ERROR).set(key::ICMP_ERROR, error);
    }
}

impl SharedCounters {
    /// Changes the counters; readers see all of it or nothing. Only one thread may write.
    pub fn write<T>(&self, change: impl FnOnce(&mut Writer<'_>) -> T) -> T {
        let version = self.version.load(Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let result = change(&mut Writer(self));
        self.version
            .store(version.wrapping_add(2), Ordering::Release);
        result
    }

    /// [`Counters::failures`], for the one thread that writes.
    pub(crate) fn failures_in_a_row(&self) -> u32 {
        Marks::from_word(self.words[Word::Marks as usize].load(Ordering::Relaxed)).failures
    }

    /// Reads something of each line of its memory; what it answers means nothing.
    pub(crate) fn touch(&self) -> u64 {
        let slots = [&self.slots[0], &self.slots[8]];
        let slots = slots.map(|slot| slot.0.load(Ordering::Relaxed));
        self.version.load(Ordering::Relaxed) ^ slots[0] ^ slots[1]
    }

    /// Where the counter of this key is, or is to be.
    fn slot(&self, key: u8) -> &Slot {
        let (mut slots, mut next) = (&self.slots[..], &self.more);
        loop {
            let found = slots
                .iter()
                .find(|slot| slot.get().is_none_or(|(other, _)| other == key));
            if let Some(slot) = found {
                return slot;
            }
            let more = next.get_or_init(Box::default);
            (slots, next) = (&more.slots, &more.next);
        }
    }

    /// The counters by key.
    fn by_key(&self, mut take: impl FnMut(u8, u64)) {
        let (mut slots, mut next) = (&self.slots[..], &self.more);
        loop {
            for (key, count) in slots.iter().map_while(Slot::get) {
                take(key, count);
            }
            match next.get() {
                Some(more) => (slots, next) = (&more.slots, &more.next),
                None => return,
            }
        }
    }

    /// The counters as they were between two writes. A write is a few stores, so this ends soon.
    pub fn read(&self) -> Counters {
        self.read_with(|_, _| {})
    }

    /// The same with the native histogram of the round trips: the zero bucket, and the buckets by index with their counts.
    pub fn read_native(&self) -> (Counters, u64, Vec<(i32, u64)>) {
        let mut places: Vec<(u8, u64)> = Vec::new();
        let counters = self.read_with(|place, count| match place {
            None => places.clear(),
            Some(place) => places.push((place, count)),
        });
        places.sort_unstable();
        let zero = places.first().filter(|(place, _)| *place == 0);
        let zero = zero.map_or(0, |(_, count)| *count);
        let first = NATIVE_OCTAVES.start * NATIVE_PER_OCTAVE as i32;
        let buckets = places.iter().filter(|(place, _)| *place > 0);
        let buckets = buckets.map(|&(place, count)| (first + i32::from(place), count));
        (counters, zero, buckets.collect())
    }

    /// `native` gets `None` when the reading begins, and begins again, and then the native buckets by place with their counts.
    fn read_with(&self, mut native: impl FnMut(Option<u8>, u64)) -> Counters {
        loop {
            let before = self.version.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                native(None, 0);
                let words = std::array::from_fn(|at: usize| self.words[at].load(Ordering::Relaxed));
                let mut counters = Counters::of_words(words);
                self.by_key(|key, count| match key.checked_sub(key::NATIVE) {
                    Some(place) => native(Some(place), count),
                    None => counters.set(key, count),
                });
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == before {
                    return counters;
                }
            }
            std::thread::yield_now();
        }
    }
}

impl Counters {
    fn of_words(words: [u64; WORDS]) -> Self {
        let word = |word: Word| words[word as usize];
        let marks = Marks::from_word(word(Word::Marks));
        Self {
            requests: word(Word::Requests),
            responses: word(Word::Responses),
            lost: word(Word::Lost),
            in_flight: word(Word::InFlight),
            sum_nanos: word(Word::SumNanos),
            last_nanos: word(Word::LastNanos),
            variation_sum_nanos: word(Word::VariationSumNanos),
            smooth_rtt_nanos: word(Word::SmoothRtt),
            smooth_variation_nanos: word(Word::SmoothVariation),
            smooth_loss: word(Word::SmoothLoss),
            state: marks.state,
            hop_limit: marks.hop_limit.into(),
            reply_dscp: marks.dscp.into(),
            failures: marks.failures.into(),
            ..Self::default()
        }
    }

    /// Requests that failed with a reason, whichever it was.
    pub fn failed_requests(&self) -> u64 {
        self.errors.iter().sum()
    }

    fn set(&mut self, key: u8, count: u64) {
        if let Some(counter) = self.by_key(key) {
            *counter = count;
        }
    }

    fn by_key(&mut self, key: u8) -> Option<&mut u64> {
        let at = |first: u8| usize::from(key - first);
        match key {
            key::LATE => Some(&mut self.late),
            key::DUPLICATES => Some(&mut self.duplicates),
            key::CORRUPT => Some(&mut self.corrupt),
            key::REORDERED => Some(&mut self.reordered),
            key::HOP_LIMIT_CHANGES => Some(&mut self.hop_limit_changes),
            key::DSCP_CHANGES => Some(&mut self.reply_dscp_changes),
            key::BURST_REQUESTS_SUM => Some(&mut self.burst_requests),
            key::ICMP_ERROR => Some(&mut self.icmp_error),
            key::ELSEWHERE => Some(&mut self.elsewhere),
            key::ERRORS..key::BUCKETS => self.errors.get_mut(at(key::ERRORS)),
            key::BUCKETS..key::VARIATION => self.buckets.get_mut(at(key::BUCKETS)),
            key::VARIATION..key::BURSTS => self.variation.get_mut(at(key::VARIATION)),
            key::BURSTS..key::NATIVE => self.bursts.get_mut(at(key::BURSTS)),
            key::NATIVE.. => None,
        }
    }
}

#[cfg(test)]
mod tests;
