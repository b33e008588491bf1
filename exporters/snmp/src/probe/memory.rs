//! What is remembered of targets from scrape to scrape.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync;

use super::cache::Cache;
use super::column_cache::CachedColumns;
use super::counters::Carried;
use super::proof::Proof;
use crate::engine::Key;
use crate::scrape::Sizes;

/// Targets whose choice of modules is remembered.
const REMEMBERED: usize = 20_000;
/// How long a device's choice of modules is believed.
const MODULES_BELIEVED: Duration = Duration::from_secs(3600);

/// What is remembered of targets from scrape to scrape.
#[derive(Debug)]
pub struct Memory {
    /// When a device chose which modules.
    modules: sync::Cache<Key, (Instant, Vec<String>)>,
    /// How large the columns of a target were, by target and what is asked of it.
    pub sizes: Cache<Sizes>,
    /// Columns that need not be asked for again, by target and what is asked of it.
    pub columns: Cache<CachedColumns>,
    /// What targets have shown of themselves.
    proofs: sync::Cache<Key, Arc<Proof>>,
    /// Counters as they were last time, by target.
    pub counters: Cache<Carried>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            modules: sync::Cache::new(REMEMBERED),
            sizes: Cache::default(),
            columns: Cache::default(),
            proofs: sync::Cache::new(REMEMBERED),
            counters: Cache::default(),
        }
    }
}

impl Memory {
    /// The modules that a device chose within the last hour.
    #[must_use]
    pub fn modules(&self, key: &Key) -> Option<Vec<String>> {
        let (chosen, names) = self.modules.get(key)?;
        (chosen.elapsed() < MODULES_BELIEVED).then_some(names)
    }

    /// Remembers the modules that a device chose.
    pub fn keep_modules(&self, key: Key, names: Vec<String>) {
        self.modules.insert(key, (Instant::now(), names));
    }

    /// What a target has shown of itself.
    #[must_use]
    pub fn proof(&self, key: &Key) -> Arc<Proof> {
        let made = self
            .proofs
            .get_or_insert_with(key, || Ok::<_, std::convert::Infallible>(Arc::default()));
        made.unwrap_or_default()
    }

    /// Lets a device choose anew.
    pub fn forget_modules(&self, key: &Key) {
        self.modules.remove(key);
    }
}
