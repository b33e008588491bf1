//! A bounded store: so much memory, so long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Key;

/// What was not used for so long is dropped.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Octets that one shelf may hold.
const ROOM: usize = 64 << 20;
/// What an item costs beside its own octets.
const OVERHEAD: usize = 256;

/// Items by target. When there is no room, those used longest ago go.
#[derive(Debug)]
pub struct Shelf<T> {
    items: Mutex<Items<T>>,
    room: usize,
}

#[derive(Debug)]
struct Items<T> {
    by_key: HashMap<Key, Item<T>>,
    octets: usize,
}

#[derive(Debug)]
struct Item<T> {
    used: Instant,
    octets: usize,
    what: Arc<T>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self::with_room(ROOM)
    }
}

impl<T> Shelf<T> {
    /// A shelf for so many octets.
    #[must_use]
    pub fn with_room(room: usize) -> Self {
        let items = Items {
            by_key: HashMap::new(),
            octets: 0,
        };
        Self {
            items: Mutex::new(items),
            room,
        }
    }

    /// The item of `key`.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<T>> {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let item = items.by_key.get_mut(key)?;
        if item.used.elapsed() > FORGOTTEN {
            return None;
        }
        item.used = Instant::now();
        Some(Arc::clone(&item.what))
    }

    /// Puts an item of so many octets in the place of what was there. One that is larger than the shelf is not kept.
    pub fn put(&self, key: Key, what: T, octets: usize) {
        let octets = octets + OVERHEAD + key.1.len();
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let item = Item {
            used: Instant::now(),
            octets,
            what: Arc::new(what),
        };
        items.octets += octets;
        if let Some(old) = items.by_key.insert(key, item) {
            items.octets -= old.octets;
        }
        if items.octets > self.room {
            items.make_room(self.room);
        }
    }

    /// Drops the item of `key`.
    pub fn drop(&self, key: &Key) {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = items.by_key.remove(key) {
            items.octets -= old.octets;
        }
    }

    /// Octets held.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.items
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .octets
    }
}

impl<T> Items<T> {
    /// Drops what was used longest ago until an eighth is free, so that it is not searched for at every item.
    fn make_room(&mut self, room: usize) {
        let mut ages: Vec<(Instant, Key)> = self
            .by_key
            .iter()
            .map(|(key, item)| (item.used, key.clone()))
            .collect();
        ages.sort_by_key(|(used, _)| *used);
        for (_, key) in ages {
            if self.octets <= room - room / 8 {
                return;
            }
            if let Some(old) = self.by_key.remove(&key) {
                self.octets -= old.octets;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> Key {
        (([127, 0, 0, 1], port).into(), String::new())
    }

    #[test]
    fn a_full_shelf_drops_what_was_used_longest_ago() {
        let shelf = Shelf::with_room(10 * (OVERHEAD + 1000));
        for port in 1..=10 {
            shelf.put(key(port), port, 1000);
        }
        assert_eq!(shelf.get(&key(1)).as_deref(), Some(&1));
        shelf.put(key(11), 11, 1000);
        assert!(shelf.octets() <= 10 * (OVERHEAD + 1000));
        assert_eq!(shelf.get(&key(1)).as_deref(), Some(&1));
        assert_eq!(shelf.get(&key(2)), None);
        assert_eq!(shelf.get(&key(11)).as_deref(), Some(&11));
        shelf.put(key(11), 12, 10);
        shelf.drop(&key(1));
        assert_eq!(shelf.get(&key(11)).as_deref(), Some(&12));
        for port in 0..=11 {
            shelf.drop(&key(port));
        }
        assert_eq!(shelf.octets(), 0);
    }

    #[test]
    fn what_is_larger_than_the_shelf_is_not_kept() {
        let shelf = Shelf::with_room(1000);
        shelf.put(key(1), 1, 5000);
        assert_eq!((shelf.get(&key(1)), shelf.octets()), (None, 0));
    }
}
