//! Answers to requests that may come again.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use super::journal::Key;

/// Keys of requests that are remembered, and for how long in seconds.
pub(super) const MOST: usize = 10_000;
const FOR: i64 = 24 * 3600;

/// The newest answers, by the name of their key.
#[derive(Default)]
pub(super) struct Keys {
    answers: HashMap<String, (Key, i64)>,
    order: VecDeque<String>,
}

impl Keys {
    /// The answer under this key, when it was given within the last day.
    pub(super) fn get(&self, name: &str) -> Option<&Key> {
        let (key, at) = self.answers.get(name)?;
        (Timestamp::now().as_second() - at <= FOR).then_some(key)
    }

    /// Remembers an answer of the time `seconds`, and forgets old ones.
    pub(super) fn add(&mut self, key: Key, seconds: i64) {
        let name = key.name.clone();
        if self.answers.insert(name.clone(), (key, seconds)).is_none() {
            self.order.push_back(name);
        }
        while let Some(name) = self.order.front() {
            let old = self
                .answers
                .get(name)
                .is_none_or(|(_, at)| *at < seconds - FOR);
            if !(old || self.order.len() > MOST) {
                break;
            }
            self.answers.remove(name);
            self.order.pop_front();
        }
    }
}
