//! Counters that grow when the traffic was, not when it was told.
//!
//! A flow of a minute is told of in one record at its end: a counter that grows then is a step, and its rate a spike. Here the octets of a flow are laid
//! evenly over the time that it lasted, in buckets of two seconds, and a counter takes a bucket over once nothing more is to be expected for it: when
//! it is older than the *lag*, which is that of the longest flow the device has told of, at most [`MOST_LAG_MS`]. All counters of a device take the
//! same buckets over at the same moment, so what adds up among them adds up at every scrape, to the octet.
//!
//! A flow has as much in each of its buckets but the first and the last, so a counter keeps, beside what is of one bucket alone, by how much
//! each bucket is *more than the one before*: whether a flow lasted for three buckets or for forty, it changes three of them, and one that lasted
//! no longer than a bucket changes one, that of its middle.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Counts;
use crate::flow::{Flow, Span};

/// Octets are laid into buckets of so many milliseconds.
const BUCKET_MS: u64 = 2_000;
/// Nothing is waited for any longer; what a flow did before that counts in the oldest bucket that is open.
pub const MOST_LAG_MS: u64 = 90_000;
/// Most buckets of a ring: the lag, the one that fills, and some that are being taken over.
const MOST_BUCKETS: u64 = (MOST_LAG_MS / BUCKET_MS).next_power_of_two();
/// Fewest buckets of a ring: those of flows that have ended when they are told of.
const FEWEST_BUCKETS: u64 = 4;

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
    /// The moment that was asked for last, and its milliseconds.
    clock: (Instant, u64),
}

/// Octets and packets; where they are by how much there is more than before, that may be less than nothing, modulo 2⁶⁴.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Part {
    bytes: u64,
    packets: u64,
}

impl Part {
    #[inline]
    fn add(&mut self, other: Self) {
        self.bytes = self.bytes.wrapping_add(other.bytes);
        self.packets = self.packets.wrapping_add(other.packets);
    }

    #[inline]
    fn take(&mut self, other: Self) {
        self.bytes = self.bytes.wrapping_sub(other.bytes);
        self.packets = self.packets.wrapping_sub(other.packets);
    }
}

/// A flow laid over the buckets, to be added to each counter that it belongs to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lay {
    /// Its octets on the wire.
    pub bytes: u64,
    /// Its packets on the wire.
    pub packets: u64,
    first: u64,
    last: u64,
    in_first: Part,
    /// In each bucket between.
    between: Part,
    in_last: Part,
    /// Where one packet more a bucket begins and ends, which rounding left.
    more: (u64, u64),
    /// The oldest bucket that is open.
    edge: u64,
    /// Buckets that a ring must have; none where the flow counts at once.
    need: u64,
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
            clock: (now, MOST_LAG_MS),
        }
    }

    fn ms(&mut self, now: Instant) -> u64 {
        if self.clock.0 != now {
            // The first flow may have begun before we did.
            let passed = now.saturating_duration_since(self.base).as_millis() as u64;
            self.clock = (now, passed + MOST_LAG_MS);
        }
        self.clock.1
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
    #[inline]
    pub fn lay(&mut self, flow: &Flow, now: Instant) -> Lay {
        self.laid((flow.scaled_bytes(), flow.scaled_packets()), flow.span, now)
    }

    /// Lays the packets of a flow over the buckets that were measured, without what the others were.
    #[inline]
    pub(super) fn lay_measured(&mut self, flow: &Flow, now: Instant) -> Lay {
        let late = self.late_bytes;
        let lay = self.laid((flow.bytes, flow.packets), flow.span, now);
        self.late_bytes = late;
        lay
    }

    #[inline]
    fn laid(&mut self, (bytes, packets): (u64, u64), span: Option<Span>, now: Instant) -> Lay {
        let whole = Lay {
            bytes,
            packets,
            in_last: Part { bytes, packets },
            ..Lay::default()
        };
        match self.accounting {
            Accounting::Arrival => whole,
            Accounting::Spread => self.spread(span.unwrap_or_default(), whole, now),
        }
    }

    #[inline]
    fn spread(&mut self, span: Span, whole: Lay, now: Instant) -> Lay {
        let now_ms = self.ms(now);
        let ago = |ms: u32| now_ms - u64::from(ms).min(MOST_LAG_MS);
        let (start, end) = (ago(span.start_ms), ago(span.end_ms));
        self.lag_ms = self.lag_ms.max(now_ms - start);
        let lasted = end - start;
        let (first, last) = if lasted <= BUCKET_MS {
            let middle = (start + lasted / 2) / BUCKET_MS;
            (middle, middle)
        } else {
            (start / BUCKET_MS, end / BUCKET_MS)
        };
        let edge = *self.edge.get_or_insert(first);
        if first < edge {
            let late = if last < edge {
                whole.bytes
            } else {
                Shares::of(lasted).share(whole.bytes, edge * BUCKET_MS - start)
            };
            self.late_bytes = self.late_bytes.saturating_add(late);
        }
        // A ring that nobody has taken over from for long has no more buckets.
        let open = |bucket: u64| bucket.clamp(edge, edge + MOST_BUCKETS - 1);
        let (first, last) = (open(first), open(last));
        let lay = Lay {
            first,
            last,
            edge,
            need: (last - edge + 1).next_power_of_two().max(FEWEST_BUCKETS),
            ..whole
        };
        if first == last {
            return lay;
        }
        lay.laid(start, end, lasted)
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

impl Lay {
    /// Gives each of its buckets, of which there are two at least, its share.
    fn laid(mut self, start: u64, end: u64, lasted: u64) -> Self {
        let shares = Shares::of(lasted);
        let of = |ms: u64| Part {
            bytes: shares.share(self.bytes, ms),
            packets: shares.share(self.packets, ms),
        };
        self.in_first = of((self.first + 1) * BUCKET_MS - start);
        self.in_last.take(self.in_first);
        let between = self.last - self.first - 1;
        if between > 0 {
            self.between = of(BUCKET_MS);
            // What rounding leaves of the octets is in the last bucket.
            self.in_last.bytes -= self.between.bytes * between;
            let ended = end.saturating_sub(self.last * BUCKET_MS);
            let packets = shares.share(self.packets, ended);
            let left = self.in_last.packets - self.between.packets * between - packets;
            // Of few packets rounding leaves most: they are one each in as many buckets in the middle.
            self.in_last.packets = packets;
            let begin = self.first + (between + 2 - left) / 2;
            self.more = (begin, begin + left);
        }
        self
    }
}

/// Divides amounts by the time that a flow lasted: one division for all of them.
#[derive(Clone, Copy)]
struct Shares {
    lasted: u64,
    /// 2⁶⁴ by that, rounded up.
    inverse: u64,
}

impl Shares {
    /// Of more than a millisecond and of at most [`MOST_LAG_MS`].
    fn of(lasted: u64) -> Self {
        Self {
            lasted,
            inverse: u64::MAX / lasted + 1,
        }
    }

    /// So much of an amount as belongs to a part of the time, rounded down.
    #[inline]
    fn share(self, amount: u64, passed: u64) -> u64 {
        match amount.checked_mul(passed) {
            // What the inverse is too large by, less than 2¹⁷, makes no whole one more of so little.
            Some(product) if product < 1 << 47 => {
                ((u128::from(product) * u128::from(self.inverse)) >> 64) as u64
            }
            _ => (u128::from(amount) * u128::from(passed) / u128::from(self.lasted)) as u64,
        }
    }
}

/// One counter.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// What it shows.
    pub shown: Counts,
    /// How much goes on from the bucket that was taken over last.
    level: Part,
    /// The buckets that are open, as many as the flows of the device need: a power of two, or none.
    ring: Box<[Bucket]>,
}

/// One bucket of a counter.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// What is of it alone.
    once: Part,
    flows: u64,
    /// By how much more there is from it on.
    more: Part,
}

