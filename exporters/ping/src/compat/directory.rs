//! From a peer's targets to those of the engine, under the labels of that peer.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use inventory::Text;
use netio::control::Outgoing;
use netio::option::Family;
use toolkit::Labels;

use super::{Families, Kind, Peer, Target};
use crate::accounting::Timing;
use crate::counters::SharedCounters;
use crate::echo;
use crate::engine::{Command, Id, ProbeProfile, ProbeProfiles, Spec};
use crate::targets::{Names, Row, Rows, View, WantedNames, phase};

/// What tells targets apart; a setting that no series shows is no part of it, so that counters go on when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    host: String,
    family: Family,
    source: Option<IpAddr>,
    tos: u8,
    labels: BTreeMap<String, String>,
    /// The address, when each of the name's is a target of its own.
    address: Option<IpAddr>,
}

#[derive(Debug)]
struct Entry {
    id: Id,
    spec: Spec,
    counters: Arc<SharedCounters>,
}

/// All targets there are.
#[derive(Debug, Default)]
pub struct Directory {
    entries: HashMap<Key, Entry>,
    profiles: ProbeProfiles,
    next: u64,
}

impl Directory {
    /// Makes the targets those of `peer`. Answers what to tell the engine (nothing about unchanged targets) and what scrapes show from
    /// now on.
    pub fn update(&mut self, peer: &Peer, names: &Names, down_after: u32) -> (Vec<Command>, View) {
        let mut commands = Vec::new();
        let mut rows = Rows::default();
        let mut before = std::mem::take(&mut self.entries);
        for target in &peer.targets {
            for (family, address) in addresses(target, names) {
                let key = Key {
                    host: target.host.clone(),
                    family,
                    source: target.source,
                    tos: target.tos,
                    labels: target.labels.clone(),
                    address: target.all_records.then_some(address),
                };
                let spec = Spec {
                    profile: self.profiles.shared(profile(target, family, down_after)),
                    address: Some(address),
                    phase: phase(&target.host, family, key.address),
                };
                let entry = match before.remove(&key) {
                    Some(entry) if entry.spec == spec => entry,
                    Some(entry) => {
                        let counters = Arc::clone(&entry.counters);
                        commands.push(Command::Put(entry.id, spec.clone(), counters));
                        Entry { spec, ..entry }
                    }
                    None if self.entries.contains_key(&key) => continue,
                    None => {
                        self.next += 1;
                        let (id, counters) = (Id(self.next), Arc::default());
                        commands.push(Command::Put(id, spec.clone(), Arc::clone(&counters)));
                        Entry { id, spec, counters }
                    }
                };
                let labels = labels(peer, target, address);
                let row = Row {
                    labels,
                    says_address: true,
                    zone: None,
                    spec: entry.spec.clone(),
                    counters: Arc::clone(&entry.counters),
                };
                rows.add(row, [&Text::from(target.host.as_str())]);
                self.entries.insert(key, entry);
            }
        }
        commands.extend(before.into_values().map(|entry| Command::Remove(entry.id)));
        self.profiles.tidy();
        (commands, rows.view())
    }
}

impl Peer {
    /// The names that must be resolved to probe its targets.
    pub fn wanted_names(&self) -> WantedNames {
        let mut names = WantedNames::new();
        for target in &self.targets {
            if let Some(name) = target.name() {
                let wanted = names.entry(name).or_default();
                wanted.0 |= target.families.has(Family::V4);
                wanted.1 |= target.families.has(Family::V6);
            }
        }
        names
    }
}

/// Where a target is probed now.
fn addresses(target: &Target, names: &Names) -> Vec<(Family, IpAddr)> {
    let families = target.families;
    let family = |address: &IpAddr| match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    };
    if let (true, Some(name)) = (target.all_records, target.name()) {
        let all = names.get(&name).map(|resolved| Arc::clone(&resolved.all));
        let all = all.iter().flat_map(|all| all.iter().copied());
        let each = all.map(|address| (family(&address), address));
        return each.filter(|(family, _)| families.has(*family)).collect();
    }
    let known = match (target.address(), target.name()) {
        (Some(IpAddr::V4(v4)), _) => [Some(IpAddr::V4(v4)), None],
        (Some(address), _) => [None, Some(address)],
        (None, name) => {
            let resolved = name.and_then(|name| names.get(&name));
            resolved.map_or([None, None], |resolved| [resolved.v4, resolved.v6])
        }
    };
    let all = [Family::V4, Family::V6].into_iter().zip(known);
    let wanted = all.filter_map(|(family, address)| Some((family, address?)));
    let wanted = wanted.filter(|(family, _)| families.has(*family));
    let most = if families == Families::Any { 1 } else { 2 };
    wanted.take(most).collect()
}

fn profile(target: &Target, family: Family, down_after: u32) -> ProbeProfile {
    let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    ProbeProfile {
        family,
        timing: Timing {
            interval: nanos(target.interval),
            burst: 1,
            spacing: nanos(target.interval),
            timeout: nanos(target.timeout),
            down_after,
        },
        size: target.size,
        out: Outgoing {
            traffic_class: (target.tos > 0).then_some(target.tos),
            source: target.source,
            mark: target.mark,
            interface: target.zone().map_or(0, echo::interface),
            ..Outgoing::default()
        },
    }
}

fn labels(peer: &Peer, target: &Target, address: IpAddr) -> Labels {
    let ip = match target.zone() {
        Some(zone) => format!("{address}%{zone}"),
        None => address.to_string(),
    };
    let source = target
        .source
        .map(|source| source.to_string())
        .unwrap_or_default();
    let tos = target.tos.to_string();
    let version = if address.is_ipv4() { "4" } else { "6" };
    let fixed: Vec<(&str, &str)> = match peer.kind {
        Kind::SmokepingProber => vec![
            ("ip", &ip),
            ("host", &target.host),
            ("source", &source),
            ("tos", &tos),
        ],
        Kind::PingExporter => vec![
            ("target", &target.host),
            ("ip", &ip),
            ("ip_version", version),
        ],
        Kind::Blackbox => Vec::new(),
    };
    let own = peer.labels.iter().map(|name| {
        let value = target.labels.get(name).map_or("", String::as_str);
        (name.as_str(), value)
    });
    Labels::new(fixed.into_iter().chain(own))
}
