//! What is remembered of targets from one session to the next: how fast they answer, and who they are in version 3.

use std::net::SocketAddr;

use quick_cache::sync::Cache;

use crate::scrape::Pace;
use crate::usm::Peer;

/// Targets that are remembered; beyond it those not asked for longest go.
const REMEMBERED: usize = 20_000;

/// A target, and as whom it is asked.
pub type Key = (SocketAddr, String);

/// The pace and the peer of every target that answered.
#[derive(Debug)]
pub(super) struct Sessions(Cache<Key, (Pace, Option<Peer>)>);

impl Default for Sessions {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Sessions {
    pub(super) fn recall(&self, key: &Key) -> (Option<Pace>, Option<Peer>) {
        self.0
            .get(key)
            .map_or((None, None), |(pace, peer)| (Some(pace), peer))
    }

    pub(super) fn keep(&self, key: Key, pace: Pace, peer: Option<Peer>) {
        self.0.insert(key, (pace, peer));
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
            sessions.keep(key, Pace::default(), None);
        }
        assert!(sessions.len() <= REMEMBERED, "{}", sessions.len());
        assert!(sessions.len() > REMEMBERED / 2, "{}", sessions.len());
    }
}
