//! Names of addresses, by reverse DNS (RFC 1035 section 3.5), for tables that people read. Never for a label: a name may change at any time.
//!
//! Only addresses that stand in a row of a table are asked for, a few at once and never for long: a table is told without the names that did not
//! come in time. Answers are remembered, also that there is none, in bounded room.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use futures_util::StreamExt as _;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use crate::tables::Table;

/// Addresses that are asked for at once.
const AT_ONCE: usize = 16;
/// Most addresses that are asked for at a time; the others are, the next time.
const MOST_ASKED: usize = 500;
/// How long an answer is remembered at least and at most; so long as the first, that there is none.
const REMEMBERED: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(86_400));
/// Longest name (RFC 1035 section 2.3.4).
const LONGEST: usize = 253;

/// Who is asked, and what was answered.
#[derive(Debug)]
pub struct ReverseNames {
    resolver: TokioResolver,
    known: Mutex<HashMap<IpAddr, Known, RandomState>>,
    most: usize,
    /// Addresses that were asked for.
    pub asked: AtomicU64,
    /// Of which nobody answered, in time or without an error.
    pub failed: AtomicU64,
}

#[derive(Debug, Clone)]
struct Known {
    name: Option<Arc<str>>,
    until: Instant,
}

impl ReverseNames {
    /// Asks these servers, or those of the system; remembers so many addresses.
    ///
    /// # Errors
    /// The system's configuration cannot be read.
    pub fn new(servers: &[SocketAddr], most: usize) -> anyhow::Result<Self> {
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let servers = servers.iter().map(|server| {
                let mut config = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut config.connections {
                    connection.port = server.port();
                }
                config
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = Duration::from_secs(1);
        options.attempts = 2;
        // They are remembered here.
        options.cache_size = 0;
        Ok(Self {
            resolver: builder.build()?,
            known: Mutex::default(),
            most,
            asked: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// Addresses that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Known, RandomState>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the rows of tables the names of their addresses; waits at most so long for those that are not known yet.
    pub async fn fill(&self, tables: &mut [Table], patience: Duration) {
        let now = Instant::now();
        let rows = || tables.iter().flat_map(|table| &table.rows);
        let all = rows().flat_map(|row| [row.source, row.destination]);
        let all: BTreeSet<IpAddr> = all.flatten().collect();
        let fresh = |known: Option<&Known>| known.is_some_and(|known| known.until > now);
        let unknown: Vec<IpAddr> = {
            let known = self.known();
            let unknown = all.into_iter().filter(|address| !fresh(known.get(address)));
            unknown.take(MOST_ASKED).collect()
        };
        let lookups = futures_util::stream::iter(unknown).map(|address| self.ask(address));
        let lookups = lookups.buffer_unordered(AT_ONCE).collect::<()>();
        // What is not answered by then is asked for again with the next tables.
        let _ = tokio::time::timeout(patience, lookups).await;
        let known = self.known();
        let name = |address: Option<IpAddr>| {
            let known = known.get(&address?)?;
            known.name.as_deref().map(str::to_owned)
        };
        for row in tables.iter_mut().flat_map(|table| &mut table.rows) {
            row.source_name = name(row.source);
            row.destination_name = name(row.destination);
        }
    }

    async fn ask(&self, address: IpAddr) {
        self.asked.fetch_add(1, Relaxed);
        let now = Instant::now();
        let answer = match self.resolver.reverse_lookup(address).await {
            Ok(found) => {
                let names = found
                    .answers()
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::PTR(name) => host(&name.0.to_ascii()),
                        _ => None,
                    });
                // Several are in any order: the first by name, so that it stays the same.
                let lasts = found.valid_until().saturating_duration_since(now);
                Known {
                    name: names.min().map(Into::into),
                    until: now + lasts.clamp(REMEMBERED.0, REMEMBERED.1),
                }
            }
            Err(error) => {
                if !error.is_no_records_found() {
                    self.failed.fetch_add(1, Relaxed);
                }
                Known {
                    name: None,
                    until: now + REMEMBERED.0,
                }
            }
        };
        let mut known = self.known();
        if known.len() >= self.most && !known.contains_key(&address) {
            known.retain(|_, known| known.until > now);
            if known.len() >= self.most {
                // All of them are fresh: it begins anew rather than to search for the oldest each time.
                known.clear();
            }
        }
        known.insert(address, answer);
    }
}

/// A host name as it may be shown: without the dot at its end, of letters, digits, dots, hyphens and underscores.
fn host(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let is_one = (1..=LONGEST).contains(&name.len()) && name.chars().all(plain);
    is_one.then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
