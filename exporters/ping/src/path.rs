//! The path to a target: its hops, its length, its identity and its MTU, without privilege.
//!
//! Echo requests with a small hop limit are sent from unprivileged ICMP sockets; the routers' answers are read from the sockets' error
//! queues. Each flow has a socket of its own, hence an identifier that the kernel keeps for it, and all its requests have the same
//! checksum, so that routers which spread packets by their headers send a flow one way (as Paris traceroute does).
//!
//! [`trace`] decides what to send next and [`known`] what a result means, both without side effects; `run` owns sockets and time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inventory::{Inventory, Text};
use netio::control::Outgoing;
use netio::option::Family;
use toolkit::Labels;

use crate::config::Path as Settings;
use crate::counters::SharedCounters;
use crate::targets::View;

pub mod known;
pub mod metrics;
pub(crate) mod run;
pub mod trace;
pub mod wire;

use known::Known;

/// What tells targets apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Name of the device.
    pub device: Text,
    /// Family.
    pub family: Family,
    /// The address, when each of the name's is a target of its own.
    pub record: Option<IpAddr>,
}

/// A target whose path is followed.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub key: Key,
    /// `device`, `site`, `role`, `family`; and `address` of one of all records of a name.
    pub labels: Labels,
    /// Where it is.
    pub address: IpAddr,
    /// How it is probed; the hop limit is that of the trace.
    pub out: Outgoing,
    /// What becomes of the ordinary requests to it.
    pub counters: Arc<SharedCounters>,
}

/// The targets of `view` whose device bears one of the tags; every one when no tag is named.
pub fn targets(settings: &Settings, inventory: &Inventory, view: &View) -> Vec<Target> {
    if !settings.enabled {
        return Vec::new();
    }
    let wanted = |tags: &[Text]| {
        settings.tags.is_empty()
            || tags
                .iter()
                .any(|tag| settings.tags.iter().any(|t| **t == **tag))
    };
    let devices = inventory
        .devices()
        .iter()
        .filter(|device| wanted(&device.tags));
    let rows = devices.flat_map(|device| view.named(&device.name).map(move |row| (device, row)));
    rows.filter_map(|(device, row)| {
        let address = row.spec.address?;
        Some(Target {
            key: Key {
                device: device.name.clone(),
                family: row.spec.profile.family,
                record: row.says_address.then_some(address),
            },
            labels: row.labels.clone(),
            address,
            out: row.spec.profile.out,
            counters: Arc::clone(&row.counters),
        })
    })
    .collect()
}

/// One hop of a flow, over all traces.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Hop {
    /// Requests that should have ended there.
    pub requests: u64,
    /// Answers from there.
    pub responses: u64,
    /// Who answered last.
    pub address: Option<IpAddr>,
    /// Nanoseconds of the last answer.
    pub last_nanos: Option<u64>,
}

/// What is known of one flow to a target.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// Its path, and the earlier ones.
    pub known: Known,
    /// Its hops, from the first.
    pub hops: Vec<Hop>,
    /// Traces that came to an end.
    pub traces: u64,
    /// The last one got to the target.
    pub reached: bool,
    /// When the path changed last, in seconds since 1970.
    pub changed_at: Option<u64>,
}

/// What is known of one target.
#[derive(Debug, Clone)]
pub struct Report {
    /// `device`, `site`, `role`, `family`.
    pub labels: Labels,
    /// By number of the flow.
    pub flows: Vec<Flow>,
    /// Largest packet that gets there whole, with its IP header.
    pub mtu: Option<u32>,
}

/// What the follower of paths shares with scrapes.
#[derive(Debug, Default)]
pub struct Shared {
    reports: Mutex<BTreeMap<Key, Report>>,
    totals: Mutex<Totals>,
}

/// Counters of the follower itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Requests sent.
    pub requests: u64,
    /// Requests the kernel did not take.
    pub refused: u64,
    /// Packets that belong to no request under way.
    pub unmatched: u64,
    /// Traces begun by schedule, loss, and a changed hop limit.
    pub begun: [u64; 3],
    /// Targets whose trace is under way.
    pub active: u64,
    /// Targets that are followed.
    pub targets: u64,
}

impl Shared {
    fn reports(&self) -> MutexGuard<'_, BTreeMap<Key, Report>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;
    use crate::targets::{Directory, Names, Resolved};

    #[test]
    fn each_record_of_a_name_has_a_path_of_its_own() {
        let text = "devices:\n\
            - {name: pool, address: pool.example.org, ping: {records: all}}\n\
            - {name: one, address: one.example.org}\n\
            - {name: plain, address: 192.0.2.9, tags: [x]}\n";
        let inventory = Inventory::parse(text, std::path::Path::new("i.yaml")).unwrap();
        let all = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|text| text.parse().unwrap());
        let resolved = Resolved {
            v4: Some(all[0]),
            v6: Some(all[2]),
            all: all.into(),
            resolvable: true,
        };
        let names: Names = ["pool.example.org", "one.example.org"]
            .map(|name| (Text::from(name), resolved.clone()))
            .into();
        let config =
            Config::parse("path: {enabled: true}", std::path::Path::new("c.yaml")).unwrap();
        let (_, view) = Directory::default().update(&inventory, &config.probe, &names);
        let found = targets(&config.path, &inventory, &view);
        let keys: BTreeSet<&Key> = found.iter().map(|target| &target.key).collect();
        assert_eq!((found.len(), keys.len()), (6, 6), "{keys:?}");
        let records = keys.iter().filter(|key| key.record.is_some());
        assert!(records.clone().all(|key| &*key.device == "pool"));
        assert_eq!(records.count(), 3);
    }
}
