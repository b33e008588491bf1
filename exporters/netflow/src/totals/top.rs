//! The heaviest keys of a dimension: exact for each window, and as a handful of series that stay.
//!
//! A series that comes and goes with a naive top ten costs Prometheus thousands of series and shows nothing true: a counter that is born
//! with a value loses it to `increase()`. Here a key that has become heavy gets a *slot*. It is exposed as 0 for one scrape, then grows; until
//! then, and after it has left, its traffic is in the rest. A slot is kept for some time at least and is given away only when its key has
//! been idle and another is twice as heavy. So named and rest together grow exactly like the total at every scrape, no counter falls, and
//! there are never more series than slots and the rest.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

use super::TopBounds;

/// Keys that have grown past the lightest slot since the last tick; more wait for their next flow.
const MOST_CANDIDATES: usize = 256;

/// The heaviest keys of one dimension.
#[derive(Debug)]
pub struct Top<K> {
    bounds: TopBounds,
    window: HashMap<K, (u64, u64)>,
    /// Octets of the window whose key found no room, or had none.
    unnamed: u64,
    /// Whether a key found no room.
    crowded: bool,
    total: u64,
    slots: Vec<Slot<K>>,
    index: HashMap<K, usize>,
    candidates: Vec<K>,
    threshold: u64,
    /// Octets that belong to no slot.
    rest: u64,
    /// Slots that were given out so far.
    admitted: u64,
}

#[derive(Debug)]
struct Slot<K> {
    key: K,
    bytes: u64,
    exposed: bool,
    since: Instant,
    last: Instant,
    /// Octets a window, decaying.
    weight: u64,
    /// Octets of this window.
    now: u64,
}

/// The exact table of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window<K> {
    /// Key, octets and packets, heaviest first.
    pub rows: Vec<(K, u64, u64)>,
    /// All octets of the window.
    pub total: u64,
    /// Every key of the window was told apart. Otherwise `unnamed` bounds what a row can lack.
    pub exact: bool,
    /// Octets without a key.
    pub unnamed: u64,
}

impl<K> Default for Window<K> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            total: 0,
            exact: true,
            unnamed: 0,
        }
    }
}

impl<K: Hash + Eq + Copy + Ord> Top<K> {
    /// Without traffic.
    #[must_use]
    pub fn new(bounds: TopBounds) -> Self {
        Self {
            bounds,
            window: HashMap::new(),
            unnamed: 0,
            crowded: false,
            total: 0,
            slots: Vec::new(),
            index: HashMap::new(),
            candidates: Vec::new(),
            threshold: 0,
            rest: 0,
            admitted: 0,
        }
    }

    /// Counts traffic of a key; `None` when the flow has none.
    pub fn add(&mut self, key: Option<K>, bytes: u64, packets: u64, now: Instant) {
        self.total = self.total.saturating_add(bytes);
        let Some(key) = key else {
            self.unnamed = self.unnamed.saturating_add(bytes);
            self.rest = self.rest.saturating_add(bytes);
            return;
        };
        let room = self.window.len() < self.bounds.keys;
        let heavy = match self.window.get_mut(&key) {
            Some(entry) => {
                *entry = (
                    entry.0.saturating_add(bytes),
                    entry.1.saturating_add(packets),
                );
                entry.0
            }
            None if room => {
                self.window.insert(key, (bytes, packets));
                bytes
            }
            None => {
                self.crowded = true;
                self.unnamed = self.unnamed.saturating_add(bytes);
                0
            }
        };
        if let Some(slot) = self.index.get(&key).and_then(|at| self.slots.get_mut(*at)) {
            slot.last = now;
            slot.now = slot.now.saturating_add(bytes);
            if slot.exposed {
                slot.bytes = slot.bytes.saturating_add(bytes);
                return;
            }
        } else if heavy > self.threshold
            && self.candidates.len() < MOST_CANDIDATES
            && !self.candidates.contains(&key)
        {
            self.candidates.push(key);
        }
        self.rest = self.rest.saturating_add(bytes);
    }

