//! Looking for devices: which addresses are asked, as whom, and what becomes of those that answer.
//!
//! An address is asked only with an auth whose `only_for.networks` holds it: the configuration says where to look and which credentials go
//! there. Neighbours of those that answer are asked too, under the same rule; nothing else is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::config::Config;
use crate::probe::{Identity, Prober, Ready, identify};

/// The most addresses of one run.
pub const MOST: usize = 65_536;
/// Devices that are asked at a time.
const AT_ONCE: usize = 64;
/// What one device has for all of its answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to look for.
#[derive(Clone, Debug)]
pub struct Search {
    /// Where to begin.
    pub networks: Vec<IpNet>,
    /// Only with these auths; with every one that is for the address when there are none.
    pub auths: Vec<String>,
    /// New addresses a second.
    pub per_second: f64,
    /// The port of SNMP.
    pub port: u16,
    /// Whether neighbours are followed.
    pub follow: bool,
}

/// Why a search is not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No auth is for it.
    #[error(
        "{0}: no auth is for this network: expected one whose only_for.networks holds it whole"
    )]
    Network(IpNet),
    /// More than [`MOST`].
    #[error("more than {MOST} addresses")]
    Large,
    /// No such auth.
    #[error("no auth {0}")]
    Auth(String),
}

/// A device that answered.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it was asked.
    pub address: IpAddr,
    /// With which auth it answered.
    pub auth: String,
    /// What it said.
    pub identity: Identity,
}

/// What a search ended with.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Devices, each once, in the order in which they were found.
    pub found: Vec<Found>,
    /// Addresses that were asked.
    pub asked: usize,
    /// Neighbours at addresses that may not be asked, with who named them.
    pub beyond: BTreeMap<IpAddr, String>,
}

/// The auths that are for this address.
fn auths_of<'a>(
    config: &'a Config,
    search: &'a Search,
    holds: impl Fn(&IpNet) -> bool + 'a,
) -> impl Iterator<Item = &'a String> {
    config
        .auths
        .iter()
        .filter(|(name, _)| search.auths.is_empty() || search.auths.contains(name))
        .filter(move |(_, auth)| {
            let only = auth.only_for.as_ref();
            only.is_some_and(|only| only.networks.iter().any(&holds))
        })
        .map(|(name, _)| name)
}

/// The addresses to begin with.
///
/// # Errors
/// A network is not allowed, or they are too many.
pub fn begin(config: &Config, search: &Search) -> Result<Vec<IpAddr>, Refused> {
    if let Some(unknown) = (search.auths.iter()).find(|name| !config.auths.contains_key(*name)) {
        return Err(Refused::Auth(unknown.clone()));
    }
    let mut all = Vec::new();
    for network in &search.networks {
        if auths_of(config, search, |one| one.contains(network))
            .next()
            .is_none()
        {
            return Err(Refused::Network(*network));
        }
        for address in network.hosts() {
            if all.len() >= MOST {
                return Err(Refused::Large);
            }
            all.push(address);
        }
    }
    Ok(all)
}

/// Asks the addresses, and the neighbours that are found on the way. `tell` hears of each device at once.
pub async fn run(
    prober: &Arc<Prober>,
    ready: &Arc<Ready>,
    search: &Search,
    begin: Vec<IpAddr>,
    mut tell: impl FnMut(&Found),
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut seen: BTreeSet<IpAddr> = begin.iter().copied().collect();
    // Addresses of one device each, the likelier first.
    let mut waiting: VecDeque<Vec<IpAddr>> = begin.into_iter().map(|one| vec![one]).collect();
    let mut asking = tokio::task::JoinSet::new();
    let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / search.per_second));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = pace.tick(), if !waiting.is_empty() && asking.len() < AT_ONCE => {
                let Some(addresses) = waiting.pop_front() else { continue };
                outcome.asked += addresses.len();
                let (prober, ready, search) = (Arc::clone(prober), Arc::clone(ready), search.clone());
                asking.spawn(async move { ask(&prober, &ready, &search, addresses).await });
            }
            Some(answer) = asking.join_next(), if !asking.is_empty() => {
                let Ok(Some(found)) = answer else { continue };
                if outcome.found.iter().any(|known| same(known, &found)) {
                    continue;
                }
                for neighbor in &found.identity.neighbors {
                    let mut addresses = neighbor.addresses.clone();
                    let all = addresses.len();
                    addresses.retain(|one| may(&ready.config, search, *one));
                    match (addresses.first(), neighbor.addresses.first()) {
                        (Some(first), _) if search.follow && seen.len() < MOST && seen.insert(*first) => {
                            waiting.push_back(addresses);
                        }
                        (None, Some(first)) if all > 0 => {
                            let by = format!("{} neighbour of {}", neighbor.protocol, found.identity.name);
                            outcome.beyond.entry(*first).or_insert(by);
                        }
                        _ => {}
                    }
                }
                tell(&found);
                outcome.found.push(found);
            }
            else => break,
        }
    }
    let own = |address: &IpAddr| {
        let mut all = outcome.found.iter();
        all.any(|one| one.identity.addresses.contains(address))
    };
    outcome.beyond.retain(|address, _| !own(address));
    outcome
}

fn may(config: &Config, search: &Search, address: IpAddr) -> bool {
    auths_of(config, search, |one| one.contains(&address))
        .next()
        .is_some()
}

/// Whether two answers are of one device: it has the address at which the other was asked, and the name. An address alone is not enough,
/// since many devices have the same inside.
fn same(one: &Found, other: &Found) -> bool {
    one.identity.name == other.identity.name
        && (one.address == other.address
            || one.identity.addresses.contains(&other.address)
            || other.identity.addresses.contains(&one.address))
}

/// Asks the addresses of one device, one after the other, each with one auth after the other.
async fn ask(
    prober: &Prober,
    ready: &Ready,
    search: &Search,
    addresses: Vec<IpAddr>,
) -> Option<Found> {
    for address in addresses {
        for auth in auths_of(&ready.config, search, |one| one.contains(&address)) {
            let deadline = Instant::now() + PATIENCE;
            let target = SocketAddr::new(address, search.port).to_string();
            if let Ok(identity) = identify(prober, ready, &target, auth, deadline).await {
                return Some(Found {
                    address,
                    auth: auth.clone(),
                    identity,
                });
            }
        }
    }
    None
}

/// The columns of the import.
const COLUMNS: &str = "name,address,site,snmp_module,snmp_auth";

/// The devices as the inventory imports them (`/api/v1/import?format=csv`), in the order of their names. `site` is that of all; without
/// it each has that of its sysLocation.
#[must_use]
pub fn csv(found: &[Found], site: Option<&str>) -> String {
    let mut lines: BTreeMap<String, String> = BTreeMap::new();
    for one in found {
        let name = match named(&one.identity.name) {
            name if name.is_empty() => named(&one.address.to_string()),
            name => name,
        };
        let mut unique = name.clone();
        for number in 2.. {
            if !lines.contains_key(&unique) {
                break;
            }
            unique = format!("{name}-{number}");
        }
        let own = named(&one.identity.location);
        let line = format!(
            "{unique},{},{},\"{}\",{}",
            one.address,
            site.unwrap_or(&own),
            one.identity.modules.join(","),
            one.auth
        );
        lines.insert(unique, line);
    }
    let mut out = format!("{COLUMNS}\n");
    for line in lines.into_values() {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// A text as a name of the inventory: letters, digits, `.`, `_` and `-`, at most 63 of them.
fn named(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars() {
        if c.is_ascii_alphanumeric() || c == '.' || c == '_' {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(60);
    out.trim_end_matches('-').to_owned()
}
