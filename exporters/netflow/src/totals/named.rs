//! Counters by key, up to a bound, which are found in a step or two.

use super::hash::Seed;
use super::spread::{Lay, Series};
use super::{Counts, Passage};
use crate::networks::Network;

/// Fewest places.
const FEWEST: usize = 8;

/// What counters are told apart by.
pub trait Word: Copy + Ord {
    /// A number that no other key has.
    fn word(self) -> u64;
}

impl Word for u32 {
    fn word(self) -> u64 {
        self.into()
    }
}

impl Word for (u32, Passage) {
    fn word(self) -> u64 {
        u64::from(self.0) << 2 | self.1 as u64
    }
}

impl Word for (Option<Network>, Option<Network>) {
    fn word(self) -> u64 {
        let one = |network: Option<Network>| network.map_or(0, |network| network.number() + 1);
        u64::from(one(self.0)) << 32 | u64::from(one(self.1))
    }
}

/// All counters that have a key, without a bound: none is ever forgotten.
#[derive(Debug)]
pub(super) struct All<K> {
    all: Vec<(K, Series)>,
    /// By hash, or behind, one more than the place among all; 0 where there is none. At least half of them are.
    places: Box<[u32]>,
    seed: Seed,
}

impl<K> Default for All<K> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            places: Box::default(),
            seed: Seed::default(),
        }
    }
}

impl<K: Word> All<K> {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, Series)> {
        self.all.iter()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut Series> {
        let word = key.word();
        let last = self.places.len().wrapping_sub(1);
        let mut at = self.seed.of([word]) as usize;
        loop {
            let place = self.places.get(at & last)?.checked_sub(1)? as usize;
            if self.all.get(place)?.0.word() == word {
                return self.all.get_mut(place).map(|(_, series)| series);
            }
            at = at.wrapping_add(1);
        }
    }

    /// The counter of a key that is not there yet.
    #[cold]
    pub(super) fn insert(&mut self, key: K) -> Option<&mut Series> {
        self.all.push((key, Series::default()));
        if self.all.len() * 2 > self.places.len() {
            self.places = vec![0; (self.all.len() * 4).next_power_of_two().max(FEWEST)].into();
            (0..self.all.len()).for_each(|place| self.place(place));
        } else {
            self.place(self.all.len() - 1);
        }
        self.all.last_mut().map(|(_, series)| series)
    }

    fn place(&mut self, place: usize) {
        let last = self.places.len() - 1;
        let mut at = self.seed.of([self.all[place].0.word()]) as usize;
        while self.places[at & last] != 0 {
            at = at.wrapping_add(1);
        }
        self.places[at & last] = place as u32 + 1;
    }

    pub(super) fn take_over(&mut self, buckets: &std::ops::Range<u64>) {
        for (_, series) in &mut self.all {
            series.take_over(buckets);
        }
    }
}

/// Counts by key, up to a bound.
#[derive(Debug)]
pub struct Bounded<K> {
    most: usize,
    named: All<K>,
}

impl<K: Word> Bounded<K> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            named: All::default(),
        }
    }

    /// Counts for a key; `false` when there is no room for it.
    #[inline]
    pub(super) fn add(&mut self, key: K, lay: &Lay) -> bool {
        if let Some(series) = self.named.get_mut(key) {
            series.add(lay);
            return true;
        }
        let room = self.named.len() < self.most;
        if room && let Some(series) = self.named.insert(key) {
            series.add(lay);
        }
        room
    }

    pub(super) fn take_over(&mut self, buckets: &std::ops::Range<u64>) {
        self.named.take_over(buckets);
    }

    /// All keys in their order.
    #[must_use]
    pub fn sorted(&self) -> Vec<(K, Counts)> {
        let all = self.named.iter();
        let mut all: Vec<_> = all.map(|(key, series)| (*key, series.shown)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    /// What of a total has no key, or found no room.
    #[must_use]
    pub fn rest(&self, total: Counts) -> Counts {
        let shown = self.named.iter().map(|(_, series)| series.shown);
        shown.fold(total, |rest, named| Counts {
            bytes: rest.bytes.saturating_sub(named.bytes),
            packets: rest.packets.saturating_sub(named.packets),
            flows: rest.flows.saturating_sub(named.flows),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::spread::{Accounting, Timeline};
    use super::*;
    use crate::flow::Flow;

    #[test]
    fn each_key_has_its_own_counter_up_to_the_bound() {
        let now = Instant::now();
        let mut timeline = Timeline::new(Accounting::Arrival, now);
        let mut one = |bytes: u64| {
            let flow = Flow {
                bytes,
                ..Flow::default()
            };
            timeline.lay(&flow, now)
        };
        let mut bounded = Bounded::<(u32, Passage)>::new(600);
        for round in 1..=3_u64 {
            for index in 0..400 {
                for passage in [Passage::In, Passage::Out] {
                    let counted = bounded.add((index, passage), &one(u64::from(index) + round));
                    assert_eq!(counted, index < 300, "{index}");
                }
            }
        }
        let sorted = bounded.sorted();
        assert_eq!(sorted.len(), 600);
        for ((index, _), counts) in &sorted {
            assert_eq!((counts.bytes, counts.flows), (u64::from(*index) * 3 + 6, 3));
        }
        let all = Counts {
            bytes: 1_000_000,
            packets: 0,
            flows: 2_400,
        };
        let named: u64 = sorted.iter().map(|(_, counts)| counts.bytes).sum();
        let rest = bounded.rest(all);
        assert_eq!((rest.bytes, rest.flows), (1_000_000 - named, 600));
    }
}
