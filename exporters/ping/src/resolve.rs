//! DNS names to addresses, in the background: each name again when its record's time to live ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use inventory::Text;
use netio::option::Family;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use toolkit::{Live, Stop};

use crate::config::{Config, Dns};
use crate::targets::{Names, Resolved, WantedNames};

mod queue;

use queue::Queue;

/// News of this time are told together: each costs a look at all targets.
const TOGETHER: Duration = Duration::from_millis(100);

/// When each name last resolved, in seconds since 1970 (UTC).
#[derive(Debug, Default)]
pub struct Ages(Mutex<HashMap<Text, u64>>);

impl Ages {
    /// When `name` did; `None` when it never has.
    pub fn of(&self, name: &str) -> Option<u64> {
        self.kept().get(name).copied()
    }

    /// `name` resolved at this time.
    pub fn set(&self, name: &Text, at: u64) {
        self.kept().insert(name.clone(), at);
    }

    fn keep(&self, wanted: &WantedNames) {
        self.kept().retain(|name, _| wanted.contains_key(name));
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Text, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a lookup of one family of one name gave.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// Not asked for.
    NotWanted,
    /// These addresses.
    Addresses(Vec<IpAddr>),
    /// The name has none in this family.
    NoRecord,
    /// Nobody answered, or with an error.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    v4: Answer,
    v6: Answer,
    /// How long the answer may be used by its records, when there is one.
    ttl: Option<Duration>,
}

impl Outcome {
    fn has_address(&self) -> bool {
        [&self.v4, &self.v6]
            .into_iter()
            .any(|answer| matches!(answer, Answer::Addresses(list) if !list.is_empty()))
    }

    /// Nobody answered for one of the families.
    fn has_failed(&self) -> bool {
        [&self.v4, &self.v6].contains(&&Answer::Failed)
    }
}

/// Takes over what is new. The address stays the same while it is among the answers; the last good one stays while
/// the name does not resolve; a family is given up only when the name still resolves without it.
fn merge(known: &Resolved, outcome: &Outcome) -> Resolved {
    let resolvable = outcome.has_address();
    let choose = |known: Option<IpAddr>, answer: &Answer| match answer {
        Answer::NotWanted => None,
        Answer::Addresses(list) if known.is_some_and(|known| list.contains(&known)) => known,
        Answer::Addresses(list) => list.iter().min().copied().or(known),
        Answer::NoRecord if resolvable => None,
        Answer::NoRecord | Answer::Failed => known,
    };
    let all = |v4: bool, answer: &Answer| -> Vec<IpAddr> {
        let known = known.all.iter().copied().filter(|ip| ip.is_ipv4() == v4);
        match answer {
            Answer::NotWanted => Vec::new(),
            Answer::Addresses(list) if !list.is_empty() => list.clone(),
            Answer::NoRecord if resolvable => Vec::new(),
            Answer::Addresses(_) | Answer::NoRecord | Answer::Failed => known.collect(),
        }
    };
    let mut all = [all(true, &outcome.v4), all(false, &outcome.v6)].concat();
    all.sort_unstable();
    all.dedup();
    Resolved {
        all: all.into(),
        v4: choose(known.v4, &outcome.v4),
        v6: choose(known.v6, &outcome.v6),
        resolvable,
    }
}

#[derive(Debug)]
struct State {
    wanted: (bool, bool),
    resolved: Resolved,
    /// Lookups of other families than were asked for, which are under way, are not the last.
    again: bool,
    asked: bool,
    /// It was told that the name has never resolved.
    told: bool,
}

impl State {
    fn of(resolved: Resolved) -> Self {
        Self {
            wanted: (false, false),
            resolved,
            again: false,
            asked: false,
            told: false,
        }
    }
}

/// What is known of all names, and which is asked for next.
#[derive(Debug, Default)]
struct States {
    of: HashMap<Text, State>,
    queue: Queue,
    /// Something is known that nobody was told yet.
    news: bool,
}

impl States {
    /// Those of names that were known before, which are asked for anew.
    fn from_known(names: &Names) -> Self {
        let state = |resolved: &Resolved| State::of(resolved.clone());
        Self {
            of: names
                .iter()
                .map(|(name, resolved)| (name.clone(), state(resolved)))
                .collect(),
            ..Self::default()
        }
    }

    fn take_names(&mut self, wanted: &WantedNames) {
        let queue = &mut self.queue;
        self.of.retain(|name, _| {
            let stays = wanted.contains_key(name);
            if !stays {
                queue.remove(name);
            }
            stays
        });
        for (name, &wanted) in wanted {
            let state = self.of.entry(name.clone());
            let state = state.or_insert_with(|| State::of(Resolved::default()));
            if state.wanted != wanted {
                state.wanted = wanted;
                state.again = state.asked;
                if !state.asked {
                    self.queue.put(name, Instant::now(), false);
                }
            }
        }
        self.news = true;
    }

