//! The network whose history is written.

use std::collections::BTreeSet;

/// Devices, links and what flows between them.
#[derive(Debug, Clone)]
pub struct Network {
    /// The devices.
    pub devices: Vec<Device>,
    /// The links between them.
    pub links: Vec<Link>,
    /// What hosts send each other; the first one grows over the history.
    pub streams: Vec<Stream>,
    /// Where Prometheus reads them.
    pub instances: Instances,
}

/// A device of the inventory.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its name, the label `device`.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Its role.
    pub role: String,
    /// Its platform.
    pub platform: String,
    /// Its address, the label `instance` of what SNMP says.
    pub address: String,
    /// Whether SNMP tells of it.
    pub snmp: bool,
}

/// A link.
#[derive(Debug, Clone)]
pub struct Link {
    /// Both ends.
    pub ends: [End; 2],
    /// What its ends say of their speed, in Mbit/s (`ifHighSpeed`).
    pub speed: u32,
    /// What it costs to go over it; streams take the cheapest way.
    pub cost: u32,
}

/// One end of a link.
#[derive(Debug, Clone)]
pub struct End {
    /// Index of the device.
    pub device: usize,
    /// `ifName`.
    pub interface: String,
    /// `ifIndex`.
    pub index: u32,
}

/// A stream from one device to another.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Index of the device that sends.
    pub from: usize,
    /// Index of the device that receives.
    pub to: usize,
    /// Its mean at the end of the history, in bits per second on the wire.
    pub bits_per_second: f64,
}

/// The label `instance` of the services that Prometheus reads.
#[derive(Debug, Clone)]
pub struct Instances {
    /// Of sotp-ping.
    pub ping: String,
    /// Of sotp-inventory.
    pub inventory: String,
}

/// Links in order, each with the end that sends.
pub(crate) type Way = Vec<(usize, usize)>;

impl Network {
    /// The cheapest way from `from` to `to`; nothing where there is none.
    pub(crate) fn way(&self, from: usize, to: usize) -> Way {
        let mut reached: Vec<Option<(u32, Way)>> = vec![None; self.devices.len()];
        let mut open = BTreeSet::from([(0, from)]);
        if let Some(start) = reached.get_mut(from) {
            *start = Some((0, Vec::new()));
        }
        while let Some((cost, at)) = open.pop_first() {
            let Some((known, way)) = reached.get(at).cloned().flatten() else {
                continue;
            };
            if at == to {
                return way;
            }
            if known < cost {
                continue;
            }
            for (index, link) in self.links.iter().enumerate() {
                for sends in [0, 1] {
                    let next = link.ends[1 - sends].device;
                    let total = cost + link.cost;
                    let better = |known: &Option<(u32, _)>| {
                        known.as_ref().is_none_or(|(known, _)| total < *known)
                    };
                    if link.ends[sends].device != at || !reached.get(next).is_some_and(better) {
                        continue;
                    }
                    let mut way = way.clone();
                    way.push((index, sends));
                    reached[next] = Some((total, way));
                    open.insert((total, next));
                }
            }
        }
        Vec::new()
    }
}
