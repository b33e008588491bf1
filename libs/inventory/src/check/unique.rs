//! What only one entry may have, and the indexes that this makes possible.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Checker;
use crate::document::DeviceEntry;
use crate::model::{Address, Device, Index, Senders};
use crate::names;
use crate::text::Text;

/// Who holds a name or an address already.
pub(super) type Taken<K> = HashMap<K, Place>;

/// A value of one entry: `devices[3].address`.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) list: &'static str,
    pub(super) index: usize,
    pub(super) key: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}].{}", self.list, self.index, self.key)
    }
}

/// What belongs to one device each.
#[derive(Default)]
pub(super) struct Exclusive {
    addresses: Taken<(Address, Way)>,
    flow: Taken<IpAddr>,
    syslog: Taken<IpAddr>,
}

/// How a device is pinged, apart from when: one address may belong to several devices that differ in it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Way {
    size_bytes: Option<u16>,
    dscp: Option<u8>,
    ttl: Option<u8>,
    sources: (Option<Ipv4Addr>, Option<Ipv6Addr>),
    interface: Option<Text>,
    mark: Option<u32>,
}

impl Way {
    fn of(device: &Device) -> Self {
        let Some(ping) = &device.ping else {
            return Self::default();
        };
        Self {
            size_bytes: ping.size_bytes,
            dscp: ping.dscp,
            ttl: ping.ttl,
            sources: (ping.source_ipv4, ping.source_ipv6),
            interface: ping.interface.clone(),
            mark: ping.mark,
        }
    }
}

impl Checker<'_> {
    /// Notes that `key` belongs to `place`, or that another entry has it.
    pub(super) fn claim<K: Hash + Eq>(
        &mut self,
        taken: &mut Taken<K>,
        key: K,
        place: Place,
        what: impl FnOnce() -> String,
    ) {
        let holder = match taken.entry(key) {
            Entry::Vacant(free) => {
                free.insert(place);
                return;
            }
            Entry::Occupied(held) => held.get().to_string(),
        };
        let holder = match self.at(&holder).line {
            0 => holder,
            line => format!("{holder} on line {line}"),
        };
        self.problem(
            place.to_string(),
            format!("{} is taken by {holder}; expected each once", what()),
        );
    }

    /// Notes the addresses and sources of `device`, which was made of `entry`.
    pub(super) fn exclusive(
        &mut self,
        taken: &mut Exclusive,
        entry: &DeviceEntry,
        device: &Device,
        index: usize,
    ) {
        let at = |key| Place {
            list: "devices",
            index,
            key,
        };
        // The main address stands under `address`, or is one of `addresses`.
        let main = entry
            .address
            .as_ref()
            .map(|_| ("address", device.address.clone()));
        let ipv6 = device.ipv6.map(|ip| match &device.zone {
            Some(zone) => Address::Scoped(ip, zone.clone()),
            None => Address::Ip(ip.into()),
        });
        let of_family = [
            (
                "addresses.ipv4",
                device.ipv4.map(|ip| Address::Ip(ip.into())),
            ),
            ("addresses.ipv6", ipv6),
        ];
        let of_family = of_family
            .into_iter()
            .filter_map(|(key, address)| Some((key, address?)))
            .filter(|(_, address)| main.as_ref().is_none_or(|(_, main)| main != address));
        let way = Way::of(device);
        for (key, address) in main.clone().into_iter().chain(of_family) {
            let shown = address.clone();
            self.claim(
                &mut taken.addresses,
                (address, way.clone()),
                at(key),
                || format!("the address {}", names::shown(&shown.to_string())),
            );
        }
        for source in sources(device.flow.as_ref()) {
            self.claim(&mut taken.flow, *source, at("flow.sources"), || {
                format!("the flow source {source}")
            });
        }
        for source in sources(device.syslog.as_ref()) {
            self.claim(&mut taken.syslog, *source, at("syslog.sources"), || {
                format!("the syslog source {source}")
            });
        }
    }
}

