//! The accounting of one target: events in, [`Counters`] out. No clock, no socket.
//!
//! Each request is in exactly one state, and each state has its counter, so that at any moment
//! `requests = responses + lost + errors + in flight`:
//!
//! ```text
//!             ┌── answered within the timeout ──► answered ── again ──► duplicate
//! in flight ──┼── timeout ──────────────────────► lost ─────┐
//!             └── ICMP error, refused by kernel ► failed ───┴─ answered ──► late, then as answered
//! ```
//!
//! The last requests are kept in a ring long enough for twice the timeout, so that what comes late is known; what
//! is older is [`Verdict::Stale`].

use std::sync::Arc;

use crate::clock::{Moment, Source};
use crate::counters::{Counters, SharedCounters, Writer};
use crate::reason::Reason;

mod request;

use request::{Outcome, Request};

/// Fewest and most requests remembered.
const RING: std::ops::RangeInclusive<usize> = 8..=32_768;

/// The times a target is probed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    /// Nanoseconds from request to request, or from burst to burst.
    pub interval: u64,
    /// Requests of each interval, at least one.
    pub burst: u32,
    /// Nanoseconds from one request of a burst to the next; all of them are within the interval.
    pub spacing: u64,
    /// Nanoseconds after which a request is lost.
    pub timeout: u64,
    /// Failures in a row after which the target is down.
    pub down_after: u32,
}

impl Timing {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        f64::from(self.burst) * 1e9 / self.interval.max(1) as f64
    }
}

/// An answer as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Which request it names.
    pub sequence: u32,
    /// The kernel's stamp in nanoseconds since 1970 (UTC).
    pub received: Option<u64>,
    /// The hop limit it arrived with.
    pub hop_limit: Option<u8>,
    /// Its type of service or traffic class.
    pub traffic_class: Option<u8>,
    /// The content is what was sent.
    pub whole: bool,
}

/// What an arriving answer or error was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It ended a request; for an answer with the source of its round trip.
    Counted(Option<Source>),
    /// The first answer to a request counted as lost or failed, or an error that came after the timeout.
    Late,
    /// A further answer, or an error about a request that had ended.
    Duplicate,
    /// An answer with another content than was sent.
    Corrupt,
    /// It is about a request that is no longer, or was never, known.
    Stale,
}

/// The accounting of one target.
#[derive(Debug)]
pub struct TargetCounters {
    counters: Arc<SharedCounters>,
    log: Log,
}

impl TargetCounters {
    /// Nothing counted yet; the first request has the sequence number `first`, and `counters` hold the numbers.
    pub fn new(timing: Timing, first: u32, counters: Arc<SharedCounters>) -> Self {
        let log = Log {
            timeout: timing.timeout,
            down_after: timing.down_after,
            ring: Ring::of(ring_len(timing)),
            known: 0,
            next: first,
            oldest: first,
            newest_answered: None,
            newest_unasked: None,
            burst: 0,
        };
        Self { counters, log }
    }

    /// The counters now.
    pub fn counters(&self) -> Counters {
        self.counters.read()
    }

    /// Requests that ended without an answer since the newest answered one; those that never left this host are not among them.
    pub fn failures_in_a_row(&self) -> u32 {
        self.counters.failures_in_a_row()
    }

    /// Reads something of each piece of memory that the next event needs; what it answers means nothing.
    pub fn touch(&self) -> u64 {
        let oldest = self.log.find(self.log.oldest.wrapping_sub(1));
        self.counters.touch() ^ oldest.map_or(0, Request::answered_in)
    }

    /// Goes on with another timing; all counters and remembered requests stay.
    pub fn retime(&mut self, timing: Timing) {
        self.log.retime(timing);
    }

    /// A request was made at `moment`. Answers its sequence number, or `None` when the ring is full of requests in flight, which needs
    /// a rate many times the configured one.
    pub fn sent(&mut self, moment: Moment) -> Option<u32> {
        let sequence = self.log.sent(moment)?;
        self.counters.write(|writer| writer.made());
        Some(sequence)
    }

    /// The kernel gave the request to the device at `nanos` since 1970 (UTC), which was read at `read`.
    pub fn transmitted(&mut self, sequence: u32, nanos: u64, read: Moment) {
        if let Some(request) = self.log.find_mut(sequence) {
            request.transmitted(nanos, read);
        }
    }

    /// An answer was read at `read`.
    pub fn answered(&mut self, answer: Answer, read: Moment) -> Verdict {
        let Self { counters, log } = self;
        counters.write(|writer| log.answered(answer, read, writer))
    }

    /// Somebody said, and it was read at the monotonic time `now`, that the request will not be answered.
    pub fn failed(&mut self, sequence: u32, reason: Reason, now: u64) -> Verdict {
        let Self { counters, log } = self;
        counters.write(|writer| log.failed(sequence, reason, now, writer))
    }

    /// An answer came from another address than was asked: it answers nothing.
    pub fn elsewhere(&mut self) {
        self.counters.write(|writer| writer.elsewhere());
    }

