//! What the keys of a window weigh, told apart in little memory and with few places of it read for each flow.
//!
//! Keys stand where their hash says or behind, an octet of the hash each in a row of their own: eight of those are looked at in one step, so a key
//! that is new costs no look at any other, and one that is known costs a look at itself.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

use super::super::hash::Seed;

/// Octets of the hash that are looked at in one step.
const STEP: usize = 8;
/// Fewest places.
const FEWEST: usize = 16;
/// Each octet of a step.
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGHEST: u64 = 0x80 * EACH;

/// A key as it is kept.
pub trait Words: Copy + Eq + Hash + AsRef<[u32]> + std::fmt::Debug {
    /// Of which there is nothing.
    const NOTHING: Self;
}

impl<const N: usize> Words for [u32; N] {
    const NOTHING: Self = [0; N];
}

#[inline]
fn hashed<W: Words>(key: &W, seed: Seed) -> u64 {
    seed.of(key.as_ref().chunks(2).map(|two| {
        let second = two.get(1).copied().unwrap_or(0);
        u64::from(two[0]) << 32 | u64::from(second)
    }))
}

/// What a key of the window has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    /// Its octets.
    pub(super) bytes: u64,
    /// Its packets.
    pub(super) packets: u64,
    /// The last second in which it was a candidate.
    pub(super) asked: u16,
    /// Its slot, or [`NO_SLOT`].
    pub(super) slot: u16,
}

/// What a key has that a flow was counted for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Added {
    /// Its octets.
    pub(super) bytes: u64,
    /// Where it is, until the table changes.
    pub(super) at: usize,
    /// See [`Weight::asked`].
    pub(super) asked: u16,
    /// See [`Weight::slot`].
    pub(super) slot: u16,
}

/// Of a key without a slot.
pub(super) const NO_SLOT: u16 = 0x7fff;

impl Weight {
    /// Of a key that has just come.
    pub(super) const NONE: Self = Self {
        bytes: 0,
        packets: 0,
        asked: 0,
        slot: NO_SLOT,
    };
}

/// A key with the lower halves of its numbers. Few keys have upper halves; those are kept apart.
#[derive(Debug, Clone, Copy)]
struct Entry<W> {
    key: W,
    bytes: u32,
    packets: u32,
    asked: u16,
    /// With [`UPPER`] where it has upper halves.
    slot: u16,
}

impl<W: Words> Entry<W> {
    #[inline]
    fn weight(&self, upper: &HashMap<W, (u32, u32), RandomState>) -> Weight {
        let upper = (self.slot & UPPER != 0).then(|| upper.get(&self.key));
        let (bytes, packets) = upper.flatten().copied().unwrap_or((0, 0));
        Weight {
            bytes: u64::from(bytes) << 32 | u64::from(self.bytes),
            packets: u64::from(packets) << 32 | u64::from(self.packets),
            asked: self.asked,
            slot: self.slot & !UPPER,
        }
    }
}

/// Bit of a slot that says that upper halves are kept apart.
const UPPER: u16 = 0x8000;

/// The table.
#[derive(Debug)]
pub(super) struct Tally<W> {
    /// An octet of the hash of each key with its highest bit set, 0 where there is none; the first [`STEP`] stand again behind the last.
    tags: Vec<u8>,
    entries: Vec<Entry<W>>,
    /// Upper halves of octets and packets.
    upper: HashMap<W, (u32, u32), RandomState>,
    keys: usize,
    /// So many keys find room before there must be more places.
    most: usize,
    seed: Seed,
}

impl<W> Default for Tally<W> {
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            entries: Vec::new(),
            upper: HashMap::default(),
            keys: 0,
            most: 0,
            seed: Seed::default(),
        }
    }
}

impl<W: Words> Tally<W> {
    /// Keys.
    pub(super) fn len(&self) -> usize {
        self.keys
    }

    /// Counts a flow of a key with this hash; answers what it has then. Of one with a slot the upper half of its octets is left out: nobody asks
    /// for it there.
    #[inline]
    pub(super) fn add(&mut self, key: W, hash: u64, bytes: u64, packets: u64) -> Added {
        if self.keys >= self.most {
            self.grow();
        }
        match self.find(&key, hash) {
            Ok(at) => {
                let entry = &mut self.entries[at];
                let sum = u64::from(entry.bytes).wrapping_add(bytes);
                let packets_sum = u64::from(entry.packets).wrapping_add(packets);
                let is_low = (bytes | packets | sum | packets_sum) >> 32 == 0;
                if !is_low || entry.slot == NO_SLOT | UPPER {
                    return self.add_large(at, hash, bytes, packets);
                }
                (entry.bytes, entry.packets) = (sum as u32, packets_sum as u32);
                Added {
                    bytes: sum,
                    at,
                    asked: entry.asked,
                    slot: entry.slot & !UPPER,
                }
            }
            Err(at) => {
                let weight = Weight {
                    bytes,
                    packets,
                    ..Weight::NONE
                };
                self.put(at, hash, key, weight);
                added(&weight, at)
            }
        }
    }

