//! What one client may use of the server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Flags;

/// What a client may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) header_bytes: usize,
    pub(crate) body_bytes: usize,
    pub(crate) header: Duration,
    pub(crate) request: Duration,
    pub(crate) write: Duration,
    pub(crate) idle: Duration,
}

impl Limits {
    pub(crate) fn new(flags: &Flags) -> Self {
        Self {
            connections: affordable(flags.web_max_connections),
            header_bytes: flags.web_max_header_bytes,
            body_bytes: flags.web_max_body_bytes,
            header: flags.web_header_timeout,
            request: flags.web_request_timeout,
            write: flags.web_write_timeout,
            idle: flags.web_idle_timeout,
        }
    }
}

/// Places of the service's routes that strangers cannot take.
const RESERVED: usize = 8;

/// The places for expensive requests. Metrics have their own, and people who are known have some that strangers cannot take.
#[derive(Debug)]
pub(crate) struct Places(Option<Lanes>);

#[derive(Debug)]
struct Lanes {
    metrics: Arc<Semaphore>,
    anybody: Arc<Semaphore>,
    known: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(flags: &Flags) -> Self {
        let lane = |places| Arc::new(Semaphore::new(places));
        let most = flags.web_max_requests;
        Self((most > 0).then(|| Lanes {
            metrics: lane(most),
            anybody: lane(most),
            known: lane(RESERVED),
        }))
    }

    /// A place for the metrics; `None` when there is none, `Some(None)` when nothing limits them.
    pub(crate) fn metrics(&self) -> Option<Option<OwnedSemaphorePermit>> {
        match &self.0 {
            None => Some(None),
            Some(lanes) => take(&lanes.metrics).map(Some),
        }
    }

    /// The same for a route of the service; `known` is who proved a name: a user of the web configuration or a client certificate.
    pub(crate) fn service(&self, known: bool) -> Option<Option<OwnedSemaphorePermit>> {
        match &self.0 {
            None => Some(None),
            Some(lanes) => take(&lanes.anybody)
                .or_else(|| known.then(|| take(&lanes.known)).flatten())
                .map(Some),
        }
    }
}

fn take(lane: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(lane).try_acquire_owned().ok()
}

/// Files that are no connections: libraries, logs, the service's own.
const OTHER_FILES: usize = 128;

/// As many connections as the limit of open files leaves room for.
fn affordable(wanted: usize) -> usize {
    let Some(files) = crate::process::most_files() else {
        return wanted;
    };
    let room = files.saturating_sub(OTHER_FILES).max(16);
    if wanted > room {
        tracing::warn!(
            wanted,
            room,
            files,
            "fewer connections than configured, the limit of open files is low"
        );
    }
    wanted.min(room)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn strangers_cannot_take_the_places_of_metrics_and_of_known_people() {
        let flags = Only::parse_from(["x", "--web.max-requests=2"]).flags;
        let places = Places::new(&flags);
        let strangers = (places.service(false), places.service(false));
        assert!(places.service(false).is_none());
        let known: Vec<_> = (0..RESERVED).map(|_| places.service(true)).collect();
        assert!(known.iter().all(Option::is_some));
        assert!(places.service(true).is_none(), "theirs are bounded too");
        assert!(places.metrics().is_some());
        drop((strangers, known));
        assert!(places.service(false).is_some());
        let flags = Only::parse_from(["x", "--web.max-requests=0"]).flags;
        assert!(matches!(Places::new(&flags).service(false), Some(None)));
    }
}
