//! From the inventory to the targets of the engine: what is probed, under which labels, and what a change changes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use inventory::{Address, Device, Inventory, Records, Text};
use netio::control::Outgoing;
use netio::option::Family;
use toolkit::{Encoder, Labels};

use crate::config::Probe;
use crate::counters::SharedCounters;
use crate::echo;
use crate::engine::{Command, Id, ProbeProfile, ProbeProfiles, Spec};

/// What is known of one DNS name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// The last good IPv4 address.
    pub v4: Option<IpAddr>,
    /// The last good IPv6 address.
    pub v6: Option<IpAddr>,
    /// The last good addresses of both families, each once, in order.
    pub all: Arc<[IpAddr]>,
    /// The last lookup gave an address.
    pub resolvable: bool,
}

/// DNS names and what is known of them.
pub type Names = HashMap<Text, Resolved>;

/// DNS names to resolve, each with whether IPv4 and whether IPv6 is wanted.
pub type WantedNames = BTreeMap<Text, (bool, bool)>;

/// One target as a scrape shows it.
#[derive(Debug)]
pub struct Row {
    /// `device`, `site`, `role`, `family`; and `address` of one of all records of a name.
    pub labels: Labels,
    /// The address is one of the labels.
    pub says_address: bool,
    /// The zone of a link-local address.
    pub zone: Option<Text>,
    /// How it is probed.
    pub spec: Spec,
    /// Its counters.
    pub counters: Arc<SharedCounters>,
}

impl Row {
    /// Writes 1 under its labels and its address.
    pub fn info(&self, out: &mut Encoder) {
        match self.spec.address.filter(|_| !self.says_address) {
            None => out.sample(&self.labels, 1_u64),
            Some(address) => {
                let address = match &self.zone {
                    Some(zone) => format!("{address}%{zone}"),
                    None => address.to_string(),
                };
                let address = Labels::new([("address", address)]);
                out.sample_with(&self.labels, &address, 1_u64);
            }
        }
    }
}

/// One DNS name of a device as a scrape shows it.
#[derive(Debug)]
pub struct NameRow {
    /// `device`, `site`, `role`.
    pub labels: Labels,
    /// The name.
    pub name: Text,
    /// It resolved when last asked.
    pub resolvable: bool,
}

/// What a scrape shows. It does not change: [`Rows`] make another.
#[derive(Debug, Default)]
pub struct View {
    /// The targets, by device and family.
    pub rows: Vec<Row>,
    /// The DNS names, by device.
    pub names: Vec<NameRow>,
    /// Places of the targets, in the order of their addresses.
    by_address: Vec<(IpAddr, u32)>,
    /// Places of the targets, in the order of the names they are found by.
    by_name: Vec<(Text, u32)>,
}

impl View {
    /// The targets at this address: one, unless it is pinged in several ways.
    pub fn at(&self, address: IpAddr) -> impl Iterator<Item = &Row> {
        let first = self.by_address.partition_point(|at| at.0 < address);
        let there = self.by_address.get(first..).unwrap_or_default().iter();
        let there = there.take_while(move |at| at.0 == address);
        there.filter_map(|&(_, place)| self.rows.get(place as usize))
    }

    /// The targets of the device with this name or DNS name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Row> {
        let first = self.by_name.partition_point(|(other, _)| **other < *name);
        let named = self.by_name.get(first..).unwrap_or_default().iter();
        let named = named.take_while(move |(other, _)| **other == *name);
        named.filter_map(|&(_, place)| self.rows.get(place as usize))
    }
}

/// A [`View`] that is being made.
#[derive(Debug, Default)]
pub struct Rows {
    view: View,
}

impl Rows {
    /// Adds a target that `/probe` finds by its address and these names.
    pub fn add<'a>(&mut self, row: Row, names: impl IntoIterator<Item = &'a Text>) {
        let place = self.view.rows.len() as u32;
        let address = row.spec.address.map(|address| (address, place));
        self.view.by_address.extend(address);
        let names = names.into_iter().map(|name| (name.clone(), place));
        self.view.by_name.extend(names);
        self.view.rows.push(row);
    }

    /// Adds a DNS name.
    pub fn add_name(&mut self, name: NameRow) {
        self.view.names.push(name);
    }

    /// All of it, in the memory it needs.
    pub fn view(self) -> View {
        let mut view = self.view;
        view.by_address.sort_unstable();
        view.by_name.sort_unstable();
        view.by_name.dedup();
        view.rows.shrink_to_fit();
        view.by_address.shrink_to_fit();
        view.by_name.shrink_to_fit();
        view
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    device: Text,
    family: Family,
    /// The address, when each of the name's is a target of its own.
    address: Option<IpAddr>,
}

