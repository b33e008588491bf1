//! Which senders are heavy: the few that could fill a buffer that all share.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// One datagram in so many is looked at, by chance: whoever is heavy shows in a sample.
const SAMPLED: u32 = 8;
/// How long is counted before it is judged.
const WINDOW: Duration = Duration::from_millis(50);
/// Datagrams per second from which a sender is heavy.
const HEAVY: u32 = 2_000;
/// Senders counted at a time.
const SENDERS: usize = 1_024;

/// Counts of a sample of what came in a short time, by sender and by the sender's address alone.
pub(super) struct HeavySenders {
    counts: HashMap<SocketAddr, u32>,
    addresses: HashMap<IpAddr, u32>,
    chance: u64,
    since: Instant,
}

/// Who was heavy, the heaviest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Senders by address and port.
    pub(super) senders: Vec<SocketAddr>,
    /// Addresses that are heavy also without those.
    pub(super) addresses: Vec<IpAddr>,
}

impl HeavySenders {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            counts: HashMap::new(),
            addresses: HashMap::new(),
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
        if self.chance >> 32 < (1 << 32) / u64::from(SAMPLED) {
            count(&mut self.counts, sender);
            count(&mut self.addresses, sender.ip());
        }
    }

    /// Who is heavy, when it is time to judge.
    pub(super) fn judge(&mut self, now: Instant) -> Found {
        let past = now.duration_since(self.since);
        if past < WINDOW {
            return Found::default();
        }
        self.since = now;
        let least = f64::from(HEAVY / SAMPLED) * past.as_secs_f64();
        let senders = heaviest(&mut self.counts, least);
        for (sender, count) in &senders {
            if let Some(all) = self.addresses.get_mut(&sender.ip()) {
                *all = all.saturating_sub(*count);
            }
        }
        let addresses = heaviest(&mut self.addresses, least);
        Found {
            senders: senders.into_iter().map(|s| s.0).collect(),
            addresses: addresses.into_iter().map(|a| a.0).collect(),
        }
    }
}

fn count<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) {
    if counts.len() < SENDERS || counts.contains_key(&key) {
        *counts.entry(key).or_default() += 1;
    }
}

/// Empties the counts; gives those of at least so many, the highest first.
fn heaviest<K: Hash + Ord>(counts: &mut HashMap<K, u32>, least: f64) -> Vec<(K, u32)> {
    let mut heavy: Vec<(K, u32)> = counts
        .drain()
        .filter(|(_, count)| f64::from(*count) >= least)
        .collect();
    heavy.sort_unstable_by(|a, b| (b.1, &b.0).cmp(&(a.1, &a.0)));
    heavy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_sends_much_is_heavy() {
        let begin = Instant::now();
        let mut heavy = HeavySenders::new(begin);
        let sender = |last: u8| SocketAddr::from(([192, 0, 2, last], 514));
        // A tenth of a second: 1,000 of one, 400 of another, 50 each of four.
        for at in 0..1_000 {
            heavy.note(sender(1));
            if at % 5 < 2 {
                heavy.note(sender(2));
            }
            if at % 5 == 0 {
                heavy.note(sender(10 + (at / 5 % 4) as u8));
            }
        }
        assert_eq!(heavy.judge(begin + WINDOW / 2), Found::default());
        let later = begin + Duration::from_millis(100);
        let found = heavy.judge(later);
        assert_eq!(found.senders, [sender(1), sender(2)]);
        assert_eq!(found.addresses, [] as [IpAddr; 0]);
        assert_eq!(heavy.judge(later + WINDOW), Found::default());
    }

    #[test]
    fn an_address_is_heavy_that_sends_from_ever_new_ports() {
        let begin = Instant::now();
        let mut heavy = HeavySenders::new(begin);
        for at in 0..10_000 {
            heavy.note(SocketAddr::from(([192, 0, 2, 1], 1_024 + at)));
            if at % 2 == 0 {
                heavy.note(SocketAddr::from(([192, 0, 2, 2], 514)));
            }
            if at % 100 == 0 {
                heavy.note(SocketAddr::from(([192, 0, 2, 3], at)));
            }
        }
        let found = heavy.judge(begin + Duration::from_millis(100));
        assert_eq!(found.senders, [SocketAddr::from(([192, 0, 2, 2], 514))]);
        assert_eq!(found.addresses, [IpAddr::from([192, 0, 2, 1])]);
    }
}
