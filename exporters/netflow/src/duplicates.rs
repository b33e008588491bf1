//! Flows that several exporters on a path tell of: who of them counts.
//!
//! A packet that crosses three routers is in the flows of each. Each router's interfaces carried it, so the series of interfaces have it three
//! times, as SNMP has; but a sum over devices of everything else should have it once. By policy the flow of one exporter counts and those of the
//! others are *duplicates*: they stay in the series of interfaces and are told in series of their own, and in nothing else.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::flow::{Direction, Flow};

/// How long it is remembered who tells of a conversation: longer than the active timeout, after which each tells of it again.
const MEMORY: Duration = Duration::from_secs(120);
/// Most devices of a rank.
pub const MOST_RANKED: usize = 10_000;

/// Which flows count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// All of them, at each exporter.
    #[default]
    All,
    /// Those that were measured coming in; for exporters that measure in both directions.
    Ingress,
    /// Those of one exporter for each conversation: of the one that `rank` has first, or else that told of it first.
    OneExporter,
}

/// The policy with what is remembered for it.
#[derive(Debug)]
pub struct Duplicates {
    policy: Policy,
    /// Place of a device in the configured rank.
    rank: HashMap<String, u32>,
    hasher: RandomState,
    /// Conversations by the hash of their ends and protocol, of this half of [`MEMORY`] and of the one before.
    now: HashMap<u64, Owner, RandomState>,
    before: HashMap<u64, Owner, RandomState>,
    turned: Option<Instant>,
    most: usize,
    /// Conversations that found no room: each exporter counts them.
    pub untracked: u64,
}

/// Who tells of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    exporter: u64,
    rank: u32,
}

/// An exporter as duplicates are told by.
#[derive(Debug, Clone, Copy)]
pub struct Who(Owner);

impl Duplicates {
    /// By this policy, with the devices in the order in which they count, for so many conversations.
    #[must_use]
    pub fn new(policy: Policy, rank: &[String], most: usize) -> Self {
        let rank = rank
            .iter()
            .zip(0..)
            .map(|(name, place)| (name.clone(), place));
        Self {
            policy,
            rank: rank.collect(),
            hasher: RandomState::default(),
            now: HashMap::default(),
            before: HashMap::default(),
            turned: None,
            most: most / 2,
            untracked: 0,
        }
    }

    /// A device, to be asked with for its flows.
    #[must_use]
    pub fn who(&self, device: &str) -> Who {
        if self.policy != Policy::OneExporter {
            return Who(Owner {
                exporter: 0,
                rank: 0,
            });
        }
        Who(Owner {
            exporter: self.hasher.hash_one(device),
            rank: self.rank.get(device).copied().unwrap_or(u32::MAX),
        })
    }

    /// Conversations that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.now.len() + self.before.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.now.is_empty() && self.before.is_empty()
    }

    /// Whether another exporter counts this flow, or none does.
    #[inline]
    pub fn is_one(&mut self, flow: &Flow, who: Who, now: Instant) -> bool {
        match self.policy {
            Policy::All => false,
            Policy::Ingress => flow.direction == Some(Direction::Egress),
            Policy::OneExporter => self.is_of_another(flow, who.0, now),
        }
    }

    fn is_of_another(&mut self, flow: &Flow, who: Owner, now: Instant) -> bool {
        let turned = *self.turned.get_or_insert(now);
        let passed = now.saturating_duration_since(turned);
        if passed >= MEMORY / 2 {
            self.turned = Some(now);
            self.before = std::mem::take(&mut self.now);
            if passed >= MEMORY {
                self.before.clear();
            }
        }
        let Flow {
            source,
            destination,
            source_port,
            destination_port,
            protocol,
            ..
        } = *flow;
        if source.is_none() || destination.is_none() {
            return false;
        }
        let key =
            self.hasher
                .hash_one((source, destination, source_port, destination_port, protocol));
        let known = self
            .now
            .get(&key)
            .or_else(|| self.before.get(&key))
            .copied();
        let owner = match known {
            Some(known) if known.rank <= who.rank => known,
            _ => who,
        };
        // It is remembered as long as its owner tells of it; others do not prolong it.
        if owner == who {
            if self.now.len() < self.most || self.now.contains_key(&key) {
                self.now.insert(key, who);
            } else {
                self.untracked += 1;
            }
        }
        owner.exporter != who.exporter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: u16) -> Flow {
        Flow {
            source: Some([198, 18, 0, 1].into()),
            destination: Some([198, 19, 0, 2].into()),
            source_port: port,
            protocol: 6,
            ..Flow::default()
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn who_told_first_counts_as_long_as_it_tells() {
        let mut seen = Duplicates::new(Policy::OneExporter, &[], 1_000);
        let (one, two) = (seen.who("r1"), seen.who("r2"));
        let begin = Instant::now();
        let mut is_one = |seconds: u64, port: u16, who: Who| {
            seen.is_one(&flow(port), who, begin + Duration::from_secs(seconds))
        };
        assert!(!is_one(0, 1, one));
        assert!(is_one(1, 1, two), "r1 told first");
        assert!(!is_one(1, 2, two), "another conversation");
        assert!(is_one(2, 2, one));
        // Told once a minute it goes on; then r1 falls silent, and r2 takes over.
        for minute in 1..5 {
            assert!(!is_one(minute * 60, 1, one), "{minute}");
            assert!(is_one(minute * 60 + 1, 1, two), "{minute}");
        }
        assert!(is_one(300, 1, two));
        assert!(!is_one(241 + 121, 1, two));
        assert!(is_one(363, 1, one));
        // A pause of everything: nothing is left.
        assert!(!is_one(2_000, 1, one));
    }

    #[test]
    fn who_ranks_higher_takes_over() {
        let mut seen = Duplicates::new(Policy::OneExporter, &names(&["edge", "core"]), 1_000);
        let (edge, core, other) = (seen.who("edge"), seen.who("core"), seen.who("else"));
        let now = Instant::now();
        assert!(!seen.is_one(&flow(1), other, now));
        assert!(
            !seen.is_one(&flow(1), core, now),
            "it ranks before one without a rank"
        );
        assert!(seen.is_one(&flow(1), other, now));
        assert!(!seen.is_one(&flow(1), edge, now));
        assert!(seen.is_one(&flow(1), core, now));
    }

    #[test]
    fn what_finds_no_room_counts_everywhere_and_is_told() {
        let mut seen = Duplicates::new(Policy::OneExporter, &[], 20);
        let (one, two) = (seen.who("r1"), seen.who("r2"));
        let now = Instant::now();
        for port in 0..15 {
            assert!(!seen.is_one(&flow(port), one, now));
        }
        assert_eq!((seen.untracked, seen.len()), (5, 10));
        assert!(seen.is_one(&flow(9), two, now));
        assert!(!seen.is_one(&flow(10), two, now));
    }

    #[test]
    fn by_direction_what_goes_out_is_one_and_what_does_not_say_is_none() {
        let out = Flow {
            direction: Some(Direction::Egress),
            ..flow(1)
        };
        let in_ = Flow {
            direction: Some(Direction::Ingress),
            ..flow(1)
        };
        let now = Instant::now();
        for (policy, expected) in [(Policy::All, false), (Policy::Ingress, true)] {
            let mut seen = Duplicates::new(policy, &[], 10);
            let who = seen.who("r1");
            assert_eq!(seen.is_one(&out, who, now), expected);
            assert!(!seen.is_one(&in_, who, now));
            assert!(!seen.is_one(&flow(1), who, now));
        }
    }
}
