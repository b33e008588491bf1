//! A bounded cache: so much memory, so long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache as Bounded, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::engine::Key;

/// What was put there so long ago is not believed any more.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Octets that one cache may hold.
const ROOM: u64 = 64 << 20;
/// What an item costs beside its own octets.
const OVERHEAD: usize = 256;

/// Items by target. When there is no room, those that are used least go.
#[derive(Debug)]
pub struct Cache<T>(Bounded<Key, Item<T>, Octets>);

#[derive(Debug)]
struct Item<T> {
    put: Instant,
    octets: usize,
    what: Arc<T>,
}

impl<T> Clone for Item<T> {
    fn clone(&self) -> Self {
        Self {
            what: Arc::clone(&self.what),
            ..*self
        }
    }
}

#[derive(Clone, Debug)]
struct Octets;

impl<T> Weighter<Key, Item<T>> for Octets {
    fn weight(&self, key: &Key, item: &Item<T>) -> u64 {
        (item.octets + OVERHEAD + key.1.len()) as u64
    }
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self::with_room(ROOM)
    }
}

impl<T> Cache<T> {
    fn with_room(room: u64) -> Self {
        // One shard: the room of a cache is parted among its shards, and no item may be larger than its part.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(1_000)
            .weight_capacity(room)
            .shards(1)
            .build()
            .expect("every option that has no default is set");
        Self(Bounded::with_options(
            options,
            Octets,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        ))
    }

    /// The item of `key`.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<T>> {
        let item = self.0.get(key)?;
        (item.put.elapsed() < FORGOTTEN).then_some(item.what)
    }

    /// Puts an item of so many octets in the place of what was there. One that is larger than the cache is not kept.
    pub fn put(&self, key: Key, what: T, octets: usize) {
        let item = Item {
            put: Instant::now(),
            octets,
            what: Arc::new(what),
        };
        self.0.insert(key, item);
    }

    /// Drops the item of `key`.
    pub fn remove(&self, key: &Key) {
        self.0.remove(key);
    }

    /// Octets held.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.0.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> Key {
        (([127, 0, 0, 1], port).into(), String::new())
    }

    #[test]
    fn a_full_cache_keeps_what_is_used_and_within_its_room() {
        let room = 10 * (OVERHEAD as u64 + 1000);
        let cache = Cache::with_room(room);
        for port in 1..=100 {
            cache.put(key(port), port, 1000);
            assert!(cache.octets() <= room, "{}", cache.octets());
            let _ = cache.get(&key(1));
        }
        let there = (1..=100).filter(|port| cache.get(&key(*port)).is_some());
        assert!((5..=10).contains(&there.count()));
        assert_eq!(cache.get(&key(1)).as_deref(), Some(&1));
        cache.put(key(1), 12, 10);
        assert_eq!(cache.get(&key(1)).as_deref(), Some(&12));
        for port in 1..=100 {
            cache.remove(&key(port));
        }
        assert_eq!(cache.octets(), 0);
    }

    #[test]
    fn what_is_larger_than_the_cache_is_not_kept() {
        let cache = Cache::with_room(1000);
        cache.put(key(1), 1, 5000);
        assert_eq!((cache.get(&key(1)), cache.octets()), (None, 0));
    }

    #[test]
    fn one_item_may_take_most_of_the_room() {
        let cache = Cache::default();
        cache.put(key(1), 1, 50 << 20);
        assert_eq!(cache.get(&key(1)).as_deref(), Some(&1));
    }
}
