//! What waits when more comes than can be counted: the datagrams of each sender in a lane of its own, so that who floods loses his own.
//!
//! The kernel's buffer is one for all, and when it is full it drops whatever comes. So while it fills, it is emptied as fast as datagrams can be
//! copied, and the lanes are counted in turns. A lane may hold as much as all of them together leave free, after A. K. Choudhury and
//! E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet switches" (1998): one that floods has half of the memory, and the
//! others find room in the other half.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use foldhash::fast::RandomState;

/// Octets that a datagram takes beside its own.
const BESIDE: usize = 64;

/// The lanes.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: HashMap<IpAddr, Lane, RandomState>,
    /// Whose turn it is; each sender with a lane is in it once.
    turns: VecDeque<IpAddr>,
    octets: usize,
    most: usize,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<(SocketAddr, Box<[u8]>)>,
    octets: usize,
}

impl Lanes {
    /// Without a datagram, for so many octets of all together.
    pub(super) fn new(most: usize) -> Self {
        Self {
            lanes: HashMap::default(),
            turns: VecDeque::new(),
            octets: 0,
            most,
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Lets a datagram wait; `false` when its sender's lane is full.
    pub(super) fn push(&mut self, from: SocketAddr, datagram: &[u8]) -> bool {
        let sender = from.ip().to_canonical();
        let octets = datagram.len() + BESIDE;
        let held = self.lanes.get(&sender).map_or(0, |lane| lane.octets);
        if held + octets > self.most.saturating_sub(self.octets) {
            return false;
        }
        if held == 0 {
            self.turns.push_back(sender);
        }
        let lane = self.lanes.entry(sender).or_default();
        lane.waiting.push_back((from, datagram.into()));
        lane.octets += octets;
        self.octets += octets;
        true
    }

    /// The oldest datagram of the sender whose turn it is.
    pub(super) fn next(&mut self) -> Option<(SocketAddr, Box<[u8]>)> {
        let sender = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&sender)?;
        let next = lane.waiting.pop_front()?;
        let octets = next.1.len() + BESIDE;
        lane.octets -= octets;
        self.octets -= octets;
        if lane.waiting.is_empty() {
            self.lanes.remove(&sender);
        } else {
            self.turns.push_back(sender);
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_floods_fills_his_own_lane_and_turns_are_fair() {
        let mut lanes = Lanes::new(200 * (100 + BESIDE));
        let flood: SocketAddr = "198.18.0.1:1".parse().unwrap();
        let other: SocketAddr = "198.18.0.2:1".parse().unwrap();
        let taken = (0..1_000_u32).filter(|_| lanes.push(flood, &[0; 100]));
        assert_eq!(taken.count(), 100, "half of the memory is his");
        // Another port of his is no other sender.
        assert!(!lanes.push(SocketAddr::new(flood.ip(), 2), &[0; 100]));
        for number in 0..40 {
            assert!(lanes.push(other, &[number; 100]));
        }
        let mut seen = Vec::new();
        for turn in 0..80 {
            let (from, datagram) = lanes.next().unwrap();
            assert_eq!(from, if turn % 2 == 0 { flood } else { other });
            if from == other {
                seen.push(datagram[0]);
            }
        }
        assert_eq!(seen, (0..40).collect::<Vec<u8>>(), "in their order");
        let left = std::iter::from_fn(|| lanes.next()).count();
        assert_eq!((left, lanes.is_empty(), lanes.octets), (60, true, 0));
        assert!(lanes.push(flood, &[0; 100]), "there is room again");
    }
}
