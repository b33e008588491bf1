//! What one client may use of the server.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::line;
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

/// The places for expensive requests. Metrics have their own, people who are known have some that strangers cannot take, and one address
/// cannot take those of all.
#[derive(Debug)]
pub(crate) struct Places(Option<Lanes>);

/// A place; it is given back when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    _permit: Option<OwnedSemaphorePermit>,
    _share: Option<Share>,
}

#[derive(Debug)]
struct Lanes {
    metrics: Lane,
    anybody: Lane,
    known: Arc<Semaphore>,
}

/// Places of which one address cannot take all.
#[derive(Debug)]
struct Lane {
    places: Arc<Semaphore>,
    of_one: usize,
    by_address: Arc<ByAddress>,
}

impl Lane {
    /// So many for one address; in all a quarter more, and one at least.
    fn new(of_one: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(of_one + of_one.div_ceil(4))),
            of_one,
            by_address: Arc::default(),
        }
    }

    fn take(&self, peer: &str) -> Option<Taken> {
        let share = Share::take(&self.by_address, line::network(peer), self.of_one)?;
        take(&self.places, Some(share))
    }
}

type ByAddress = Mutex<HashMap<Option<IpAddr>, usize>>;

/// One of the places that an address has taken.
#[derive(Debug)]
struct Share {
    from: Option<IpAddr>,
    taken: Arc<ByAddress>,
}

impl Share {
    fn take(taken: &Arc<ByAddress>, from: Option<IpAddr>, most: usize) -> Option<Self> {
        let mut all = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(from).or_default();
        if *own >= most {
            return None;
        }
        *own += 1;
        Some(Self {
            from,
            taken: Arc::clone(taken),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = all.get_mut(&self.from) {
            *own -= 1;
            if *own == 0 {
                all.remove(&self.from);
            }
        }
    }
}

impl Places {
    pub(crate) fn new(flags: &Flags) -> Self {
        let most = flags.web_max_requests;
        Self((most > 0).then(|| Lanes {
            metrics: Lane::new(most),
            anybody: Lane::new(most),
            known: Arc::new(Semaphore::new(RESERVED)),
        }))
    }

    /// A place for the metrics, asked for from `peer`; `None` when there is none.
    pub(crate) fn metrics(&self, peer: &str) -> Option<Taken> {
        match &self.0 {
            None => Some(Taken::default()),
            Some(lanes) => lanes.metrics.take(peer),
        }
    }

    /// The same for a route of the service, asked from `peer`; `known` is who proved a name: a user of the web configuration or a client
    /// certificate.
    pub(crate) fn service(&self, known: bool, peer: &str) -> Option<Taken> {
        let Some(lanes) = &self.0 else {
            return Some(Taken::default());
        };
        let place = lanes.anybody.take(peer);
        place.or_else(|| known.then(|| take(&lanes.known, None)).flatten())
    }
}

fn take(lane: &Arc<Semaphore>, share: Option<Share>) -> Option<Taken> {
    let permit = Arc::clone(lane).try_acquire_owned().ok()?;
    Some(Taken {
        _permit: Some(permit),
        _share: share,
    })
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
        let (one, other) = ("192.0.2.1", "192.0.2.2");
        let strangers = (places.service(false, one), places.service(false, one));
        assert!(strangers.0.is_some() && strangers.1.is_some());
        assert!(places.service(false, one).is_none());
        let second = places.service(false, other);
        assert!(second.is_some(), "one address does not take those of all");
        assert!(
            places.service(false, other).is_none(),
            "many addresses take no more than there are"
        );
        let known: Vec<_> = (0..RESERVED).map(|_| places.service(true, one)).collect();
        assert!(known.iter().all(Option::is_some));
        assert!(
            places.service(true, one).is_none(),
            "theirs are bounded too"
        );
        let scrapes: Vec<_> = (0..2).map(|_| places.metrics(one)).collect();
        assert!(scrapes.iter().all(Option::is_some));
        assert!(places.metrics(one).is_none());
        let prometheus = places.metrics(other);
        assert!(prometheus.is_some(), "nor those of the metrics");
        drop((strangers, second, known, scrapes, prometheus));
        assert!(places.service(false, one).is_some());
        let lanes = places.0.unwrap();
        assert!(
            lanes.anybody.by_address.lock().unwrap().is_empty(),
            "given back"
        );
        let flags = Only::parse_from(["x", "--web.max-requests=0"]).flags;
        assert!(Places::new(&flags).service(false, one).is_some());
    }
}
