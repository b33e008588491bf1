//! Counters that grow when the traffic was, not when it was told.
//!
//! A flow of a minute is told of in one record at its end: a counter that grows then is a step, and its rate a spike. Here the octets of a flow are laid
//! evenly over the time that it lasted, in buckets of two seconds, and a counter takes a bucket over once nothing more is to be expected for it: when
//! it is older than the *lag*, which is that of the longest flow the device has told of, at most [`MOST_LAG_MS`]. All counters of a device take the
//! same buckets over at the same moment, so what adds up among them adds up at every scrape, to the octet.
//!
//! A flow has as much in each of its buckets but the first and the last, so a counter keeps by how much each bucket is *more than the one before*:
//! whether a flow lasted for two buckets or for forty, it changes a handful of them.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Counts;
use crate::flow::{Flow, Span};

/// Octets are laid into buckets of so many milliseconds.
const BUCKET_MS: u64 = 2_000;
/// Nothing is waited for any longer; what a flow did before that counts in the oldest bucket that is open.
pub const MOST_LAG_MS: u64 = 90_000;
/// Buckets of a ring: the lag, the one that fills, the one behind it where a flow is no more, and some that are being taken over.
const BUCKETS: usize = (MOST_LAG_MS / BUCKET_MS) as usize + 6;

/// Most buckets that a flow changes.
const MOST_STEPS: usize = 6;

/// When a flow counts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Accounting {
    /// When it was, evenly over its time: a long flow is no spike. Counters lag by as much as the longest flow.
    #[default]
    Spread,
    /// When it is told of, at once.
    Arrival,
}

/// Where the buckets of a device stand.
#[derive(Debug)]
pub struct Timeline {
    accounting: Accounting,
    base: Instant,
    /// The oldest bucket that is open; none before the first flow.
    edge: Option<u64>,
    lag_ms: u64,
    /// Octets that were of an older bucket than any that was open.
    pub late_bytes: u64,
    steps: Vec<Step>,
}

/// What there is in a bucket, or by how much more than in the one before: then it may be less than nothing, modulo 2⁶⁴.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    bytes: u64,
    packets: u64,
    flows: u32,
}

impl Part {
    #[inline]
    fn add(&mut self, other: &Self) {
        self.bytes = self.bytes.wrapping_add(other.bytes);
        self.packets = self.packets.wrapping_add(other.packets);
        self.flows = self.flows.wrapping_add(other.flows);
    }

    fn less(self, other: &Self) -> Self {
        Self {
            bytes: self.bytes.wrapping_sub(other.bytes),
            packets: self.packets.wrapping_sub(other.packets),
            flows: self.flows.wrapping_sub(other.flows),
        }
    }
}

/// By how much a bucket is more than the one before it.
#[derive(Debug, Clone, Copy)]
struct Step {
    place: usize,
    more: Part,
}

/// How one flow is laid over the buckets.
#[derive(Debug, Clone, Copy)]
pub struct Lay<'a> {
    /// Nothing where it counts at once.
    steps: &'a [Step],
    whole: Part,
    /// Its octets on the wire.
    pub bytes: u64,
    /// Its packets on the wire.
    pub packets: u64,
}

impl Timeline {
    /// Without a flow.
    #[must_use]
    pub fn new(accounting: Accounting, now: Instant) -> Self {
        Self {
            accounting,
            base: now,
            edge: None,
            lag_ms: 0,
            late_bytes: 0,
            steps: Vec::with_capacity(MOST_STEPS),
        }
    }

    fn ms(&self, now: Instant) -> u64 {
        // The first flow may have begun before we did.
        now.saturating_duration_since(self.base).as_millis() as u64 + MOST_LAG_MS
    }

    /// The exporter tells of flows that go on after so long.
    pub fn expect(&mut self, active_timeout_seconds: u32) {
        let lag = u64::from(active_timeout_seconds).saturating_mul(1_000);
        self.lag_ms = self.lag_ms.max(lag.min(MOST_LAG_MS));
    }

    /// By how much counters lag, seconds.
    #[must_use]
    pub fn lag_seconds(&self) -> f64 {
        match self.accounting {
            Accounting::Arrival => 0.0,
            Accounting::Spread => (self.lag_ms + BUCKET_MS) as f64 / 1_000.0,
        }
    }