    /// The ICMP error of this type and code has ended a request.
    pub fn told(&mut self, kind: u8, code: u8) {
        self.counters.write(|writer| writer.told(kind, code));
    }

    /// Counts as lost what has waited for the timeout at the monotonic time `now`. Answers when the next request in
    /// flight will have.
    pub fn expire(&mut self, now: u64) -> Option<u64> {
        self.expire_unless(now, || false)
    }

    /// The same, where `blocked` tells whether this host itself kept the requests from leaving: they are lost, and say nothing about the
    /// target.
    pub fn expire_unless(&mut self, now: u64, blocked: impl Fn() -> bool) -> Option<u64> {
        let Self { counters, log } = self;
        if let Some(deadline) = log.deadline().filter(|deadline| *deadline > now) {
            return Some(deadline);
        }
        (log.oldest != log.next)
            .then(|| counters.write(|writer| log.expire(now, writer, blocked)))?
    }

    /// The newest remembered request whose ICMP header carried `low`.
    pub fn by_low_bits(&self, low: u16) -> Option<u32> {
        let newest = self.log.next.wrapping_sub(1);
        let back = (newest as u16).wrapping_sub(low);
        let sequence = newest.wrapping_sub(back.into());
        self.log.find(sequence).map(|_| sequence)
    }
}

/// Room for a power of two of requests. Few of them are where the counters are, and so in memory that is being read anyway.
#[derive(Debug)]
enum Ring {
    Few([Request; *RING.start()]),
    Many(Box<[Request]>),
}

impl Ring {
    fn of(len: usize) -> Self {
        if len <= *RING.start() {
            Self::Few([Request::default(); *RING.start()])
        } else {
            Self::Many(vec![Request::default(); len].into())
        }
    }
}

impl std::ops::Deref for Ring {
    type Target = [Request];

    fn deref(&self) -> &[Request] {
        match self {
            Self::Few(requests) => requests,
            Self::Many(requests) => requests,
        }
    }
}

impl std::ops::DerefMut for Ring {
    fn deref_mut(&mut self) -> &mut [Request] {
        match self {
            Self::Few(requests) => requests,
            Self::Many(requests) => requests,
        }
    }
}

/// The requests that are remembered.
#[derive(Debug)]
struct Log {
    timeout: u64,
    down_after: u32,
    /// How many of the ring are requests.
    known: u32,
    ring: Ring,
    next: u32,
    /// No request before this one is in flight.
    oldest: u32,
    newest_answered: Option<u32>,
    /// The newest request that never left this host.
    newest_unasked: Option<u32>,
    /// Requests without an answer before `oldest`, since the last answered one.
    burst: u32,
}

impl Log {
    fn retime(&mut self, timing: Timing) {
        let waiting = self.next.wrapping_sub(self.oldest) as usize;
        let wanted = ring_len(timing).max(waiting.next_power_of_two());
        self.timeout = timing.timeout;
        self.down_after = timing.down_after;
        if wanted != self.ring.len() {
            let kept = self.known.min(wanted as u32);
            let mut ring = Ring::of(wanted);
            for back in 1..=kept {
                let sequence = self.next.wrapping_sub(back);
                if let Some(request) = self.find(sequence) {
                    ring[sequence as usize & (wanted - 1)] = *request;
                }
            }
            self.ring = ring;
            self.known = kept;
        }
    }

    fn sent(&mut self, moment: Moment) -> Option<u32> {
        let sequence = self.next;
        let waiting = sequence.wrapping_sub(self.oldest) as usize;
        if waiting >= self.ring.len() {
            return None;
        }
        let mask = self.ring.len() - 1;
        self.ring[sequence as usize & mask] = Request::sent(moment);
        self.known = (self.known + 1).min(self.ring.len() as u32);
        self.next = sequence.wrapping_add(1);
        Some(sequence)
    }

    fn answered(&mut self, answer: Answer, read: Moment, writer: &mut Writer<'_>) -> Verdict {
        let Answer {
            sequence,
            received,
            hop_limit,
            traffic_class,
            whole,
        } = answer;
        let timeout = self.timeout;
        let Some(request) = self.find_mut(sequence) else {
            return Verdict::Stale;
        };
        if !whole {
            writer.corrupt();
            return Verdict::Corrupt;
        }
        match request.outcome() {
            Outcome::InFlight => {
                let (nanos, source) = request.round_trip(received, read);
                if nanos > timeout {
                    request.answered(0);
                    writer.lost();
                    writer.late();
                    self.failed_at(sequence, writer);
                    return Verdict::Late;
                }
                // A round trip of nothing is one of a nanosecond to the neighbours.
                request.answered(nanos.max(1));
                writer.answered(nanos);
                self.compare(sequence, nanos.max(1), writer);
                self.answered_at(sequence, writer);
                writer.seen(hop_limit, traffic_class);
                Verdict::Counted(Some(source))
            }
            Outcome::Missed => {
                request.answered(0);
                writer.late();
                Verdict::Late
            }
            Outcome::Answered => {
                writer.duplicate();
                Verdict::Duplicate
            }
        }
    }

