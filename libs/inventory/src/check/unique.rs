//! What only one entry may have, and the indexes that this makes possible.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;

use super::Checker;
use crate::document::DeviceEntry;
use crate::model::{Address, Device, Inventory, Senders};
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

/// Puts `device` at the end of the list and into every index.
pub(super) fn index_device(inventory: &mut Inventory, device: Device) {
    let index = inventory.devices.len();
    inventory.by_name.insert(device.name.clone(), index);
    let ips = [device.ipv4.map(IpAddr::V4), device.ipv6.map(IpAddr::V6)];
    inventory
        .by_ip
        .extend(ips.into_iter().flatten().map(|ip| (ip, index)));
    if let Address::Dns(name) = &device.address {
        inventory.by_dns.insert(name.clone(), index);
    }
    let indexed = |senders| sources(senders).iter().map(|source| (*source, index));
    inventory.flow_sources.extend(indexed(device.flow.as_ref()));
    inventory
        .syslog_sources
        .extend(indexed(device.syslog.as_ref()));
    inventory.devices.push(device);
}