    /// Asks for all of them anew.
    fn ask_again(&mut self) {
        for (name, state) in &mut self.of {
            state.again = state.asked;
            if !state.asked {
                self.queue.put(name, Instant::now(), false);
            }
        }
    }

    /// Takes over the end of a lookup.
    fn take_over(&mut self, done: &Lookup, dns: &Dns, ages: &Ages) {
        self.queue.done(done.doubtful);
        let (name, outcome) = (&done.name, &done.outcome);
        let Some(state) = self.of.get_mut(name) else {
            return;
        };
        // Of a name that went and came back there may be two.
        state.asked = false;
        let ttl = outcome
            .ttl
            .unwrap_or(dns.min_ttl)
            .clamp(dns.min_ttl, dns.max_ttl);
        let pause = if std::mem::take(&mut state.again) {
            Duration::ZERO
        } else {
            ttl
        };
        let resolved = merge(&state.resolved, outcome);
        if resolved.resolvable
            && let Ok(since) = UNIX_EPOCH.elapsed()
        {
            ages.set(name, since.as_secs());
        }
        report(name, &state.resolved, &resolved);
        let never = !resolved.resolvable && resolved.all.is_empty();
        if never && !std::mem::replace(&mut state.told, true) {
            tracing::warn!(
                name = &**name,
                v4 = ?outcome.v4,
                v6 = ?outcome.v6,
                "name does not resolve and never has: nothing is probed of it"
            );
        }
        self.news |= state.resolved != resolved;
        self.queue
            .put(name, Instant::now() + pause, outcome.has_failed());
        state.resolved = resolved;
    }

