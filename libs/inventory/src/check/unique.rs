//! What only one entry may have, and the indexes that this makes possible.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;

use super::Checker;
use crate::document::DeviceEntry;
use crate::model::{Address, Device, Index, Senders};
use crate::names;

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
    addresses: Taken<Address>,
    flow: Taken<IpAddr>,
    syslog: Taken<IpAddr>,
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
        let of_family = [
            ("addresses.ipv4", device.ipv4.map(IpAddr::V4)),
            ("addresses.ipv6", device.ipv6.map(IpAddr::V6)),
        ];
        let of_family = of_family
            .into_iter()
            .filter_map(|(key, ip)| ip.map(|ip| (key, Address::Ip(ip))))
            .filter(|(_, address)| main.as_ref().is_none_or(|(_, main)| main != address));
        for (key, address) in main.clone().into_iter().chain(of_family) {
            let shown = address.clone();
            self.claim(&mut taken.addresses, address, at(key), || {
                format!("the address {}", names::shown(&shown.to_string()))
            });
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

impl Index {
    /// Notes that `device` stands at `index`.
    pub(super) fn add(&mut self, device: &Device, index: usize) {
        self.by_name.insert(device.name.clone(), index);
        let ips = [device.ipv4.map(IpAddr::V4), device.ipv6.map(IpAddr::V6)];
        self.by_ip
            .extend(ips.into_iter().flatten().map(|ip| (ip, index)));
        if let Address::Dns(name) = &device.address {
            self.by_dns.insert(name.clone(), index);
        }
        let indexed = |senders| sources(senders).iter().map(|source| (*source, index));
        self.flow_sources.extend(indexed(device.flow.as_ref()));
        self.syslog_sources.extend(indexed(device.syslog.as_ref()));
    }

    /// Forgets `device`.
    pub(super) fn remove(&mut self, device: &Device) {
        self.by_name.remove(&device.name);
        for ip in [device.ipv4.map(IpAddr::V4), device.ipv6.map(IpAddr::V6)] {
            ip.and_then(|ip| self.by_ip.remove(&ip));
        }
        if let Address::Dns(name) = &device.address {
            self.by_dns.remove(name);
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
        let ips = [device.ipv4.map(IpAddr::V4), device.ipv6.map(IpAddr::V6)];
        let named = match &device.address {
            Address::Dns(name) => other(self.by_dns.get(name)),
            Address::Ip(_) => false,
        };
        let twice =
            |sources: &[IpAddr]| (1..sources.len()).any(|at| sources[..at].contains(&sources[at]));
        let (flow, syslog) = (
            sources(device.flow.as_ref()),
            sources(device.syslog.as_ref()),
        );
        other(self.by_name.get(&device.name))
            || named
            || ips
                .into_iter()
                .flatten()
                .any(|ip| other(self.by_ip.get(&ip)))
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
        (&a.name, &a.address, a.ipv4, a.ipv6) == (&b.name, &b.address, b.ipv4, b.ipv6)
            && sources(a.flow.as_ref()) == sources(b.flow.as_ref())
            && sources(a.syslog.as_ref()) == sources(b.syslog.as_ref())
    }
}
