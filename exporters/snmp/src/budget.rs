//! Memory for what devices answer and for the pages made of it: so much for one scrape, so much for all together.
//!
//! A quarter of it is for the first mebibyte of every scrape, so that devices that answer without end leave the usual ones their room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a scrape takes from the part that is for all.
const FIRST: usize = 1 << 20;
/// A claim grows in such steps.
const STEP: usize = 64 << 10;

/// The memory that there is.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    each: usize,
    first: Pool,
    rest: Pool,
}

#[derive(Debug)]
struct Pool {
    size: usize,
    taken: AtomicUsize,
}

impl Pool {
    fn new(size: usize) -> Self {
        let taken = AtomicUsize::new(0);
        Self { size, taken }
    }

    fn take(&self, octets: usize) -> bool {
        let add = |taken: usize| Some(taken + octets).filter(|taken| *taken <= self.size);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .is_ok()
    }

    fn give(&self, octets: usize) {
        self.taken.fetch_sub(octets, Ordering::Relaxed);
    }
}

impl Budget {
    /// So many octets in all; one scrape may have half of them.
    #[must_use]
    pub fn new(octets: usize) -> Self {
        Self(Arc::new(Shared {
            each: octets / 2,
            first: Pool::new(octets / 4),
            rest: Pool::new(octets - octets / 4),
        }))
    }

    /// A claim of nothing yet.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim {
            budget: self.clone(),
            first: 0,
            rest: 0,
        }
    }

    /// Octets that are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        let Shared { first, rest, .. } = &*self.0;
        first.taken.load(Ordering::Relaxed) + rest.taken.load(Ordering::Relaxed)
    }
}

/// What one scrape has taken; given back when it is dropped.
#[derive(Debug)]
pub struct Claim {
    budget: Budget,
    first: usize,
    rest: usize,
}

impl Claim {
    /// Makes the claim at least so large; false when there is no room, and then it stays as it is.
    pub fn grow(&mut self, octets: usize) -> bool {
        let Shared { each, first, rest } = &*self.budget.0;
        if octets <= self.first + self.rest {
            return true;
        }
        if octets > *each {
            return false;
        }
        let octets = octets.next_multiple_of(STEP);
        let (small, large) = (octets.min(FIRST), octets.saturating_sub(FIRST));
        if small > self.first {
            if !first.take(small - self.first) {
                return false;
            }
            self.first = small;
        }
        if large > self.rest {
            if !rest.take(large - self.rest) {
                return false;
            }
            self.rest = large;
        }
        true
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.budget.0.first.give(self.first);
        self.budget.0.rest.give(self.rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn one_scrape_and_all_together_have_their_bounds_and_the_first_mebibyte_stays() {
        let budget = Budget::new(64 * MIB);
        let (mut one, mut other) = (budget.claim(), budget.claim());
        assert!(one.grow(32 * MIB) && !one.grow(33 * MIB));
        assert!(!other.grow(32 * MIB), "48 MiB for what is large");
        assert!(other.grow(17 * MIB));
        // Those that come now have their first mebibyte, sixteen times together.
        let mut usual: Vec<Claim> = (0..14).map(|_| budget.claim()).collect();
        assert!(usual.iter_mut().all(|claim| claim.grow(MIB)));
        assert!(!budget.claim().grow(2), "the last has nothing left");
        assert!(budget.taken() <= 64 * MIB);
        drop((one, other, usual));
        assert_eq!(budget.taken(), 0);
    }
}