    /// Gives slots to the candidates, the heaviest first.
    pub fn tick(&mut self, now: Instant) {
        let mut candidates = std::mem::take(&mut self.candidates);
        let weight = |key: &K| self.window.get(key).map_or(0, |entry| entry.0);
        candidates.sort_unstable_by_key(|key| (std::cmp::Reverse(weight(key)), *key));
        for key in candidates.drain(..) {
            let heavy = self.window.get(&key).map_or(0, |entry| entry.0);
            if self.slots.len() < self.bounds.rows * 2 {
                self.slots.push(Slot::new(key, heavy, now));
                self.seat(key, self.slots.len() - 1);
            } else if let Some(at) = self.giveable(heavy, now) {
                // What it counted stays counted; its series ends, and only later traffic of the key goes to the rest.
                let left = std::mem::replace(&mut self.slots[at], Slot::new(key, heavy, now));
                self.index.remove(&left.key);
                self.seat(key, at);
            }
        }
        self.candidates = candidates;
        self.threshold = if self.slots.len() < self.bounds.rows * 2 {
            0
        } else {
            self.slots.iter().map(Slot::heaviness).min().unwrap_or(0)
        };
    }

    fn seat(&mut self, key: K, at: usize) {
        self.index.insert(key, at);
        self.admitted += 1;
    }

    /// The lightest slot that may be given to a key of this weight: held long enough, idle, and beaten two to one.
    fn giveable(&self, heavy: u64, now: Instant) -> Option<usize> {
        let held = |slot: &Slot<K>| now.saturating_duration_since(slot.since) >= self.bounds.hold;
        let idle =
            |slot: &Slot<K>| now.saturating_duration_since(slot.last) >= self.bounds.hold / 6;
        let given = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| held(slot) && idle(slot));
        let (at, slot) = given.min_by_key(|(_, slot)| slot.heaviness())?;
        (heavy / 2 >= slot.heaviness()).then_some(at)
    }

    /// Ends the window and answers its table.
    pub fn roll(&mut self) -> Window<K> {
        let ended = self.running();
        (self.total, self.crowded, self.unnamed) = (0, false, 0);
        // The memory of an ordinary window is kept, that of a flood given back.
        if self.window.capacity() > 4 * self.window.len().max(1_024) {
            self.window = HashMap::with_capacity(self.window.len());
        } else {
            self.window.clear();
        }
        for slot in &mut self.slots {
            slot.weight = slot.weight / 5 * 4 + std::mem::take(&mut slot.now) / 5;
        }
        ended
    }

    /// The table so far of the window that runs.
    #[must_use]
    pub fn running(&self) -> Window<K> {
        let mut rows: Vec<_> = self
            .window
            .iter()
            .map(|(key, (bytes, packets))| (*key, *bytes, *packets))
            .collect();
        rows.sort_unstable_by_key(|(key, bytes, _)| (std::cmp::Reverse(*bytes), *key));
        rows.truncate(self.bounds.rows);
        Window {
            rows,
            total: self.total,
            exact: !self.crowded,
            unnamed: self.unnamed,
        }
    }

    /// The stable series for one scrape: key and octets of each slot, then the rest. A slot that is shown for the first time is shown as 0
    /// and counts from then on.
    pub fn expose(&mut self, mut each: impl FnMut(K, u64)) -> u64 {
        for slot in &mut self.slots {
            each(slot.key, slot.bytes);
            slot.exposed = true;
        }
        self.rest
    }

    /// Slots in use, and how many were given out so far.
    #[must_use]
    pub fn slots(&self) -> (usize, u64) {
        (self.slots.len(), self.admitted)
    }
}

impl<K> Slot<K> {
    fn new(key: K, heavy: u64, now: Instant) -> Self {
        Self {
            key,
            bytes: 0,
            exposed: false,
            since: now,
            last: now,
            weight: 0,
            now: heavy,
        }
    }

    fn heaviness(&self) -> u64 {
        self.weight.max(self.now)
    }
}

#[cfg(test)]
mod tests;