fn sources(senders: Option<&Senders>) -> &[IpAddr] {
    senders
        .map(|senders| senders.sources.as_slice())
        .unwrap_or_default()
}

/// The addresses that alone tell where it is: not one with a zone.
fn ips(device: &Device) -> impl Iterator<Item = IpAddr> {
    let ipv6 = device.ipv6.filter(|_| device.zone.is_none());
    let ips = [device.ipv4.map(IpAddr::V4), ipv6.map(IpAddr::V6)];
    ips.into_iter().flatten()
}

/// Its DNS name, and its address with the zone.
fn dns(device: &Device) -> impl Iterator<Item = Text> {
    let name = match &device.address {
        Address::Dns(name) => Some(name.clone()),
        Address::Ip(_) | Address::Scoped(..) => None,
    };
    let zoned = device.ipv6.zip(device.zone.clone());
    let zoned = zoned.map(|(ip, zone)| Address::Scoped(ip, zone).to_string().into());
    name.into_iter().chain(zoned)
}

impl Index {
    /// Notes that `device` stands at `index`.
    pub(super) fn add(&mut self, device: &Device, index: usize) {
        self.by_name.insert(device.name.clone(), index);
        for ip in ips(device) {
            self.shared |= *self.by_ip.entry(ip).or_insert(index) != index;
        }
        for name in dns(device) {
            self.shared |= *self.by_dns.entry(name).or_insert(index) != index;
        }
        let indexed = |senders| sources(senders).iter().map(|source| (*source, index));
        self.flow_sources.extend(indexed(device.flow.as_ref()));
        self.syslog_sources.extend(indexed(device.syslog.as_ref()));
    }

    /// Forgets `device`.
    pub(super) fn remove(&mut self, device: &Device) {
        self.by_name.remove(&device.name);
        for ip in ips(device) {
            self.by_ip.remove(&ip);
        }
        for name in dns(device) {
            self.by_dns.remove(&name);
        }
        for source in sources(device.flow.as_ref()) {
            self.flow_sources.remove(source);
        }
        for source in sources(device.syslog.as_ref()) {
            self.syslog_sources.remove(source);
        }
    }

    /// Notes that the device at `gone` is taken out of the list: those behind it move up.
    pub(super) fn close(&mut self, gone: usize) {
        let up = |at: &mut usize| *at -= usize::from(*at > gone);
        self.by_name.values_mut().for_each(up);
        self.by_ip.values_mut().for_each(up);
        self.by_dns.values_mut().for_each(up);
        self.flow_sources.values_mut().for_each(up);
        self.syslog_sources.values_mut().for_each(up);
    }

    /// Whether something that belongs to one device each belongs to another than the one at `index`, or twice to this one.
    pub(super) fn takes(&self, device: &Device, index: usize) -> bool {
        let other = |at: Option<&usize>| at.is_some_and(|at| *at != index);
        let twice =
            |sources: &[IpAddr]| (1..sources.len()).any(|at| sources[..at].contains(&sources[at]));
        let (flow, syslog) = (
            sources(device.flow.as_ref()),
            sources(device.syslog.as_ref()),
        );
        other(self.by_name.get(&device.name))
            || dns(device).any(|name| other(self.by_dns.get(&name)))
            || ips(device).any(|ip| other(self.by_ip.get(&ip)))
            || flow
                .iter()
                .any(|source| other(self.flow_sources.get(source)))
            || syslog
                .iter()
                .any(|source| other(self.syslog_sources.get(source)))
            || twice(flow)
            || twice(syslog)
    }

    /// Whether both devices are found by the same.
    pub(super) fn alike(a: &Device, b: &Device) -> bool {
        (&a.name, &a.address, a.ipv4, a.ipv6, &a.zone)
            == (&b.name, &b.address, b.ipv4, b.ipv6, &b.zone)
            && sources(a.flow.as_ref()) == sources(b.flow.as_ref())
            && sources(a.syslog.as_ref()) == sources(b.syslog.as_ref())
    }
}
