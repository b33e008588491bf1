//! The entities that have announced themselves, bounded: which topics they are read from, and what is to be subscribed to for them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::rules::Rule;

/// What one announcement told of.
#[derive(Debug)]
struct Entities {
    broker: Arc<str>,
    count: usize,
    rules: Vec<Arc<Rule>>,
}

/// The entities.
#[derive(Debug, Default)]
pub struct Announced {
    /// By the topic of their announcement.
    entities: HashMap<Arc<str>, Entities>,
    /// How many there are in all.
    count: usize,
    /// The rules by the topic that they read.
    by_topic: HashMap<String, Vec<Arc<Rule>>>,
    /// Topics that are not subscribed to yet, each with its broker.
    unasked: Vec<(Arc<str>, String)>,
}

impl Announced {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many are known by this announcement.
    #[must_use]
    pub fn of_announcement(&self, announcement: &str) -> usize {
        let entities = self.entities.get(announcement);
        entities.map_or(0, |entities| entities.count)
    }

    /// Takes `count` entities, in place of what was announced there before.
    pub fn insert(
        &mut self,
        broker: &Arc<str>,
        announcement: &str,
        count: usize,
        rules: Vec<Arc<Rule>>,
    ) {
        self.remove(announcement);
        self.count += count;
        for rule in &rules {
            let topic = rule.filter();
            let readers = self.by_topic.entry(topic.clone()).or_default();
            if readers.is_empty() {
                self.unasked.push((Arc::clone(broker), topic));
            }
            readers.push(Arc::clone(rule));
        }
        let entities = Entities {
            broker: Arc::clone(broker),
            count,
            rules,
        };
        self.entities.insert(announcement.into(), entities);
    }

    /// Forgets what was announced there.
    pub fn remove(&mut self, announcement: &str) {
        let Some(gone) = self.entities.remove(announcement) else {
            return;
        };
        self.count -= gone.count;
        for rule in gone.rules {
            let topic = rule.filter();
            if let Some(readers) = self.by_topic.get_mut(&topic) {
                readers.retain(|one| !Arc::ptr_eq(one, &rule));
                if readers.is_empty() {
                    self.by_topic.remove(&topic);
                }
            }
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The rules that read this topic.
    #[must_use]
    pub fn of(&self, topic: &str) -> Vec<Arc<Rule>> {
        self.by_topic.get(topic).cloned().unwrap_or_default()
    }

    /// Every topic of the entities of a broker, for a connection that begins.
    #[must_use]
    pub fn topics(&mut self, broker: &str) -> BTreeSet<String> {
        self.unasked.retain(|(of, _)| **of != *broker);
        let all = self.entities.values();
        let own = all.filter(|entities| *entities.broker == *broker);
        own.flat_map(|entities| entities.rules.iter().map(|rule| rule.filter()))
            .collect()
    }

    /// Topics of a broker that are to be subscribed to; each is told once.
    #[must_use]
    pub fn unasked(&mut self, broker: &str) -> Vec<String> {
        if self.unasked.is_empty() {
            return Vec::new();
        }
        let taken = self.unasked.extract_if(.., |(of, _)| **of == *broker);
        taken.map(|(_, topic)| topic).collect()
    }
}
