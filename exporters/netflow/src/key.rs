//! What tells streams of exporters from each other.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use foldhash::fast::RandomState;

use crate::decode::Protocol;
use crate::session::Session;

/// What names a stream.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub(crate) struct Key {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
    pub(crate) domain: u64,
}

impl Key {
    /// Who sends it.
    pub(crate) fn sender(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// Whether both are streams of one exporter, protocol and domain: they may share templates.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        (self.address, self.protocol, self.domain) == (other.address, other.protocol, other.domain)
    }
}

/// What a stream is kept with.
pub(crate) trait Streaming {
    /// Its session.
    fn session(&self) -> &Session;
}

/// Gives each stream with sets that wait for a template, and the sessions that are alike: an exporter may tell its templates from another port
/// than its data.
pub(crate) fn each_waiting<S: Streaming>(
    streams: &mut HashMap<Key, S, RandomState>,
    mut each: impl FnMut(&Key, &mut S, &[&Session]),
) {
    let waiting =
        |(key, stream): (&Key, &S)| (stream.session().waiting_bytes() > 0).then_some(*key);
    let mut keys: Vec<Key> = streams.iter().filter_map(waiting).collect();
    keys.sort_unstable();
    for key in keys {
        let Some(mut stream) = streams.remove(&key) else {
            continue;
        };
        let alike = streams.iter().filter(|(other, _)| other.is_alike(&key));
        let others: Vec<&Session> = alike.map(|(_, stream)| stream.session()).collect();
        each(&key, &mut stream, &others);
        streams.insert(key, stream);
    }
}
