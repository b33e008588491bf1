//! What every scrape with the same modules asks for, worked out at the first.

use std::collections::BTreeSet;
use std::sync::Arc;

use quick_cache::sync::Cache;

use super::column_cache;
use super::counters::Counter;
use super::plan::{self, Planned, Roots, Wanted};
use crate::oid::Oid;
use crate::samples::Scope;

/// What is asked for by a set of modules, in which order they were named.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) planned: Planned,
    /// What each module asked for.
    pub(super) scopes: Vec<Scope>,
    /// Scalars that may be instances: see [`plan::perhaps_instances`].
    pub(super) instances: Vec<Oid>,
    /// Columns that become counters, sorted.
    pub(super) counters: Vec<Counter>,
    /// Columns that labels are read from.
    pub(super) looked_up: BTreeSet<Oid>,
    /// The stamps of the tables that are asked for.
    pub(super) stamps: Vec<Oid>,
}

impl Prepared {
    fn new(views: &[Wanted<'_>], roots: Vec<Roots>, strict: bool) -> Self {
        let planned = plan::works(views, &roots, strict);
        let mut counters: Vec<Counter> = views
            .iter()
            .flat_map(|view| view.plan.counters(view.module))
            .map(Counter::new)
            .collect();
        counters.sort();
        counters.dedup();
        Self {
            scopes: roots
                .into_iter()
                .map(|one| Scope::new(one.walk.into_iter().chain(one.get)))
                .collect(),
            instances: plan::perhaps_instances(&planned, views),
            counters,
            looked_up: views
                .iter()
                .flat_map(|view| view.plan.looked_up())
                .collect(),
            stamps: column_cache::stamps(&planned),
            planned,
        }
    }
}

/// Sets of modules that are remembered; a request may name any.
const REMEMBERED: usize = 64;

/// What was worked out, by modules and whether strictly.
#[derive(Debug)]
pub(super) struct Known(Cache<(Vec<String>, bool), Arc<Prepared>>);

impl Default for Known {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Known {
    /// What these modules ask for. Modules with row filters ask for other `roots` at each scrape.
    pub(super) fn prepare(
        &self,
        modules: &[String],
        views: &[Wanted<'_>],
        roots: Option<Vec<Roots>>,
        strict: bool,
    ) -> Arc<Prepared> {
        if let Some(roots) = roots {
            return Arc::new(Prepared::new(views, roots, strict));
        }
        let key = (modules.to_vec(), strict);
        if let Some(known) = self.0.get(&key) {
            return known;
        }
        let roots = views.iter().map(Roots::of).collect();
        let made = Arc::new(Prepared::new(views, roots, strict));
        self.0.insert(key, Arc::clone(&made));
        made
    }
}
