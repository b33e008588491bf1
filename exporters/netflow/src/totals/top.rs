//! The heaviest keys of a dimension: exact for each window, and as a handful of series that stay.
//!
//! A series that comes and goes with a naive top ten costs Prometheus thousands of series and shows nothing true: a counter that is born
//! with a value loses it to `increase()`. Here a key that has become heavy gets a *slot*. It is exposed as 0 for one scrape, then grows; until
//! then, and after it has left, its traffic is in the rest. A slot is kept for some time at least and is given away only when its key has
//! been idle and another is twice as heavy; or at once to one that is eight times as heavy, so that an attack is seen in seconds. So named and rest
//! together grow exactly like the total at every scrape, no counter falls, there are never more series than slots and the rest, and never
//! more than [`MOST_ADMISSIONS`] new ones an hour.
//!
//! A window tells its keys apart exactly as long as they find room. Then the lighter half is dropped (Misra and Gries, "Finding repeated
//! elements", 1982, with weights): by how much a row may lack is known for certain, see [`Window::error`].

mod tally;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::spread::{Lay, Series};
use super::{Talk, TopBounds};
pub use tally::Words;
use tally::{Added, NO_SLOT, Tally, Weight};

/// Keys that have grown past the threshold since the last tick; more wait for their next flow.
const MOST_CANDIDATES: usize = 256;
/// Places of a table whose keys are looked at to find how heavy the lighter half is.
const SAMPLE: usize = 1_024;
/// New series an hour.
pub const MOST_ADMISSIONS: usize = 50;
const HOUR: Duration = Duration::from_secs(3_600);
/// So many times as heavy as the lightest slot takes its place at once.
const OVERWHELMING: u64 = 8;

/// What flows are told apart by. Of each kind of address there is a table of its own, so that keys of IPv4 take a quarter of the memory.
pub trait Key: Copy + Ord {
    /// One of IPv4 as it is kept.
    type Small: Words;
    /// Another one as it is kept.
    type Large: Words;

    /// How it is kept.
    fn pack(self) -> Packed<Self::Small, Self::Large>;
    /// The key that is kept so.
    fn unpack(packed: Packed<Self::Small, Self::Large>) -> Self;
}

/// A key as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed<S, L> {
    /// Of IPv4.
    Small(S),
    /// Of IPv6.
    Large(L),
}

/// The keys of a window.
#[derive(Debug)]
struct Weights<K: Key> {
    small: Tally<K::Small>,
    large: Tally<K::Large>,
}

impl<K: Key> Weights<K> {
    fn new() -> Self {
        Self {
            small: Tally::default(),
            large: Tally::default(),
        }
    }

    fn len(&self) -> usize {
        self.small.len() + self.large.len()
    }

    #[inline]
    fn add(&mut self, key: K, hash: u64, lay: &Lay) -> Added {
        match key.pack() {
            Packed::Small(key) => self.small.add(key, hash, lay.bytes, lay.packets),
            Packed::Large(key) => self.large.add(key, hash, lay.bytes, lay.packets),
        }
    }

    /// The key is a candidate in this second.
    fn ask(&mut self, key: K, at: usize, tick: u16) {
        match key.pack() {
            Packed::Small(_) => self.small.ask(at, tick),
            Packed::Large(_) => self.large.ask(at, tick),
        }
    }

    fn get(&self, key: K) -> Option<Weight> {
        match key.pack() {
            Packed::Small(key) => self.small.get(&key),
            Packed::Large(key) => self.large.get(&key),
        }
    }

    fn set(&mut self, key: K, weight: Weight) {
        match key.pack() {
            Packed::Small(key) => self.small.set(key, weight),
            Packed::Large(key) => self.large.set(key, weight),
        }
    }

    /// Changes the weight of a key that is there.
    fn change(&mut self, key: K, change: impl FnOnce(&mut Weight)) {
        if let Some(mut weight) = self.get(key) {
            change(&mut weight);
            self.set(key, weight);
        }
    }

    /// Octets of a key that has no slot.
    fn waiting(&self, key: K) -> u64 {
        let weight = self.get(key).filter(|weight| weight.slot == NO_SLOT);
        weight.map_or(0, |weight| weight.bytes)
    }

    /// Octets of some of the keys, or of all where there are few.
    fn sample(&self) -> Vec<u64> {
        if self.len() <= SAMPLE {
            return self.iter().map(|(_, weight)| weight.bytes).collect();
        }
        let small = self.small.sample(SAMPLE);
        let sample = small.chain(self.large.sample(SAMPLE));
        sample.map(|weight| weight.bytes).collect()
    }

    fn iter(&self) -> impl Iterator<Item = (K, Weight)> {
        let small = self.small.iter();
        let small = small.map(|(key, weight)| (K::unpack(Packed::Small(key)), weight));
        let large = self.large.iter();
        small.chain(large.map(|(key, weight)| (K::unpack(Packed::Large(key)), weight)))
    }
}

