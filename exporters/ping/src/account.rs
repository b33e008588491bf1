//! The book of one target: events in, [`Counters`] out. No clock, no socket.
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

use crate::clock::{Moment, Source, round_trip};
use crate::reason::Reason;
use crate::tally::{Counters, State, Tally, Touched};

/// Fewest and most requests remembered.
const RING: std::ops::RangeInclusive<usize> = 8..=32_768;

/// The times a target is probed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Fate {
    #[default]
    Empty,
    InFlight,
    Answered,
    /// Lost or failed.
    Missed,
}

#[derive(Debug, Clone, Copy, Default)]
struct Request {
    sent: Moment,
    /// The kernel's transmit stamp, 0 for none.
    transmitted: u64,
    /// The round trip in nanoseconds when it was answered within the timeout, else 0.
    round_trip: u64,
    sequence: u32,
    fate: Fate,
}

/// The book of one target.
#[derive(Debug)]
pub struct Account {
    timing: Timing,
    counters: Counters,
    touched: Touched,
    ring: Box<[Request]>,
    next: u32,
    /// No request before this one is in flight.
    oldest: u32,
    newest_answered: Option<u32>,
    /// Requests without an answer before `oldest`, since the last answered one.
    burst: u64,
}

impl Account {
    /// An empty book whose first request has the sequence number `first`.
    pub fn new(timing: Timing, first: u32) -> Self {
        Self {
            timing,
            counters: Counters::default(),
            touched: Touched::default(),
            ring: vec![Request::default(); ring_len(timing)].into(),
            next: first,
            oldest: first,
            newest_answered: None,
            burst: 0,
        }
    }

    /// The counters now.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Lets the readers of `tally` see the counters; always the same one.
    pub fn publish(&mut self, tally: &Tally) {
        tally.publish_touched(&self.counters, &mut self.touched);
    }

    /// The timing now.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Goes on with another timing; all counters and remembered requests stay.
    pub fn retime(&mut self, timing: Timing) {
        let wanted = ring_len(timing)
            .max((self.next.wrapping_sub(self.oldest) as usize).next_power_of_two());
        self.timing = timing;
        if wanted != self.ring.len() {
            let kept = self.ring.len().min(wanted) as u32;
            let mut ring: Box<[Request]> = vec![Request::default(); wanted].into();
            for back in 1..=kept {
                let sequence = self.next.wrapping_sub(back);
                if let Some(request) = self.find(sequence) {
                    ring[sequence as usize & (wanted - 1)] = *request;
                }
            }
            self.ring = ring;
        }
    }

    /// The sequence number the next request will have, unless the ring is full of requests in flight, which needs a
    /// rate many times the configured one.
    pub fn upcoming(&self) -> Option<u32> {
        let waiting = self.next.wrapping_sub(self.oldest) as usize;
        (waiting < self.ring.len()).then_some(self.next)
    }

    /// A request was made at `moment`. Answers its sequence number, or `None` as [`upcoming`](Self::upcoming).
    pub fn sent(&mut self, moment: Moment) -> Option<u32> {
        let sequence = self.upcoming()?;
        let fate = Fate::InFlight;
        *self.slot(sequence) = Request {
            sent: moment,
            transmitted: 0,
            round_trip: 0,
            sequence,
            fate,
        };
        self.next = sequence.wrapping_add(1);
        self.counters.requests += 1;
        self.counters.in_flight += 1;
        Some(sequence)
    }

    /// The kernel gave the request to the device at `nanos` since 1970 (UTC).
    pub fn transmitted(&mut self, sequence: u32, nanos: u64) {
        if let Some(request) = self.find_mut(sequence) {
            request.transmitted = nanos;
        }
    }

    /// The kernel's transmit stamp of a request in flight is known.
    pub fn has_stamp(&self, sequence: u32) -> bool {
        self.find(sequence)
            .is_some_and(|request| request.transmitted != 0)
    }

    /// An answer was read at `read`.
    pub fn answered(&mut self, answer: Answer, read: Moment) -> Verdict {
        let Answer {
            sequence,
            received,
            hop_limit,
            traffic_class,
            whole,
        } = answer;
        let timeout = self.timing.timeout;
        let Some(request) = self.find_mut(sequence) else {
            return Verdict::Stale;
        };
        if !whole {
            self.counters.corrupt += 1;
            return Verdict::Corrupt;
        }
        match request.fate {
            Fate::InFlight => {
                let stamp = (request.transmitted != 0).then_some(request.transmitted);
                let (nanos, source) = round_trip(request.sent, stamp, received, read);
                request.fate = Fate::Answered;
                let in_time = nanos <= timeout;
                if in_time {
                    request.round_trip = nanos.max(1);
                }
                self.counters.in_flight -= 1;
                if !in_time {
                    self.counters.lost += 1;
                    self.counters.late += 1;
                    self.failed_at(sequence);
                    return Verdict::Late;
                }
                self.counters.observe(nanos, &mut self.touched);
                self.compare(sequence, nanos.max(1));
                self.answered_at(sequence, hop_limit, traffic_class);
                Verdict::Counted(Some(source))
            }
            Fate::Missed => {
                request.fate = Fate::Answered;
                self.counters.late += 1;
                Verdict::Late
            }
            Fate::Answered => {
                self.counters.duplicates += 1;
                Verdict::Duplicate
            }
            Fate::Empty => Verdict::Stale,
        }
    }

