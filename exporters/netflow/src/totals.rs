//! What every device's flows add up to: per interface and direction, per protocol, per application, and who talks most.
//!
//! Each dimension is bounded and has an exact rest: named and rest together grow exactly like the total.

pub mod top;

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::applications::{Application, Applications};
use crate::flow::{Direction, Flow};
use top::{Top, Window};

/// Most interfaces (with direction) of one device.
const MOST_INTERFACES: usize = 4_096;
/// Most applications of one device.
const MOST_APPLICATIONS: usize = 500;

/// Octets, packets and flows, after sampling; and the octets that were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Octets on the wire.
    pub bytes: u64,
    /// Packets on the wire.
    pub packets: u64,
    /// Flow records.
    pub flows: u64,
    /// Octets as measured, before the sampling rate.
    pub raw_bytes: u64,
}

impl Counts {
    fn add(&mut self, flow: &Flow) {
        self.bytes = self.bytes.saturating_add(flow.scaled_bytes());
        self.packets = self.packets.saturating_add(flow.scaled_packets());
        self.flows += 1;
        self.raw_bytes = self.raw_bytes.saturating_add(flow.bytes);
    }
}

/// Where a flow passed an interface, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Passage {
    /// It came in, as the exporter says or by its input interface.
    In,
    /// It went out, as the exporter says.
    Out,
    /// It was measured coming in elsewhere and left here by its output interface: what egress accounting would have told, derived.
    DerivedOut,
}

/// Counts by key, up to a bound; the rest together.
#[derive(Debug)]
pub struct Bounded<K> {
    most: usize,
    named: HashMap<K, Counts>,
    /// What found no room.
    pub rest: Counts,
}

impl<K: Hash + Eq + Copy + Ord> Bounded<K> {
    fn new(most: usize) -> Self {
        Self {
            most,
            named: HashMap::new(),
            rest: Counts::default(),
        }
    }

    fn add(&mut self, key: K, flow: &Flow) {
        if let Some(counts) = self.named.get_mut(&key) {
            counts.add(flow);
        } else if self.named.len() < self.most {
            self.named.entry(key).or_default().add(flow);
        } else {
            self.rest.add(flow);
        }
    }

    /// All keys in their order.
    #[must_use]
    pub fn sorted(&self) -> Vec<(K, Counts)> {
        let mut all: Vec<_> = self
            .named
            .iter()
            .map(|(key, counts)| (*key, *counts))
            .collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }
}

/// Both ends of a conversation, in the direction of the packets.
pub type Pair = (IpAddr, IpAddr);

/// One device's traffic.
#[derive(Debug)]
pub struct Device {
    /// Everything.
    pub all: Counts,
    /// By ifIndex and passage.
    pub interfaces: Bounded<(u32, Passage)>,
    /// By IP protocol number: at most 256.
    pub protocols: Bounded<u8>,
    /// By application; flows of none are the rest.
    pub applications: Bounded<Application>,
    /// Who sends most.
    pub sources: Top<IpAddr>,
    /// Who receives most.
    pub destinations: Top<IpAddr>,
    /// Who sends most to whom.
    pub pairs: Top<Pair>,
}

/// Bounds of the top talkers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopBounds {
    /// Rows of an exact table, and half the slots of the stable series.
    pub rows: usize,
    /// Most addresses or pairs that are told apart within a window, per device and dimension.
    pub keys: usize,
    /// How long a slot is kept at least.
    pub hold: Duration,
}

impl Device {
    /// A device without traffic.
    #[must_use]
    pub fn new(bounds: TopBounds) -> Self {
        Self {
            all: Counts::default(),
            interfaces: Bounded::new(MOST_INTERFACES),
            protocols: Bounded::new(256),
            applications: Bounded::new(MOST_APPLICATIONS),
            sources: Top::new(bounds),
            destinations: Top::new(bounds),
            pairs: Top::new(bounds),
        }
    }

    /// Counts one flow.
    pub fn add(&mut self, flow: &Flow, applications: &Applications, now: Instant) {
        self.all.add(flow);
        match flow.direction {
            Some(Direction::Egress) => self.interfaces.add((flow.output, Passage::Out), flow),
            Some(Direction::Ingress) | None => {
                self.interfaces.add((flow.input, Passage::In), flow);
                if flow.output != 0 && flow.output != flow.input {
                    self.interfaces
                        .add((flow.output, Passage::DerivedOut), flow);
                }
            }
        }
        self.protocols.add(flow.protocol, flow);
        match applications.of(flow) {
            Some(application) => self.applications.add(application, flow),
            None => self.applications.rest.add(flow),
        }
        let (bytes, packets) = (flow.scaled_bytes(), flow.scaled_packets());
        self.sources.add(flow.source, bytes, packets, now);
        self.destinations.add(flow.destination, bytes, packets, now);
        self.pairs
            .add(flow.source.zip(flow.destination), bytes, packets, now);
    }

    /// Gives slots to who has become heavy; to be called each second.
    pub fn tick(&mut self, now: Instant) {
        self.sources.tick(now);
        self.destinations.tick(now);
        self.pairs.tick(now);
    }

    /// Ends the window: its exact tables.
    pub fn roll(&mut self) -> Windows {
        Windows {
            sources: self.sources.roll(),
            destinations: self.destinations.roll(),
            pairs: self.pairs.roll(),
        }
    }
}

impl Device {
    /// The tables so far of the window that runs.
    #[must_use]
    pub fn running(&self) -> Windows {
        Windows {
            sources: self.sources.running(),
            destinations: self.destinations.running(),
            pairs: self.pairs.running(),
        }
    }
}

/// The tables of one window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Windows {
    /// By source address.
    pub sources: Window<IpAddr>,
    /// By destination address.
    pub destinations: Window<IpAddr>,
    /// By both.
    pub pairs: Window<Pair>,
}
