//! Bodies on their way in: what all of them together may hold in memory, and what those of one address may.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::line;

/// Bytes that bodies hold in all, unless one alone may be larger than a quarter of it.
const IN_ALL: usize = 64 * 1024 * 1024;

/// The bodies that are held: on their way, or with the handler that got them.
#[derive(Debug)]
pub(crate) struct Bodies {
    in_all: usize,
    of_one: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by_address: HashMap<Option<IpAddr>, usize>,
}

/// What one body holds; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    bodies: Arc<Bodies>,
    from: Option<IpAddr>,
    bytes: usize,
}

impl Bodies {
    /// `largest` is what one body may have.
    pub(crate) fn new(largest: usize) -> Arc<Self> {
        let in_all = IN_ALL.max(largest.saturating_mul(4));
        Arc::new(Self {
            in_all,
            of_one: in_all / 4,
            held: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The share of a body from `peer`, empty at first.
    pub(crate) fn share(self: &Arc<Self>, peer: &str) -> Share {
        Share {
            bodies: Arc::clone(self),
            from: line::network(peer),
            bytes: 0,
        }
    }
}

impl Share {
    /// Holds `more` bytes; false when there is no room for them.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let mut held = self.bodies.lock();
        let own = held.by_address.get(&self.from).copied().unwrap_or(0);
        if held.total + more > self.bodies.in_all || own + more > self.bodies.of_one {
            return false;
        }
        held.total += more;
        held.by_address.insert(self.from, own + more);
        self.bytes += more;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.bodies.lock();
        held.total -= self.bytes;
        let left = held
            .by_address
            .get(&self.from)
            .map_or(0, |own| own - self.bytes);
        if left == 0 {
            held.by_address.remove(&self.from);
        } else {
            held.by_address.insert(self.from, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_never_takes_the_room_of_all() {
        let bodies = Bodies::new(1024);
        let mut many: Vec<Share> = (0..8).map(|_| bodies.share("192.0.2.1")).collect();
        let quarter = IN_ALL / 4;
        assert!(many[0].grow(quarter - 1) && many[1].grow(1));
        assert!(!many[2].grow(1), "its share is used up");
        let mut other = bodies.share("192.0.2.2");
        assert!(other.grow(quarter), "another address has its own");
        many.clear();
        assert!(bodies.share("192.0.2.1").grow(quarter), "given back");
        drop(other);
        let held = bodies.lock();
        assert_eq!((held.total, held.by_address.len()), (0, 0));
    }

    #[test]
    fn a_large_body_that_is_allowed_finds_room() {
        let largest = 100 * 1024 * 1024;
        assert!(Bodies::new(largest).share("unix").grow(largest));
    }
}