    fn failed(
        &mut self,
        sequence: u32,
        reason: Reason,
        now: u64,
        writer: &mut Writer<'_>,
    ) -> Verdict {
        let timeout = self.timeout;
        let Some(request) = self.find_mut(sequence) else {
            return Verdict::Stale;
        };
        let Some(sent) = request.in_flight_since() else {
            return Verdict::Duplicate;
        };
        request.missed();
        let in_time = now.saturating_sub(sent) <= timeout;
        if in_time {
            writer.failed(reason);
        } else {
            writer.lost();
        }
        if in_time && reason.is_unasked() {
            self.unasked_at(sequence, writer);
        } else {
            self.failed_at(sequence, writer);
        }
        if in_time {
            Verdict::Counted(None)
        } else {
            Verdict::Late
        }
    }

    /// When the oldest request will have waited for the timeout, if that one is in flight.
    fn deadline(&self) -> Option<u64> {
        let request = self.find(self.oldest)?;
        Some(request.in_flight_since()?.saturating_add(self.timeout))
    }

    fn expire(
        &mut self,
        now: u64,
        writer: &mut Writer<'_>,
        blocked: impl Fn() -> bool,
    ) -> Option<u64> {
        while self.oldest != self.next {
            let sequence = self.oldest;
            if let Some(deadline) = self.deadline() {
                if deadline > now {
                    return Some(deadline);
                }
                if let Some(request) = self.find_mut(sequence) {
                    request.missed();
                }
                writer.lost();
                if blocked() {
                    self.unasked_at(sequence, writer);
                } else {
                    self.failed_at(sequence, writer);
                }
            }
            self.conclude(sequence, writer);
            self.oldest = sequence.wrapping_add(1);
        }
        None
    }

    /// A request has ended, and so have all before it.
    fn conclude(&mut self, sequence: u32, writer: &mut Writer<'_>) {
        let answered = self.find(sequence).is_some_and(|r| r.answered_in() > 0);
        writer.concluded(answered);
        if !answered {
            self.burst = self.burst.saturating_add(1);
        } else if self.burst > 0 {
            writer.burst(std::mem::take(&mut self.burst).into());
        }
    }

    /// Counts the delay variation against the requests just before and just after, where those are answered.
    fn compare(&mut self, sequence: u32, round_trip: u64, writer: &mut Writer<'_>) {
        for neighbour in [sequence.wrapping_sub(1), sequence.wrapping_add(1)] {
            let other = self.find(neighbour).map_or(0, Request::answered_in);
            if other > 0 {
                writer.varied(other.abs_diff(round_trip));
            }
        }
    }

    fn answered_at(&mut self, sequence: u32, writer: &mut Writer<'_>) {
        if self
            .newest_answered
            .is_none_or(|newest| is_after(sequence, newest))
        {
            self.newest_answered = Some(sequence);
            writer.unfailed();
        } else {
            writer.reordered();
        }
    }

    /// What failed before the newest answered request says nothing about now; nor does what was lost before this host itself could not send:
    /// its own link may have taken it.
    fn failed_at(&mut self, sequence: u32, writer: &mut Writer<'_>) {
        let newest = [self.newest_answered, self.newest_unasked];
        if newest
            .into_iter()
            .flatten()
            .all(|newest| is_after(sequence, newest))
        {
            writer.failed_in_a_row(self.down_after);
        }
    }

    fn unasked_at(&mut self, sequence: u32, writer: &mut Writer<'_>) {
        let is_newest =
            |newest: Option<u32>| newest.is_none_or(|newest| is_after(sequence, newest));
        if is_newest(self.newest_unasked) {
            self.newest_unasked = Some(sequence);
        }
        if is_newest(self.newest_answered) {
            writer.unasked_in_a_row(self.down_after);
        }
    }

    /// Where the request of this number is remembered.
    fn place(&self, sequence: u32) -> Option<usize> {
        let back = self.next.wrapping_sub(sequence);
        (1..=self.known)
            .contains(&back)
            .then(|| sequence as usize & (self.ring.len() - 1))
    }

    fn find(&self, sequence: u32) -> Option<&Request> {
        self.ring.get(self.place(sequence)?)
    }

    fn find_mut(&mut self, sequence: u32) -> Option<&mut Request> {
        let place = self.place(sequence)?;
        self.ring.get_mut(place)
    }
}

/// Room for the requests of twice the timeout, in a power of two.
fn ring_len(timing: Timing) -> usize {
    let within = timing.timeout.div_ceil(timing.interval.max(1));
    let wanted = usize::try_from(within.saturating_mul(timing.burst.into()))
        .unwrap_or(usize::MAX)
        .saturating_mul(2)
        .saturating_add(4);
    wanted.clamp(*RING.start(), *RING.end()).next_power_of_two()
}

/// `a` was made after `b`, also when the numbers have wrapped between them.
fn is_after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < u32::MAX / 2
}

#[cfg(test)]
mod tests;