    /// The same where upper halves matter.
    #[cold]
    fn add_large(&mut self, at: usize, hash: u64, bytes: u64, packets: u64) -> Added {
        let before = self.weight(at);
        let weight = Weight {
            bytes: before.bytes.saturating_add(bytes),
            packets: before.packets.saturating_add(packets),
            ..before
        };
        self.keys -= 1;
        self.put(at, hash, self.entries[at].key, weight);
        added(&weight, at)
    }

    /// Notes that the key there is a candidate in this second.
    pub(super) fn ask(&mut self, at: usize, tick: u16) {
        self.entries[at].asked = tick;
    }

    /// Gives a key this weight, whether it was there or not.
    pub(super) fn set(&mut self, key: W, weight: Weight) {
        if self.keys >= self.most {
            self.grow();
        }
        let hash = hashed(&key, self.seed);
        let at = match self.find(&key, hash) {
            Ok(at) => {
                self.keys -= 1;
                at
            }
            Err(at) => at,
        };
        self.put(at, hash, key, weight);
    }

    /// The weight of a key.
    pub(super) fn get(&self, key: &W) -> Option<Weight> {
        let hash = hashed(key, self.seed);
        let at = (self.keys > 0).then(|| self.find(key, hash))?;
        at.ok().map(|at| self.weight(at))
    }

    fn weight(&self, at: usize) -> Weight {
        self.entries[at].weight(&self.upper)
    }

