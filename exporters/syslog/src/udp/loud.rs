//! Which senders are loud: the few that could fill a buffer that all share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One datagram in so many is looked at, by chance: whoever is loud shows in a sample.
const SAMPLED: u32 = 8;
/// How long is counted before it is judged.
const WINDOW: Duration = Duration::from_millis(50);
/// Datagrams per second from which a sender is loud.
const LOUD: u32 = 2_000;
/// Senders counted at a time.
const SENDERS: usize = 1_024;

/// Counts of a sample of what came in a short time, by sender.
pub(super) struct Loud {
    counts: HashMap<SocketAddr, u32>,
    chance: u64,
    since: Instant,
}

impl Loud {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            counts: HashMap::new(),
            chance: 1,
            since: now,
        }
    }

    /// Counts a datagram.
    pub(super) fn note(&mut self, sender: SocketAddr) {
        // A linear congruence (Knuth's): its upper bits have no short period that the traffic could share.
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        if self.chance >> 32 < (1 << 32) / u64::from(SAMPLED)
            && (self.counts.len() < SENDERS || self.counts.contains_key(&sender))
        {
            *self.counts.entry(sender).or_default() += 1;
        }
    }

    /// The loud senders, when it is time to judge; the loudest first.
    pub(super) fn judge(&mut self, now: Instant) -> Vec<SocketAddr> {
        let past = now.duration_since(self.since);
        if past < WINDOW {
            return Vec::new();
        }
        self.since = now;
        let least = f64::from(LOUD / SAMPLED) * past.as_secs_f64();
        let mut loud: Vec<(u32, SocketAddr)> = self
            .counts
            .drain()
            .filter(|(_, count)| f64::from(*count) >= least)
            .map(|(sender, count)| (count, sender))
            .collect();
        loud.sort_unstable_by(|a, b| b.cmp(a));
        loud.into_iter().map(|(_, sender)| sender).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_sends_much_is_loud() {
        let begin = Instant::now();
        let mut loud = Loud::new(begin);
        let sender = |last: u8| SocketAddr::from(([192, 0, 2, last], 514));
        // A tenth of a second: 1,000 of one, 400 of another, 50 each of four.
        for at in 0..1_000 {
            loud.note(sender(1));
            if at % 5 < 2 {
                loud.note(sender(2));
            }
            if at % 5 == 0 {
                loud.note(sender(10 + (at / 5 % 4) as u8));
            }
        }
        assert_eq!(loud.judge(begin + WINDOW / 2), []);
        let later = begin + Duration::from_millis(100);
        assert_eq!(loud.judge(later), [sender(1), sender(2)]);
        assert_eq!(loud.judge(later + WINDOW), []);
    }
}