    /// Somebody said, and it was read at the monotonic time `now`, that the request will not be answered.
    pub fn failed(&mut self, sequence: u32, reason: Reason, now: u64) -> Verdict {
        let timeout = self.timing.timeout;
        let Some(request) = self.find_mut(sequence) else {
            return Verdict::Stale;
        };
        if request.fate != Fate::InFlight {
            return Verdict::Duplicate;
        }
        request.fate = Fate::Missed;
        let in_time = now.saturating_sub(request.sent.mono) <= timeout;
        self.counters.in_flight -= 1;
        if in_time {
            self.counters.failed(reason, &mut self.touched);
        } else {
            self.counters.lost += 1;
        }
        self.failed_at(sequence);
        if in_time {
            Verdict::Counted(None)
        } else {
            Verdict::Late
        }
    }

    /// The ICMP error of this type and code has ended a request.
    pub fn told(&mut self, kind: u8, code: u8) {
        self.counters.icmp_error = u64::from(u16::from_be_bytes([kind, code])) + 1;
    }

    /// Counts as lost what has waited for the timeout at the monotonic time `now`. Answers when the next request in
    /// flight will have.
    pub fn expire(&mut self, now: u64) -> Option<u64> {
        while self.oldest != self.next {
            let sequence = self.oldest;
            let timeout = self.timing.timeout;
            if let Some(request) = self
                .find_mut(sequence)
                .filter(|request| request.fate == Fate::InFlight)
            {
                let deadline = request.sent.mono.saturating_add(timeout);
                if deadline > now {
                    return Some(deadline);
                }
                request.fate = Fate::Missed;
                self.counters.in_flight -= 1;
                self.counters.lost += 1;
                self.failed_at(sequence);
            }
            self.conclude(sequence);
            self.oldest = sequence.wrapping_add(1);
        }
        None
    }

    /// The newest remembered request whose ICMP header carried `low`.
    pub fn by_low_bits(&self, low: u16) -> Option<u32> {
        let newest = self.next.wrapping_sub(1);
        let back = (newest as u16).wrapping_sub(low);
        let sequence = newest.wrapping_sub(back.into());
        self.find(sequence).map(|request| request.sequence)
    }

    /// A request has ended, and so have all before it.
    fn conclude(&mut self, sequence: u32) {
        let answered = self.find(sequence).is_some_and(|r| r.round_trip > 0);
        self.counters.ended(answered);
        if !answered {
            self.burst += 1;
        } else if self.burst > 0 {
            let length = std::mem::take(&mut self.burst);
            self.counters.burst(length, &mut self.touched);
        }
    }

    /// Counts the delay variation against the requests just before and just after, where those are answered.
    fn compare(&mut self, sequence: u32, round_trip: u64) {
        for neighbour in [sequence.wrapping_sub(1), sequence.wrapping_add(1)] {
            let other = self.find(neighbour).map_or(0, |request| request.round_trip);
            if other > 0 {
                let difference = other.abs_diff(round_trip);
                self.counters.vary(difference, &mut self.touched);
            }
        }
    }

    fn answered_at(&mut self, sequence: u32, hop_limit: Option<u8>, class: Option<u8>) {
        if self
            .newest_answered
            .is_none_or(|newest| is_after(sequence, newest))
        {
            self.newest_answered = Some(sequence);
            self.counters.failures = 0;
        } else {
            self.counters.reordered += 1;
        }
        if let Some(hop_limit) = hop_limit.map(u64::from) {
            let before = std::mem::replace(&mut self.counters.hop_limit, hop_limit);
            self.counters.hop_limit_changes += u64::from(before != 0 && before != hop_limit);
        }
        if let Some(class) = class {
            let dscp = u64::from(class >> 2) + 1;
            let before = std::mem::replace(&mut self.counters.reply_dscp, dscp);
            self.counters.reply_dscp_changes += u64::from(before != 0 && before != dscp);
        }
        self.counters.state = State::Up;
    }

    /// What failed before the newest answered request says nothing about now.
    fn failed_at(&mut self, sequence: u32) {
        if self
            .newest_answered
            .is_none_or(|newest| is_after(sequence, newest))
        {
            self.counters.failures += 1;
            if self.counters.failures >= self.timing.down_after.into() {
                self.counters.state = State::Down;
            }
        }
    }

    fn slot(&mut self, sequence: u32) -> &mut Request {
        let mask = self.ring.len() - 1;
        &mut self.ring[sequence as usize & mask]
    }

    fn find(&self, sequence: u32) -> Option<&Request> {
        let request = &self.ring[sequence as usize & (self.ring.len() - 1)];
        (request.fate != Fate::Empty && request.sequence == sequence).then_some(request)
    }

    fn find_mut(&mut self, sequence: u32) -> Option<&mut Request> {
        let request = self.slot(sequence);
        (request.fate != Fate::Empty && request.sequence == sequence).then_some(request)
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
