//! Counters that grow when the traffic was, not when it was told.
//!
//! A flow of a minute is told of in one record at its end: a counter that grows then is a step, and its rate a spike. Here the octets of a flow are laid
//! evenly over the time that it lasted, in buckets of two seconds, and a counter takes a bucket over once nothing more is to be expected for it: when
//! it is older than the *lag*, which is that of the longest flow the device has told of, at most [`MOST_LAG_MS`]. All counters of a device take the
//! same buckets over at the same moment, so what adds up among them adds up at every scrape, to the octet.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Counts;
use crate::flow::{Flow, Span};

/// Octets are laid into buckets of so many milliseconds.
const BUCKET_MS: u64 = 2_000;
/// Nothing is waited for any longer; what a flow did before that counts in the oldest bucket that is open.
pub const MOST_LAG_MS: u64 = 90_000;
/// Buckets of a ring: the lag, the one that fills and one that is being taken over.
const BUCKETS: usize = (MOST_LAG_MS / BUCKET_MS) as usize + 3;

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
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    bytes: u64,
    packets: u64,
    flows: u32,
}

impl Part {
    fn add(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.packets = self.packets.saturating_add(other.packets);
        self.flows = self.flows.saturating_add(other.flows);
    }
}

/// How one flow is laid over the buckets.
#[derive(Debug, Clone, Copy)]
pub struct Lay<'a> {
    /// The bucket of the first part; `None` where it counts at once.
    first: Option<u64>,
    parts: &'a [Part],
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
            parts: Vec::with_capacity(BUCKETS),
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
        let (bytes, packets) = (flow.scaled_bytes(), flow.scaled_packets());
        self.parts.clear();
        let whole = Part {
            bytes,
            packets,
            flows: 1,
        };
        let span = flow.span.unwrap_or_default();
        if self.accounting == Accounting::Arrival {
            self.parts.push(whole);
            return Lay {
                first: None,
                parts: &self.parts,
                bytes,
                packets,
            };
        }
        let first = self.spread(span, whole, now);
        Lay {
            first: Some(first),
            parts: &self.parts,
            bytes,
            packets,
        }
    }

    fn spread(&mut self, span: Span, whole: Part, now: Instant) -> u64 {
        let now_ms = self.ms(now);
        let ago = |ms: u32| now_ms - u64::from(ms).min(MOST_LAG_MS);
        let (start, end) = (ago(span.start_ms), ago(span.end_ms));
        self.lag_ms = self.lag_ms.max(now_ms - start);
        let (first, last) = (start / BUCKET_MS, end / BUCKET_MS);
        let edge = *self.edge.get_or_insert(first);
        // Scaled to the time that has passed of it at the end of each bucket; whole at the last.
        let passed = |amount: u64, bucket: u64| {
            let end_of = ((bucket + 1) * BUCKET_MS).min(end);
            let (passed, lasted) = (end_of.saturating_sub(start), (end - start).max(1));
            // At most 90 s: only octets beyond any wire need the long division.
            match amount.checked_mul(passed) {
                Some(product) => product / lasted,
                None => (u128::from(amount) * u128::from(passed) / u128::from(lasted)) as u64,
            }
        };
        let open = first.max(edge).min(last.max(edge));
        let (mut bytes, mut packets) = (0, 0);
        for bucket in open..last.max(open) {
            let (then_bytes, then_packets) =
                (passed(whole.bytes, bucket), passed(whole.packets, bucket));
            self.parts.push(Part {
                bytes: then_bytes - bytes,
                packets: then_packets - packets,
                flows: 0,
            });
            (bytes, packets) = (then_bytes, then_packets);
        }
        self.parts.push(Part {
            bytes: whole.bytes - bytes,
            packets: whole.packets - packets,
            flows: whole.flows,
        });
        if first < edge {
            let late = if last < edge {
                whole.bytes
            } else {
                passed(whole.bytes, edge - 1)
            };
            self.late_bytes = self.late_bytes.saturating_add(late);
        }
        open
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

/// One counter.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// What it shows.
    pub shown: Counts,
    ring: Option<Box<[Part; BUCKETS]>>,
}

fn place(bucket: u64) -> usize {
    (bucket % BUCKETS as u64) as usize
}

impl Series {
    /// Counts a flow.
    pub fn add(&mut self, lay: &Lay<'_>) {
        let Some(first) = lay.first else {
            for part in lay.parts {
                self.shown.add(part);
            }
            return;
        };
        let ring = self
            .ring
            .get_or_insert_with(|| Box::new([Part::default(); BUCKETS]));
        for (bucket, part) in (first..).zip(lay.parts) {
            ring[place(bucket)].add(part);
        }
    }

    /// Shows what these buckets hold.
    pub fn take_over(&mut self, buckets: &std::ops::Range<u64>) {
        let Some(ring) = &mut self.ring else { return };
        let all = buckets.end - buckets.start >= BUCKETS as u64;
        let last = if all {
            buckets.start + BUCKETS as u64
        } else {
            buckets.end
        };
        for bucket in buckets.start..last {
            self.shown.add(&std::mem::take(&mut ring[place(bucket)]));
        }
    }

    /// Gives what it has not shown yet to another counter.
    pub fn hand_over(&mut self, to: &mut Self) {
        let Some(ring) = self.ring.take() else { return };
        let theirs = to
            .ring
            .get_or_insert_with(|| Box::new([Part::default(); BUCKETS]));
        for (to, part) in theirs.iter_mut().zip(ring.iter()) {
            to.add(part);
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