/// The heaviest keys of one dimension.
#[derive(Debug)]
pub struct Top<K: Key> {
    bounds: TopBounds,
    window: Weights<K>,
    /// Octets of the window without a key.
    unnamed: u64,
    /// Octets that any key of the window may lack.
    error: u64,
    total: u64,
    slots: Vec<Slot<K>>,
    candidates: Vec<K>,
    threshold: u64,
    /// Seconds that have passed.
    tick: u16,
    /// Octets that slots showed whose keys have left.
    left: u64,
    /// Slots that were given out so far.
    admitted: u64,
    /// When those of the last hour were.
    admissions: VecDeque<Instant>,
}

#[derive(Debug)]
struct Slot<K> {
    key: K,
    series: Series,
    exposed: bool,
    since: Instant,
    last: Instant,
    /// Octets a window, decaying.
    weight: u64,
    /// Octets of this window.
    now: u64,
}

/// The table of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window<K> {
    /// Key, octets and packets, heaviest first.
    pub rows: Vec<(K, u64, u64)>,
    /// All octets of the window.
    pub total: u64,
    /// Octets that a row may lack at most, and that a key without a row may have beyond those of the last row; 0 when every key was told apart.
    pub error: u64,
    /// Octets without a key.
    pub unnamed: u64,
}

impl<K> Default for Window<K> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            total: 0,
            error: 0,
            unnamed: 0,
        }
    }
}

impl<K: Key> Top<K> {
    /// Without traffic.
    #[must_use]
    pub fn new(bounds: TopBounds) -> Self {
        Self {
            bounds,
            window: Weights::new(),
            unnamed: 0,
            error: 0,
            total: 0,
            slots: Vec::new(),
            candidates: Vec::new(),
            threshold: 0,
            tick: 1,
            left: 0,
            admitted: 0,
            admissions: VecDeque::new(),
        }
    }

    /// Counts the traffic of these, of each by its key, if it has one, whose hash [`Top::fetch`] told.
    #[inline]
    pub(super) fn add_all(
        &mut self,
        talks: &[Talk],
        hashes: &[u64],
        key: impl Fn(&Talk) -> Option<K>,
        now: Instant,
    ) {
        for (talk, hash) in talks.iter().zip(hashes) {
            self.add(key(talk), *hash, &talk.lay, now);
        }
    }

    #[inline]
    fn add(&mut self, key: Option<K>, hash: u64, lay: &Lay, now: Instant) {
        let bytes = lay.bytes;
        self.total = self.total.saturating_add(bytes);
        let Some(key) = key else {
            self.unnamed = self.unnamed.saturating_add(bytes);
            return;
        };
        let added = self.window.add(key, hash, lay);
        if added.slot != NO_SLOT {
            if let Some(slot) = self.slots.get_mut(usize::from(added.slot)) {
                slot.add(lay, now);
            }
        } else if added.bytes > self.threshold
            && added.asked != self.tick
            && self.candidates.len() < MOST_CANDIDATES
        {
            self.window.ask(key, added.at, self.tick);
            self.candidates.push(key);
        }
        if self.window.len() > self.bounds.keys {
            self.purge(self.bounds.keys / 2);
        }
    }

    /// The hash of a key; has the processor fetch what [`Top::add_all`] will look at, see [`Tally::fetch`].
    #[inline]
    pub(super) fn fetch(&self, key: Option<K>) -> (u64, u32) {
        match key.map(K::pack) {
            Some(Packed::Small(key)) => self.window.small.fetch(key),
            Some(Packed::Large(key)) => self.window.large.fetch(key),
            None => (0, 0),
        }
    }

    /// Drops the lightest keys of the window until about so many are left, and takes from the others what the heaviest of those had. The cut is
    /// estimated from a sample; the bound of the error is none.
    pub fn purge(&mut self, most: usize) {
        let most = most.max(2 * self.bounds.rows);
        while self.window.len() > most + most / 8 {
            let mut weights = self.window.sample();
            if weights.is_empty() {
                return;
            }
            let at = weights.len() - weights.len() * most / self.window.len();
            let at = at.min(weights.len() - 1);
            let (_, cut, _) = weights.select_nth_unstable(at);
            let cut = (*cut).max(1);
            // Whoever has a slot stays: there are at most twice as many as rows.
            let keep = |weight: &mut Weight| {
                weight.bytes = weight.bytes.saturating_sub(cut);
                (weight.bytes > 0) | (weight.slot != NO_SLOT)
            };
            self.window.small.retain(keep);
            self.window.large.retain(keep);
            self.error = self.error.saturating_add(cut);
        }
    }

