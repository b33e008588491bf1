//! What is remembered of targets from one session to the next: how fast they answer, and who they are in version 3.

use std::net::{IpAddr, SocketAddr};

use quick_cache::sync::Cache;

use crate::scrape::Pace;
use crate::usm::Peer;

/// Targets that are remembered; beyond it those not asked for longest go.
const REMEMBERED: usize = 20_000;

/// A target, and as whom it is asked.
pub type Key = (SocketAddr, String);

/// What is remembered of a target that answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered {
    pub(super) pace: Option<Pace>,
    /// The engine, in version 3.
    pub(super) peer: Option<Peer>,
    /// It answers from another port, or from this address, which is another one.
    pub(super) elsewhere: Option<IpAddr>,
}

/// The targets that answered.
#[derive(Debug)]
pub(super) struct Sessions(Cache<Key, Remembered>);

impl Default for Sessions {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Sessions {
    pub(super) fn recall(&self, key: &Key) -> Remembered {
        self.0.get(key).unwrap_or_default()
    }

    pub(super) fn keep(&self, key: Key, remembered: Remembered) {
        self.0.insert(key, remembered);
    }

    /// How many targets are remembered.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_targets_are_remembered_than_there_is_room_for() {
        let sessions = Sessions::default();
        for port in 0..u16::MAX {
            let key = (([127, 0, 0, 1], port).into(), String::new());
            sessions.keep(key, Remembered::default());
        }
        assert!(sessions.len() <= REMEMBERED, "{}", sessions.len());
        assert!(sessions.len() > REMEMBERED / 2, "{}", sessions.len());
    }
}