#[derive(Debug)]
struct Entry {
    id: Id,
    spec: Spec,
    counters: Arc<SharedCounters>,
}

/// A target before it is known whether it is new.
struct Draft<'a> {
    device: &'a Device,
    labels: Labels,
    says_address: bool,
    key: Key,
    spec: Spec,
    entry: Option<Entry>,
}

/// All targets there are.
#[derive(Debug, Default)]
pub struct Directory {
    /// In the order of their keys.
    entries: Vec<(Key, Entry)>,
    profiles: ProbeProfiles,
    next: u64,
}

impl Directory {
    /// Makes the targets those of `inventory`. Answers what to tell the engine (nothing about unchanged targets)
    /// and what scrapes show from now on. A target is known by device name and family: whatever else of it changes,
    /// its counters go on.
    pub fn update(
        &mut self,
        inventory: &Inventory,
        probe: &Probe,
        names: &Names,
    ) -> (Vec<Command>, View) {
        let mut rows = Rows::default();
        let mut drafts = Vec::new();
        for device in inventory.devices() {
            let Some(ping) = &device.ping else { continue };
            let labels = [
                ("device", &device.name),
                ("site", &device.site),
                ("role", &device.role),
            ];
            let labels = Labels::new(labels.map(|(name, value)| (name, &**value)));
            let resolved = name_of(device).map(|name| names.get(name).cloned().unwrap_or_default());
            for (family, label, address, own) in addresses(device, ping, resolved.as_ref()) {
                let key = Key {
                    device: device.name.clone(),
                    family,
                    address: own.then_some(address),
                };
                let profile = ProbeProfile {
                    family,
                    timing: probe.timing(ping),
                    size: ping.size_bytes.map_or(probe.size, usize::from),
                    out: outgoing(ping, device.zone.as_ref(), probe, family),
                };
                let spec = Spec {
                    profile: self.profiles.shared(profile),
                    address: Some(address),
                    phase: phase(&device.name, family, key.address),
                };
                let labels = labels.with("family", label);
                drafts.push(Draft {
                    device,
                    labels: match own {
                        true => labels.with("address", &address.to_string()),
                        false => labels,
                    },
                    says_address: own,
                    key,
                    spec,
                    entry: None,
                });
            }
            if let (Some(resolved), Some(name)) = (resolved, name_of(device)) {
                rows.add_name(NameRow {
                    labels,
                    name: name.clone(),
                    resolvable: resolved.resolvable,
                });
            }
        }
        let commands = self.settle(&mut drafts);
        let mut entries = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let Some(entry) = draft.entry else { continue };
            let row = Row {
                labels: draft.labels,
                says_address: draft.says_address,
                zone: device_zone(draft.device, &draft.key),
                spec: entry.spec.clone(),
                counters: Arc::clone(&entry.counters),
            };
            let names = [&draft.device.name].into_iter();
            rows.add(row, names.chain(dns_name(draft.device)));
            entries.push((draft.key, entry));
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        self.entries = entries;
        self.profiles.tidy();
        (commands, rows.view())
    }