    /// Tells what is known, if there is news.
    fn publish(&mut self, known: &watch::Sender<Arc<Names>>) {
        if !std::mem::take(&mut self.news) {
            return;
        }
        let names = self
            .of
            .iter()
            .map(|(name, state)| (name.clone(), state.resolved.clone()));
        let names: Names = names.collect();
        known.send_if_modified(|current| {
            let changed = **current != names;
            if changed {
                *current = Arc::new(names);
            }
            changed
        });
    }
}

/// A lookup that has ended.
#[derive(Debug)]
struct Lookup {
    name: Text,
    /// It was of a name whose last one had failed.
    doubtful: bool,
    outcome: Outcome,
}

/// Resolves the names in `wanted` until `stop`, and tells of changes through `known`.
///
/// # Errors
/// The resolver cannot be set up: `/etc/resolv.conf` cannot be read and no server is configured.
pub(crate) async fn run(
    stop: &Stop,
    mut config: Live<Config>,
    mut wanted: watch::Receiver<Arc<WantedNames>>,
    known: &watch::Sender<Arc<Names>>,
    ages: &Ages,
) -> anyhow::Result<()> {
    let mut dns = config.current().dns.clone();
    // Names may never be wanted: a host without /etc/resolv.conf is no error then.
    let mut resolver = None;
    let mut states = States::from_known(&known.borrow());
    let mut lookups = JoinSet::new();
    states.take_names(&wanted.borrow_and_update());
    let mut told = Instant::now();
    loop {
        while let Some((name, doubtful)) = states.queue.take(Instant::now()) {
            let resolver = match &resolver {
                Some(resolver) => resolver,
                None => resolver.insert(Arc::new(build(&dns)?)),
            };
            let Some(state) = states.of.get_mut(&name) else {
                states.queue.done(doubtful);
                continue;
            };
            state.asked = true;
            let (resolver, wanted) = (Arc::clone(resolver), state.wanted);
            lookups.spawn(async move {
                let outcome = lookup(&resolver, &name, wanted).await;
                Lookup {
                    name,
                    doubtful,
                    outcome,
                }
            });
        }
        let next = states.queue.next();
        let tell = states.news.then_some(told + TOGETHER);
        tokio::select! {
            () = stop.requested() => return Ok(()),
            () = config.changed() => {
                let new = config.current().dns.clone();
                if new != dns {
                    dns = new;
                    resolver = None;
                    states.ask_again();
                }
            }
            changed = wanted.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                states.take_names(&wanted.borrow_and_update());
                ages.keep(&wanted.borrow());
                states.publish(known);
            }
            Some(done) = lookups.join_next() => states.take_over(&done?, &dns, ages),
            () = sleep_until(tell), if tell.is_some() => {
                states.publish(known);
                told = Instant::now();
            }
            () = sleep_until(next), if next.is_some() => {}
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

fn report(name: &str, before: &Resolved, now: &Resolved) {
    if (before.v4, before.v6, &before.all) != (now.v4, now.v6, &now.all) {
        tracing::info!(name, v4 = ?now.v4, v6 = ?now.v6, all = ?now.all, "name has another address");
    }
    if before.resolvable && !now.resolvable {
        tracing::warn!(name, "name does not resolve, the last address stays");
    }
}

/// A resolver with these settings.
pub(crate) fn build(dns: &Dns) -> anyhow::Result<TokioResolver> {
    let mut builder = if dns.servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = dns.servers.iter().map(|server| {
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
    options.timeout = dns.timeout;
    options.attempts = 2;
    // When to ask again is decided here.
    options.cache_size = 0;
    Ok(builder.build()?)
}

/// The first address of a name in the first of these families that has one; `failed` is told why a family gave none.
pub(crate) async fn first(
    resolver: &TokioResolver,
    name: &str,
    families: impl IntoIterator<Item = Family>,
    mut failed: impl FnMut(Family, &str),
) -> anyhow::Result<IpAddr> {
    let mut last = anyhow::anyhow!("no record");
    for family in families {
        let found = match family {
            Family::V4 => resolver.ipv4_lookup(name).await,
            Family::V6 => resolver.ipv6_lookup(name).await,
        };
        match found {
            Ok(found) => {
                let mut addresses = found.answers().iter().filter_map(|r| r.data.ip_addr());
                if let Some(address) = addresses.next() {
                    return Ok(address);
                }
            }
            Err(error) => {
                failed(family, &error.to_string());
                last = error.into();
            }
        }
    }
    Err(last)
}

async fn lookup(resolver: &TokioResolver, name: &str, wanted: (bool, bool)) -> Outcome {
    let ask = async |wanted: bool, v6: bool| {
        if !wanted {
            return (Answer::NotWanted, None);
        }
        let answer = if v6 {
            resolver.ipv6_lookup(name).await
        } else {
            resolver.ipv4_lookup(name).await
        };
        match answer {
            Ok(found) => {
                let addresses: Vec<IpAddr> = found
                    .answers()
                    .iter()
                    .filter_map(|record| record.data.ip_addr())
                    .collect();
                let ttl = found
                    .valid_until()
                    .saturating_duration_since(std::time::Instant::now());
                (Answer::Addresses(addresses), Some(ttl))
            }
            Err(error) if error.is_no_records_found() => (Answer::NoRecord, None),
            Err(error) => {
                tracing::debug!(name, %error, "lookup failed");
                (Answer::Failed, None)
            }
        }
    };
    let ((v4, ttl4), (v6, ttl6)) = tokio::join!(ask(wanted.0, false), ask(wanted.1, true));
    let ttl = [ttl4, ttl6].into_iter().flatten().min();
    Outcome { v4, v6, ttl }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn outcome(v4: Answer, v6: Answer) -> Outcome {
        Outcome { v4, v6, ttl: None }
    }

    /// A name with these addresses, of which the last of each family is probed.
    fn known(all: &[&str]) -> Resolved {
        let all: Vec<IpAddr> = all.iter().map(|text| ip(text)).collect();
        Resolved {
            v4: all.iter().copied().rfind(IpAddr::is_ipv4),
            v6: all.iter().copied().rfind(IpAddr::is_ipv6),
            all: all.into(),
            resolvable: true,
        }
    }

    #[test]
    fn the_address_stays_while_it_is_among_the_answers() {
        let known = known(&["198.18.0.1", "198.18.0.9"]);
        let both = Answer::Addresses(vec![ip("198.18.0.1"), ip("198.18.0.9")]);
        assert_eq!(merge(&known, &outcome(both, Answer::NoRecord)), known);
        let other = Answer::Addresses(vec![ip("198.18.0.3"), ip("198.18.0.2")]);
        assert_eq!(
            merge(&known, &outcome(other, Answer::NoRecord)).v4,
            Some(ip("198.18.0.2"))
        );
    }

    #[test]
    fn the_last_good_address_stays_while_the_name_does_not_resolve() {
        let known = known(&["198.18.0.9", "2001:db8::9"]);
        for bad in [Answer::Failed, Answer::NoRecord] {
            let merged = merge(&known, &outcome(bad.clone(), bad));
            assert_eq!(
                merged,
                Resolved {
                    resolvable: false,
                    ..known.clone()
                }
            );
        }
    }

    #[test]
    fn a_family_that_the_name_gave_up_is_given_up() {
        let known = known(&["198.18.0.9", "2001:db8::9"]);
        let v4 = Answer::Addresses(vec![ip("198.18.0.9")]);
        assert_eq!(
            merge(&known, &outcome(v4.clone(), Answer::NoRecord)).v6,
            None
        );
        assert_eq!(merge(&known, &outcome(v4, Answer::Failed)), known);
    }

    #[test]
    fn all_addresses_are_those_of_the_last_good_answer_of_each_family() {
        let known = known(&["198.18.0.9", "2001:db8::9"]);
        let more = Answer::Addresses(vec![ip("198.18.0.2"), ip("198.18.0.1"), ip("198.18.0.2")]);
        let merged = merge(&known, &outcome(more, Answer::Failed));
        let all = ["198.18.0.1", "198.18.0.2", "2001:db8::9"].map(ip);
        assert_eq!(*merged.all, all);
        let merged = merge(&merged, &outcome(Answer::Failed, Answer::Failed));
        assert_eq!((*merged.all).to_vec(), all);
    }
}