    /// Keys of the window.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.window.len()
    }

    /// Gives slots to the candidates, the heaviest first.
    pub fn tick(&mut self, now: Instant) {
        self.tick = self.tick.wrapping_add(1);
        while self
            .admissions
            .front()
            .is_some_and(|then| now.saturating_duration_since(*then) >= HOUR)
        {
            self.admissions.pop_front();
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort_unstable_by_key(|key| (std::cmp::Reverse(self.window.waiting(*key)), *key));
        for key in candidates {
            if self.admissions.len() >= MOST_ADMISSIONS {
                break;
            }
            // One that was a candidate on both sides of a window's end has its slot by now.
            let heavy = self.window.waiting(key);
            if heavy > 0 && self.is_among_the_first(heavy) {
                if self.slots.len() < self.bounds.rows * 2 {
                    self.slots
                        .reserve_exact(self.bounds.rows * 2 - self.slots.len());
                    self.slots.push(Slot::new(key, heavy, now));
                    self.seat(key, self.slots.len() - 1, now);
                } else if let Some(at) = self.giveable(heavy, now) {
                    // What it has shown stays shown; its series ends, and what it has not shown yet is of the rest.
                    let left = std::mem::replace(&mut self.slots[at], Slot::new(key, heavy, now));
                    self.left = self.left.saturating_add(left.series.shown.bytes);
                    self.window.change(left.key, |weight| weight.slot = NO_SLOT);
                    self.seat(key, at, now);
                }
            }
        }
        self.threshold = if self.slots.len() < self.bounds.rows {
            0
        } else {
            self.slots.iter().map(Slot::heaviness).min().unwrap_or(0)
        };
    }

    /// Whether a key of this weight would have a row of a table.
    fn is_among_the_first(&self, heavy: u64) -> bool {
        let heavier = self
            .slots
            .iter()
            .filter(|slot| slot.heaviness() >= heavy)
            .count();
        heavier < self.bounds.rows
    }

    fn seat(&mut self, key: K, at: usize, now: Instant) {
        self.window.change(key, |weight| weight.slot = at as u16);
        self.admitted += 1;
        self.admissions.push_back(now);
    }

    /// The lightest slot that may be given to a key of this weight: held long enough, idle and beaten two to one, or beaten eight to one.
    fn giveable(&self, heavy: u64, now: Instant) -> Option<usize> {
        let free = |slot: &Slot<K>| {
            let held = now.saturating_duration_since(slot.since) >= self.bounds.hold;
            let idle = now.saturating_duration_since(slot.last) >= self.bounds.hold / 6;
            let times = if held && idle { 2 } else { OVERWHELMING };
            heavy / times >= slot.heaviness()
        };
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| free(slot));
        let lightest = slots.min_by_key(|(_, slot)| slot.heaviness());
        lightest.map(|(at, _)| at)
    }

    /// Lets every slot show these buckets.
    pub fn take_over(&mut self, buckets: &std::ops::Range<u64>) {
        for slot in &mut self.slots {
            slot.series.take_over(buckets);
        }
    }

    /// Ends the window; its table is that which [`Top::running`] told before.
    pub fn roll(&mut self) {
        (self.total, self.error, self.unnamed) = (0, 0, 0);
        self.window.small.roll();
        self.window.large.roll();
        for (slot, at) in self.slots.iter_mut().zip(0..) {
            slot.weight = slot.weight / 5 * 4 + std::mem::take(&mut slot.now) / 5;
            let weight = Weight {
                slot: at,
                ..Weight::NONE
            };
            self.window.set(slot.key, weight);
        }
    }

    /// The table so far of the window that runs.
    #[must_use]
    pub fn running(&self) -> Window<K> {
        let mut rows: Vec<_> = self
            .window
            .iter()
            .filter(|(_, weight)| weight.bytes > 0)
            .map(|(key, weight)| (key, weight.bytes, weight.packets))
            .collect();
        let order = |(key, bytes, _): &(K, u64, u64)| (std::cmp::Reverse(*bytes), *key);
        if rows.len() > self.bounds.rows {
            rows.select_nth_unstable_by_key(self.bounds.rows, order);
            rows.truncate(self.bounds.rows);
        }
        rows.sort_unstable_by_key(order);
        Window {
            rows,
            total: self.total,
            error: self.error,
            unnamed: self.unnamed,
        }
    }

    /// Octets that a key of the window that runs may lack.
    #[must_use]
    pub fn error(&self) -> u64 {
        self.error
    }

    /// The stable series for one scrape: key and octets of each slot; answers the rest of this total, which all keys have shown together. A slot
    /// that is shown for the first time is shown as 0 and counts from then on.
    pub fn expose(&mut self, total: u64, mut each: impl FnMut(K, u64)) -> u64 {
        let mut named = self.left;
        for slot in &mut self.slots {
            let bytes = slot.series.shown.bytes;
            each(slot.key, bytes);
            slot.exposed = true;
            named = named.saturating_add(bytes);
        }
        total.saturating_sub(named)
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
            series: Series::default(),
            exposed: false,
            since: now,
            last: now,
            weight: 0,
            now: heavy,
        }
    }

    #[inline]
    fn add(&mut self, lay: &Lay, now: Instant) {
        self.last = now;
        self.now = self.now.saturating_add(lay.bytes);
        if self.exposed {
            self.series.add(lay);
        }
    }

    fn heaviness(&self) -> u64 {
        self.weight.max(self.now)
    }
}

#[cfg(test)]
mod tests;