    /// Gives each draft the entry of its key, or a new one, and answers what to tell the engine. New targets are made in the order in which
    /// they will be asked, so that what is needed at one time is side by side in memory.
    fn settle(&mut self, drafts: &mut [Draft<'_>]) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut before: Vec<(Key, Option<Entry>)> = std::mem::take(&mut self.entries)
            .into_iter()
            .map(|(key, entry)| (key, Some(entry)))
            .collect();
        let mut new = Vec::new();
        for draft in drafts.iter_mut() {
            let found = before.binary_search_by(|(key, _)| key.cmp(&draft.key));
            let place = found.ok().and_then(|place| before.get_mut(place));
            match place.and_then(|(_, entry)| entry.take()) {
                Some(mut entry) => {
                    if entry.spec != draft.spec {
                        entry.spec = draft.spec.clone();
                        commands.push(entry.put());
                    }
                    draft.entry = Some(entry);
                }
                None => {
                    self.next += 1;
                    new.push((Id(self.next), draft));
                }
            }
        }
        new.sort_by_key(|(_, draft)| draft.spec.first());
        commands.reserve_exact(new.len());
        for (id, draft) in new {
            let entry = Entry {
                id,
                spec: draft.spec.clone(),
                counters: Arc::default(),
            };
            commands.push(entry.put());
            draft.entry = Some(entry);
        }
        let gone = before.into_iter().filter_map(|(_, entry)| entry);
        commands.extend(gone.map(|entry| Command::Remove(entry.id)));
        commands
    }
}

impl Entry {
    /// Tells the engine of it.
    fn put(&self) -> Command {
        Command::Put(self.id, self.spec.clone(), Arc::clone(&self.counters))
    }
}

/// What is probed of a device: family with its label, address, and whether the address is one of several targets of the family.
fn addresses(
    device: &Device,
    ping: &inventory::Ping,
    resolved: Option<&Resolved>,
) -> Vec<(Family, &'static str, IpAddr, bool)> {
    let mut found = Vec::new();
    for &family in &ping.families {
        let (given, label, family) = (device.ip(family), family.as_str(), family_of(family));
        match (given, resolved) {
            (Some(address), _) => found.push((family, label, address, false)),
            (None, Some(resolved)) if ping.records == Records::All => {
                let all = resolved.all.iter().copied();
                let of_family = all.filter(|ip| ip.is_ipv4() == (family == Family::V4));
                found.extend(of_family.map(|ip| (family, label, ip, true)));
            }
            (None, resolved) => {
                let address = resolved.and_then(|resolved| address_of(resolved, family));
                found.extend(address.map(|ip| (family, label, ip, false)));
            }
        }
    }
    found
}

/// The names that must be resolved to probe the devices of `inventory`.
pub fn wanted_names(inventory: &Inventory) -> WantedNames {
    let mut names = WantedNames::new();
    for device in inventory.devices() {
        let (Some(ping), Some(name)) = (&device.ping, name_of(device)) else {
            continue;
        };
        let wanted = names.entry(name.clone()).or_default();
        for &family in ping
            .families
            .iter()
            .filter(|&&family| device.ip(family).is_none())
        {
            match family {
                inventory::Family::Ipv4 => wanted.0 = true,
                inventory::Family::Ipv6 => wanted.1 = true,
            }
        }
    }
    names
}

/// The DNS name of a device that has a family to probe without a numeric address.
fn name_of(device: &Device) -> Option<&Text> {
    let families = &device.ping.as_ref()?.families;
    match &device.address {
        Address::Dns(name) if families.iter().any(|&family| device.ip(family).is_none()) => {
            Some(name)
        }
        _ => None,
    }
}

/// What the requests of a target ask of the kernel.
fn outgoing(
    ping: &inventory::Ping,
    zone: Option<&Text>,
    probe: &Probe,
    family: Family,
) -> Outgoing {
    let dscp = ping.dscp.unwrap_or(probe.dscp);
    let zone = zone.filter(|_| family == Family::V6).map(|zone| &**zone);
    let interface = zone.or(ping.interface.as_deref());
    let interface = interface.or(probe.interface.as_deref());
    Outgoing {
        hop_limit: ping.ttl.or(probe.ttl),
        traffic_class: (dscp > 0).then_some(dscp << 2),
        source: match family {
            Family::V4 => ping.source_ipv4.or(probe.source_ipv4).map(IpAddr::V4),
            Family::V6 => ping.source_ipv6.or(probe.source_ipv6).map(IpAddr::V6),
        },
        interface: interface.map_or(0, echo::interface),
        mark: ping.mark.or(probe.mark),
    }
}

/// Some target has an interface of its own: its number may change.
pub fn names_interfaces(inventory: &Inventory, probe: &Probe) -> bool {
    let own = |device: &Device| {
        let ping = device.ping.as_ref();
        ping.is_some_and(|ping| ping.interface.is_some() || device.zone.is_some())
    };
    probe.interface.is_some() || inventory.devices().iter().any(own)
}

/// The zone of the address that the target of this key is at.
fn device_zone(device: &Device, key: &Key) -> Option<Text> {
    device.zone.clone().filter(|_| key.family == Family::V6)
}

fn dns_name(device: &Device) -> Option<&Text> {
    match &device.address {
        Address::Dns(name) => Some(name),
        Address::Ip(_) | Address::Scoped(..) => None,
    }
}

fn address_of(resolved: &Resolved, family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => resolved.v4,
        Family::V6 => resolved.v6,
    }
}

fn family_of(family: inventory::Family) -> Family {
    match family {
        inventory::Family::Ipv4 => Family::V4,
        inventory::Family::Ipv6 => Family::V6,
    }
}

/// Spreads the targets over the interval, the same target always to the same place (FNV-1a, 64 bits).
pub(crate) fn phase(device: &str, family: Family, address: Option<IpAddr>) -> u64 {
    let family: u8 = match family {
        Family::V4 => 4,
        Family::V6 => 6,
    };
    let address = match address {
        None => Vec::new(),
        Some(IpAddr::V4(address)) => address.octets().to_vec(),
        Some(IpAddr::V6(address)) => address.octets().to_vec(),
    };
    let bytes = device.bytes().chain([family]).chain(address);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
