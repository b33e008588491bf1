//! Which device of the inventory a name in a header means.
//!
//! Exact first, then what devices are known to add to their names; a name that could mean two devices means none.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use inventory::{Device, Inventory};

/// Names of an inventory that are searched by a part of them.
#[derive(Debug, Default)]
pub struct Names {
    /// First labels of names with a domain; none where two devices share one.
    short: HashMap<String, Option<String>>,
    /// `sw1` where the inventory has a `sw1-1` of its own: there, a number is part of the name.
    numbered: HashSet<String>,
}

impl Names {
    /// The names of an inventory.
    #[must_use]
    pub fn new(inventory: &Inventory) -> Self {
        let mut names = Self::default();
        for device in inventory.devices() {
            let name = device.name.to_ascii_lowercase();
            let first = name.split('.').next().unwrap_or_default();
            if let Some((base, _)) = member(first) {
                names.numbered.insert(base.to_owned());
            }
            if first.len() < name.len() && name.parse::<IpAddr>().is_err() {
                names
                    .short
                    .entry(first.to_owned())
                    .and_modify(|known| *known = None)
                    .or_insert_with(|| Some((*device.name).to_owned()));
            }
        }
        names
    }

    /// The device that a header calls `name`: by its name or address as written and in lower case, without the name of
    /// a Junos routing engine (`re0.router1`, `router1-re0`), without the number of a stack's member (`sw1-2`, when no
    /// device of the inventory is numbered like that), each also without or with the domain.
    #[must_use]
    pub fn find<'i>(&self, inventory: &'i Inventory, name: &str) -> Option<&'i Device> {
        if let Some(device) = whole(inventory, name) {
            return Some(device);
        }
        let name = name.to_ascii_lowercase();
        let found = whole(inventory, &name).or_else(|| self.by_label(inventory, &name));
        if found.is_some() {
            return found;
        }
        if let Some(router) = without_engine(&name) {
            let found = whole(inventory, &router).or_else(|| self.by_label(inventory, &router));
            if found.is_some() {
                return found;
            }
        }
        let (first, domain) = split(&name);
        let (base, _) = member(if is_address(&name) { &name } else { first })?;
        if is_address(base) {
            return whole(inventory, base);
        }
        if self.numbered.contains(base) {
            return None;
        }
        let stack = format!("{base}{domain}");
        whole(inventory, &stack).or_else(|| self.by_label(inventory, &stack))
    }

    /// `router1.example.net` for `router1`, and the other way round.
    fn by_label<'i>(&self, inventory: &'i Inventory, name: &str) -> Option<&'i Device> {
        if is_address(name) {
            return None;
        }
        match split(name) {
            (name, "") => inventory.device(self.short.get(name)?.as_deref()?),
            (first, _) => inventory.device(first),
        }
    }
}

/// By name, by DNS name, by address.
fn whole<'i>(inventory: &'i Inventory, name: &str) -> Option<&'i Device> {
    inventory.device(name).or_else(|| {
        let by_source = || inventory.by_syslog_source(name.parse().ok()?);
        by_source().or_else(|| inventory.by_address(name))
    })
}

/// The first label, and the rest with its dot.
fn split(name: &str) -> (&str, &str) {
    name.split_at(name.find('.').unwrap_or(name.len()))
}

/// Whether it is an address, also with the number of a unit behind it: `192.0.2.1-2`.
fn is_address(name: &str) -> bool {
    let plain = member(name).map_or(name, |(base, _)| base);
    name.parse::<IpAddr>().is_ok() || plain.parse::<IpAddr>().is_ok()
}

/// `sw1-2` as `sw1` and 2; stacks have up to nine members.
fn member(name: &str) -> Option<(&str, u8)> {
    let (base, number) = name.rsplit_once('-')?;
    match number.as_bytes() {
        [digit @ b'1'..=b'9'] if !base.is_empty() => Some((base, digit - b'0')),
        _ => None,
    }
}

/// `re0.router1` and `router1-re1.example.net` without the routing engine.
fn without_engine(name: &str) -> Option<String> {
    const ENGINES: [&str; 2] = ["re0", "re1"];
    for engine in ENGINES {
        if let Some(rest) = name.strip_prefix(engine).and_then(|n| n.strip_prefix('.')) {
            return Some(rest.to_owned());
        }
        let (first, domain) = split(name);
        if let Some(base) = first
            .strip_suffix(engine)
            .and_then(|n| n.strip_suffix(['-', '_']))
            && !base.is_empty()
        {
            return Some(format!("{base}{domain}"));
        }
    }
    None
}

#[cfg(test)]
mod tests;
