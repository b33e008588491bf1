//! What the keys of a window weigh, told apart in little memory and with few places of it read for each flow.
//!
//! Keys stand where their hash says or behind, an octet of the hash each in a row of their own: eight of those are looked at in one step, so a key
//! that is new costs no look at any other, and one that is known costs a look at itself.

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;

/// Octets of the hash that are looked at in one step.
const STEP: usize = 8;
/// Fewest places.
const FEWEST: usize = 16;
/// Each octet of a step.
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGHEST: u64 = 0x80 * EACH;

/// A key as it is kept.
pub trait Words: Copy + Eq + std::fmt::Debug {
    /// Of which there is nothing.
    const NOTHING: Self;

    /// Its hash with this seed.
    fn hash(&self, seed: &RandomState) -> u64;
}

impl<const N: usize> Words for [u32; N] {
    const NOTHING: Self = [0; N];

    #[inline]
    fn hash(&self, seed: &RandomState) -> u64 {
        let mut hasher = seed.build_hasher();
        for two in self.chunks(2) {
            let second = two.get(1).copied().unwrap_or(0);
            hasher.write_u64(u64::from(two[0]) << 32 | u64::from(second));
        }
        hasher.finish()
    }
}

/// What a key of the window has; numbers in halves, so that it stands beside a short key without a gap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    bytes: [u32; 2],
    packets: [u32; 2],
    /// The last second in which it was a candidate.
    pub(super) asked: u16,
    /// Its slot, or [`NO_SLOT`].
    pub(super) slot: u16,
}

/// Of a key without a slot.
pub(super) const NO_SLOT: u16 = u16::MAX;

const fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

const fn whole([low, high]: [u32; 2]) -> u64 {
    (high as u64) << 32 | low as u64
}

impl Weight {
    const NONE: Self = Self {
        bytes: [0; 2],
        packets: [0; 2],
        asked: 0,
        slot: NO_SLOT,
    };

    /// Of nothing yet.
    pub(super) fn of_slot(slot: u16) -> Self {
        Self { slot, ..Self::NONE }
    }

    /// Its octets.
    #[inline]
    pub(super) fn bytes(&self) -> u64 {
        whole(self.bytes)
    }

    /// Its packets.
    pub(super) fn packets(&self) -> u64 {
        whole(self.packets)
    }

    /// Counts a flow.
    #[inline]
    pub(super) fn add(&mut self, bytes: u64, packets: u64) {
        self.bytes = halves(whole(self.bytes).saturating_add(bytes));
        self.packets = halves(whole(self.packets).saturating_add(packets));
    }

    /// Takes octets from it, as many as there are.
    pub(super) fn less(&mut self, bytes: u64) {
        self.bytes = halves(whole(self.bytes).saturating_sub(bytes));
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Tally<W> {
    /// An octet of the hash of each key with its highest bit set, 0 where there is none; the first [`STEP`] stand again behind the last.
    tags: Vec<u8>,
    entries: Vec<(W, Weight)>,
    keys: usize,
    /// So many keys find room before there must be more places.
    most: usize,
    seed: RandomState,
}

impl<W> Default for Tally<W> {
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            entries: Vec::new(),
            keys: 0,
            most: 0,
            seed: RandomState::default(),
        }
    }
}

impl<W: Words> Tally<W> {
    /// Keys.
    pub(super) fn len(&self) -> usize {
        self.keys
    }

    /// The weight of a key, which is made where there is none.
    #[inline]
    pub(super) fn entry(&mut self, key: W) -> &mut Weight {
        if self.keys >= self.most {
            self.grow();
        }
        let hash = key.hash(&self.seed);
        let at = match self.find(&key, hash) {
            Ok(at) => at,
            Err(at) => {
                self.put(at, hash, (key, Weight::NONE));
                at
            }
        };
        &mut self.entries[at].1
    }

    /// The weight of a key.
    pub(super) fn get(&self, key: &W) -> Option<&Weight> {
        let hash = key.hash(&self.seed);
        let at = (self.keys > 0).then(|| self.find(key, hash))?;
        at.ok().map(|at| &self.entries[at].1)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, key: &W) -> Option<&mut Weight> {
        let hash = key.hash(&self.seed);
        let at = (self.keys > 0).then(|| self.find(key, hash))?;
        at.ok().map(|at| &mut self.entries[at].1)
    }

    /// All keys with what they weigh, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(W, Weight)> {
        let all = self.tags.iter().zip(&self.entries);
        all.filter(|(tag, _)| **tag != 0).map(|(_, entry)| entry)
    }

    /// Keeps the keys of which this says so. Of memory that they no longer need much is given back.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Weight) -> bool) {
        let mut kept: Vec<(W, Weight)> = self.iter().copied().collect();
        kept.retain_mut(|(_, weight)| keep(weight));
        if places(kept.len()) * 3 < self.entries.len() {
            self.resize(places(kept.len()));
        } else {
            self.clear();
        }
        self.extend(kept);
    }

    /// Forgets all keys, and keeps their memory.
    pub(super) fn clear(&mut self) {
        self.tags.fill(0);
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

    fn extend(&mut self, entries: impl IntoIterator<Item = (W, Weight)>) {
        for entry in entries {
            let hash = entry.0.hash(&self.seed);
            let (Ok(at) | Err(at)) = self.find(&entry.0, hash);
            self.put(at, hash, entry);
        }
    }

    #[cold]
    fn grow(&mut self) {
        let all: Vec<(W, Weight)> = self.iter().copied().collect();
        let more = match all.len() {
            few @ ..4_096 => few,
            many => many / 4,
        };
        self.resize(places(all.len() + more));
        self.extend(all);
    }

    /// Makes so many places, all without a key.
    fn resize(&mut self, places: usize) {
        // What was there is given back first.
        (self.tags, self.entries) = (Vec::new(), Vec::new());
        self.tags = vec![0; places + STEP];
        self.entries = vec![(W::NOTHING, Weight::NONE); places];
        self.most = places / 5 * 4;
        self.keys = 0;
    }

    #[inline]
    fn put(&mut self, at: usize, hash: u64, entry: (W, Weight)) {
        self.tags[at] = tag(hash);
        if at < STEP {
            let again = self.entries.len() + at;
            self.tags[again] = tag(hash);
        }
        self.entries[at] = entry;
        self.keys += 1;
    }

    /// Where a key is, or where it is to be put. There is a place without a key.
    #[inline]
    fn find(&self, key: &W, hash: u64) -> Result<usize, usize> {
        let places = self.entries.len();
        let mut at = (((hash & 0xffff_ffff) * places as u64) >> 32) as usize;
        let looked_for = EACH * u64::from(tag(hash));
        loop {
            let Some(step) = self.tags.get(at..).and_then(<[u8]>::first_chunk) else {
                // It never is: behind the last place there are as many as a step has.
                return Err(0);
            };
            let tags = u64::from_le_bytes(*step);
            let other = tags ^ looked_for;
            // Octets that are zero, and now and then one behind such.
            let mut same = other.wrapping_sub(EACH) & !other & HIGHEST;
            while same != 0 {
                let place = within(at + (same.trailing_zeros() / 8) as usize, places);
                if self.entries[place].0 == *key {
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