    /// Lays a flow that arrives now over the buckets.
    pub fn lay(&mut self, flow: &Flow, now: Instant) -> Lay<'_> {
        let whole = Part {
            bytes: flow.scaled_bytes(),
            packets: flow.scaled_packets(),
            flows: 1,
        };
        self.steps.clear();
        if self.accounting == Accounting::Spread {
            self.spread(flow.span.unwrap_or_default(), whole, now);
        }
        Lay {
            steps: &self.steps,
            whole,
            bytes: whole.bytes,
            packets: whole.packets,
        }
    }

    fn spread(&mut self, span: Span, whole: Part, now: Instant) {
        let now_ms = self.ms(now);
        let ago = |ms: u32| now_ms - u64::from(ms).min(MOST_LAG_MS);
        let (start, end) = (ago(span.start_ms), ago(span.end_ms));
        self.lag_ms = self.lag_ms.max(now_ms - start);
        let (first, last) = (start / BUCKET_MS, end / BUCKET_MS);
        let edge = *self.edge.get_or_insert(first);
        let lasted = (end - start).max(1);
        if first < edge {
            let late = if last < edge {
                whole.bytes
            } else {
                share(whole.bytes, edge * BUCKET_MS - start, lasted)
            };
            self.late_bytes = self.late_bytes.saturating_add(late);
        }
        // A ring that nobody has taken over from for long has no more buckets.
        let open = |bucket: u64| bucket.clamp(edge, edge + BUCKETS as u64 - 2);
        let (first, last) = (open(first), open(last));
        if first == last {
            self.step(first, whole);
            self.step(first + 1, Part::default().less(&whole));
            return;
        }
        let (begun, ended) = (
            (first + 1) * BUCKET_MS - start,
            end.saturating_sub(last * BUCKET_MS),
        );
        let between = last - first - 1;
        // What rounding leaves of the octets is in the last bucket.
        let (bytes, bytes_between) = (
            share(whole.bytes, begun, lasted),
            share(whole.bytes, BUCKET_MS, lasted),
        );
        let packets = |ms: u64| share(whole.packets, ms, lasted);
        let (packets, packets_between, packets_last) =
            (packets(begun), packets(BUCKET_MS), packets(ended));
        let in_first = Part {
            bytes,
            packets,
            flows: 0,
        };
        let in_between = Part {
            bytes: bytes_between,
            packets: packets_between,
            flows: 0,
        };
        let in_last = Part {
            bytes: whole.bytes - bytes - bytes_between * between,
            packets: packets_last,
            flows: whole.flows,
        };
        self.step(first, in_first);
        if between == 0 {
            self.step(last, in_last.less(&in_first));
        } else {
            self.step(first + 1, in_between.less(&in_first));
            self.step(last, in_last.less(&in_between));
        }
        self.step(last + 1, Part::default().less(&in_last));
        // Of few packets rounding leaves most: they are one each in as many buckets in the middle.
        let left = whole.packets - packets - packets_between * between - packets_last;
        if left > 0 {
            let one = Part {
                packets: 1,
                ..Part::default()
            };
            let begin = first + (between + 2 - left) / 2;
            self.step(begin, one);
            self.step(begin + left, Part::default().less(&one));
        }
    }

    fn step(&mut self, bucket: u64, more: Part) {
        let place = place(bucket);
        self.steps.push(Step { place, more });
    }

    /// Which buckets are to be taken over now, if any: to be handed to each [`Series::take_over`].
    pub fn advance(&mut self, now: Instant) -> Option<std::ops::Range<u64>> {
        let edge = self.edge?;
        let ready = self.ms(now).saturating_sub(self.lag_ms) / BUCKET_MS;
        (ready > edge).then(|| {
            self.edge = Some(ready);
            edge..ready
        })
    }
}

/// So much of an amount as belongs to a part of its time; at most that is 90 s, so only octets beyond any wire need the long division.
fn share(amount: u64, passed: u64, lasted: u64) -> u64 {
    match amount.checked_mul(passed) {
        Some(product) => product / lasted,
        None => (u128::from(amount) * u128::from(passed) / u128::from(lasted)) as u64,
    }
}

/// One counter.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// What it shows.
    pub shown: Counts,
    /// What there was in the bucket that was taken over last.
    level: Part,
    /// By how much each bucket that is open is more than the one before.
    ring: Option<Box<[Part; BUCKETS]>>,
}

fn place(bucket: u64) -> usize {
    (bucket % BUCKETS as u64) as usize
}

impl Series {
    /// Counts a flow.
    #[inline]
    pub fn add(&mut self, lay: &Lay<'_>) {
        if lay.steps.is_empty() {
            self.shown.add(&lay.whole);
            return;
        }
        let ring = self
            .ring
            .get_or_insert_with(|| Box::new([Part::default(); BUCKETS]));
        for step in lay.steps {
            ring[step.place].add(&step.more);
        }
    }

    /// Shows what these buckets hold.
    pub fn take_over(&mut self, buckets: &std::ops::Range<u64>) {
        let Some(ring) = &mut self.ring else { return };
        // Behind as many nothing is open.
        let last = buckets.end.min(buckets.start + BUCKETS as u64);
        for bucket in buckets.start..last {
            self.level.add(&std::mem::take(&mut ring[place(bucket)]));
            self.shown.add(&self.level);
        }
    }
}

impl Counts {
    fn add(&mut self, part: &Part) {
        self.bytes = self.bytes.saturating_add(part.bytes);
        self.packets = self.packets.saturating_add(part.packets);
        self.flows += u64::from(part.flows);
    }
}

#[cfg(test)]
mod tests;