impl Series {
    /// Counts a flow.
    #[inline]
    pub fn add(&mut self, lay: &Lay) {
        if lay.need > self.ring.len() as u64 {
            self.grow(lay);
        }
        let ring = &mut *self.ring;
        if ring.is_empty() {
            self.shown.count(lay.in_last, 1);
            return;
        }
        let places = ring.len() - 1;
        let place = |bucket: u64| bucket as usize & places;
        let (first, last) = (place(lay.first), place(lay.last));
        ring[last].once.add(lay.in_last);
        ring[last].flows += 1;
        if first == last {
            return;
        }
        ring[first].once.add(lay.in_first);
        if lay.last - lay.first == 1 {
            return;
        }
        ring[place(lay.first + 1)].more.add(lay.between);
        ring[last].more.take(lay.between);
        let (begin, end) = lay.more;
        if begin < end {
            let one = Part {
                bytes: 0,
                packets: 1,
            };
            ring[place(begin)].more.add(one);
            ring[place(end)].more.take(one);
        }
    }

    /// Makes as many buckets as a flow needs; those that are open keep what they hold.
    #[cold]
    fn grow(&mut self, lay: &Lay) {
        let mut ring = vec![Bucket::default(); lay.need as usize].into_boxed_slice();
        for bucket in lay.edge..lay.edge + self.ring.len() as u64 {
            ring[place(bucket, &ring)] = self.ring[place(bucket, &self.ring)];
        }
        self.ring = ring;
    }

    /// Shows what these buckets hold.
    pub fn take_over(&mut self, buckets: &std::ops::Range<u64>) {
        // Behind as many nothing is open.
        let last = buckets.end.min(buckets.start + self.ring.len() as u64);
        for bucket in buckets.start..last {
            let place = place(bucket, &self.ring);
            let bucket = std::mem::take(&mut self.ring[place]);
            self.level.add(bucket.more);
            self.shown.count(self.level, 0);
            self.shown.count(bucket.once, bucket.flows);
        }
    }
}

fn place(bucket: u64, ring: &[Bucket]) -> usize {
    bucket as usize & (ring.len() - 1)
}

impl Counts {
    #[inline]
    fn count(&mut self, part: Part, flows: u64) {
        self.bytes = self.bytes.saturating_add(part.bytes);
        self.packets = self.packets.saturating_add(part.packets);
        self.flows += flows;
    }
}

#[cfg(test)]
mod tests;