    /// All keys with what they weigh, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (W, Weight)> {
        self.used(1)
    }

    fn used(&self, every: usize) -> impl Iterator<Item = (W, Weight)> {
        let places = (0..self.entries.len()).step_by(every);
        let used = places.filter(|at| self.tags[*at] != 0);
        used.map(|at| (self.entries[at].key, self.weight(at)))
    }

    /// What some of the keys weigh, each at a place of its own that is as far from the next one.
    pub(super) fn sample(&self, most: usize) -> impl Iterator<Item = Weight> {
        let every = (self.entries.len() / most.max(1)).max(1);
        self.used(every).map(|(_, weight)| weight)
    }

    /// Keeps the keys of which this says so, with what it leaves them. Of memory that they no longer need much is given back.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Weight) -> bool) {
        let upper = std::mem::take(&mut self.upper);
        // Who stays moves to the front, without a branch: nobody can foresee who does. Who has upper halves is seldom and goes apart.
        let (mut kept, mut large) = (0, Vec::new());
        for at in 0..self.entries.len() {
            let mut entry = self.entries[at];
            let mut weight = entry.weight(&upper);
            let stays = keep(&mut weight) & (self.tags[at] != 0);
            if stays && (weight.bytes | weight.packets) >> 32 != 0 {
                large.push((entry.key, weight));
                continue;
            }
            (entry.bytes, entry.packets) = (weight.bytes as u32, weight.packets as u32);
            entry.slot = weight.slot;
            self.entries[kept] = entry;
            kept += usize::from(stays);
        }
        let small = self.entries[..kept].to_vec();
        let places = places(kept + large.len());
        if places * 3 < self.entries.len() {
            self.resize(places);
        } else {
            self.clear();
        }
        self.extend(large);
        for entry in small {
            let hash = hashed(&entry.key, self.seed);
            let at = self.free(hash);
            self.mark(at, tag(hash));
            self.entries[at] = entry;
            self.keys += 1;
        }
    }

    /// Forgets all keys, and keeps their memory.
    pub(super) fn clear(&mut self) {
        self.tags.fill(0);
        self.upper.clear();
        self.keys = 0;
    }

    /// Forgets all keys; the memory of an ordinary window is kept, that of a flood given back.
    pub(super) fn roll(&mut self) {
        let ordinary = places(self.keys.max(1_024));
        if self.entries.len() > 4 * ordinary {
            self.resize(ordinary);
        }
        self.clear();
    }

    fn extend(&mut self, all: impl IntoIterator<Item = (W, Weight)>) {
        for (key, weight) in all {
            let hash = hashed(&key, self.seed);
            self.put(self.free(hash), hash, key, weight);
        }
    }

    #[cold]
    fn grow(&mut self) {
        let all: Vec<(W, Weight)> = self.iter().collect();
        let more = match all.len() {
            few @ ..256 => few,
            many => many / 4,
        };
        self.resize(places(all.len() + more));
        self.extend(all);
    }

    /// Makes so many places, all without a key.
    fn resize(&mut self, places: usize) {
        let nothing = Entry {
            key: W::NOTHING,
            bytes: 0,
            packets: 0,
            asked: 0,
            slot: NO_SLOT,
        };
        // What was there is given back first.
        (self.tags, self.entries) = (Vec::new(), Vec::new());
        self.tags = vec![0; places + STEP];
        self.entries = vec![nothing; places];
        self.upper = HashMap::default();
        self.most = places / 5 * 4;
        self.keys = 0;
    }

    #[inline]
    fn put(&mut self, at: usize, hash: u64, key: W, weight: Weight) {
        let upper = ((weight.bytes >> 32) as u32, (weight.packets >> 32) as u32);
        let slot = if upper == (0, 0) {
            weight.slot
        } else {
            self.upper.insert(key, upper);
            weight.slot | UPPER
        };
        self.mark(at, tag(hash));
        self.entries[at] = Entry {
            key,
            bytes: weight.bytes as u32,
            packets: weight.packets as u32,
            asked: weight.asked,
            slot,
        };
        self.keys += 1;
    }

    #[inline]
    fn mark(&mut self, at: usize, tag: u8) {
        self.tags[at] = tag;
        if at < STEP {
            let again = self.entries.len() + at;
            self.tags[again] = tag;
        }
    }

    /// The hash of a key; has the processor fetch what will be looked at for it, and waits for none of it: memory is far, and several keys are
    /// fetched in the time of one. The second number is of no use but to be used.
    #[inline]
    pub(super) fn fetch(&self, key: W) -> (u64, u32) {
        let hash = hashed(&key, self.seed);
        let at = self.first(hash);
        let same = self.step(at) ^ (EACH * u64::from(tag(hash)));
        let same = same.wrapping_sub(EACH) & !same & HIGHEST;
        // Without such a key the place behind is where it will be put, or near.
        let place = at + (same.trailing_zeros() as usize / 8).min(STEP - 1);
        (hash, self.entries.get(place).map_or(0, |entry| entry.bytes))
    }

    /// The first place that a key with this hash may have.
    #[inline]
    fn first(&self, hash: u64) -> usize {
        (((hash & 0xffff_ffff) * self.entries.len() as u64) >> 32) as usize
    }

    /// The octets from a place on; of none where there are none.
    #[inline]
    fn step(&self, at: usize) -> u64 {
        let step = self.tags.get(at..).and_then(<[u8]>::first_chunk);
        step.map_or(0, |step| u64::from_le_bytes(*step))
    }

    /// Where a key with this hash is to be put that is not there.
    fn free(&self, hash: u64) -> usize {
        let places = self.entries.len();
        let mut at = self.first(hash);
        loop {
            let free = !self.step(at) & HIGHEST;
            if free != 0 {
                return within(at + (free.trailing_zeros() / 8) as usize, places);
            }
            at = within(at + STEP, places);
        }
    }

    /// Where a key is, or where it is to be put. There is a place without a key.
    #[inline]
    fn find(&self, key: &W, hash: u64) -> Result<usize, usize> {
        let places = self.entries.len();
        let mut at = self.first(hash);
        let looked_for = EACH * u64::from(tag(hash));
        loop {
            let tags = self.step(at);
            let other = tags ^ looked_for;
            // Octets that are zero, and now and then one behind such.
            let mut same = other.wrapping_sub(EACH) & !other & HIGHEST;
            while same != 0 {
                let place = within(at + (same.trailing_zeros() / 8) as usize, places);
                if self.entries[place].key == *key {
                    return Ok(place);
                }
                same &= same - 1;
            }
            let free = !tags & HIGHEST;
            if free != 0 {
                return Err(within(at + (free.trailing_zeros() / 8) as usize, places));
            }
            at = within(at + STEP, places);
        }
    }
}

#[inline]
fn added(weight: &Weight, at: usize) -> Added {
    Added {
        bytes: weight.bytes,
        at,
        asked: weight.asked,
        slot: weight.slot,
    }
}

#[inline]
fn within(at: usize, places: usize) -> usize {
    if at < places { at } else { at - places }
}

#[inline]
fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8 | 0x80
}

/// Places for so many keys: a fifth stays free.
fn places(keys: usize) -> usize {
    (keys + keys / 4 + 1).max(FEWEST)
}

#[cfg(test)]
mod tests;
