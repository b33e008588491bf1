//! What is remembered of targets from scrape to scrape.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Shelf;
use crate::probe::{Carried, Kept};
use crate::scrape::{Pace, Sizes};
use crate::usm::Peer;

/// Targets that are remembered; beyond it the one asked longest ago is forgotten.
const REMEMBERED: usize = 20_000;

/// A target, and as whom it is asked.
pub type Key = (SocketAddr, String);
/// When a device chose which modules.
type Choice = (Instant, Vec<String>);

/// What is remembered of targets from scrape to scrape.
#[derive(Debug, Default)]
pub struct Memory {
    known: Mutex<HashMap<Key, Known>>,
    modules: Mutex<HashMap<Key, Choice>>,
    /// How large the columns of a target were, by target and what is asked of it.
    pub sizes: Shelf<Sizes>,
    /// Columns that need not be asked for again, by target and what is asked of it.
    pub columns: Shelf<Kept>,
    /// Counters as they were last time, by target.
    pub counters: Shelf<Carried>,
}

/// How long a device's choice of modules is believed.
const MODULES_BELIEVED: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Known {
    used: Instant,
    pace: Pace,
    peer: Option<Peer>,
}

impl Memory {
    pub(super) fn recall(&self, key: &(SocketAddr, String)) -> (Option<Pace>, Option<Peer>) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).map_or((None, None), |one| {
            (Some(one.pace.clone()), one.peer.clone())
        })
    }

    pub(super) fn keep(&self, key: (SocketAddr, String), pace: Pace, peer: Option<Peer>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(&key) {
            let oldest = known
                .iter()
                .min_by_key(|(_, one)| one.used)
                .map(|(key, _)| key.clone());
            oldest.map(|oldest| known.remove(&oldest));
        }
        known.insert(
            key,
            Known {
                used: Instant::now(),
                pace,
                peer,
            },
        );
    }

    /// The modules that a device chose within the last hour.
    #[must_use]
    pub fn modules(&self, key: &(SocketAddr, String)) -> Option<Vec<String>> {
        let modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let (chosen, names) = modules.get(key)?;
        (chosen.elapsed() < MODULES_BELIEVED).then(|| names.clone())
    }

    /// Remembers the modules that a device chose.
    pub fn keep_modules(&self, key: (SocketAddr, String), names: Vec<String>) {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if modules.len() >= REMEMBERED {
            modules.retain(|_, (chosen, _)| chosen.elapsed() < MODULES_BELIEVED);
        }
        if modules.len() < REMEMBERED {
            modules.insert(key, (Instant::now(), names));
        }
    }

    /// Lets a device choose anew.
    pub fn forget_modules(&self, key: &(SocketAddr, String)) {
        self.modules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    /// How many targets are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything, as when credentials change.
    pub fn clear(&self) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
