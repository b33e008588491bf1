//! What every device's flows add up to: per interface and direction, per protocol, application, autonomous system and network, and who talks most.
//!
//! Each dimension is bounded and has an exact rest: named and rest together grow exactly like the total.

mod hash;
mod keys;
mod named;
mod services;
pub mod spread;
pub mod top;

use std::time::{Duration, Instant};

use crate::applications::Application;
use crate::flow::{Direction, Flow};
use crate::networks::Network;
pub use keys::{Address, Pair, Port, Prefix};
pub use named::{Bounded, Word};
pub use services::Services;
use spread::{Accounting, Lay, Series, Timeline};
use top::{Top, Window};

/// Most interfaces (with direction) of one device.
const MOST_INTERFACES: usize = 4_096;
/// Most applications, autonomous systems and pairs of networks of one device.
const MOST_NAMED: usize = 500;

/// Octets, packets and flows, after sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Octets on the wire.
    pub bytes: u64,
    /// Packets on the wire.
    pub packets: u64,
    /// Flow records.
    pub flows: u64,
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

/// What is known of a flow beside what it says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    /// Its application.
    pub application: Option<Application>,
    /// Autonomous systems of source and destination; 0 when not known.
    pub systems: (u32, u32),
    /// Networks of source and destination.
    pub networks: (Option<Network>, Option<Network>),
}

/// One device's traffic.
#[derive(Debug)]
pub struct Device {
    /// Where its counters stand.
    pub timeline: Timeline,
    /// Flows of sampled packets as they were measured.
    measured: Series,
    suppressed: Series,
    /// By ifIndex and passage.
    pub interfaces: Bounded<(u32, Passage)>,
    /// Passages that found no room among those.
    pub other_interfaces: Series,
    /// By IP protocol and application: everything but what is suppressed.
    pub services: Services,
    /// By autonomous system of the source; flows of none are the rest.
    pub source_systems: Bounded<u32>,
    /// By autonomous system of the destination.
    pub destination_systems: Bounded<u32>,
    /// By networks of source and destination; `None` is outside of all.
    pub networks: Bounded<(Option<Network>, Option<Network>)>,
    /// Who sends most.
    pub sources: Top<Address>,
    /// Who receives most.
    pub destinations: Top<Address>,
    /// Who sends most to whom.
    pub pairs: Top<Pair>,
    /// Which networks of 256 addresses (of 2⁸⁰ in IPv6, a /48) receive most.
    pub prefixes: Top<Prefix>,
    /// On which port most is served: the lower one of the two.
    pub ports: Top<Port>,
    /// Flows whose ends have not been counted yet: those of one datagram at most.
    talks: Vec<Talk>,
}

/// Who talks in a flow, and how much.
#[derive(Debug, Clone, Copy)]
struct Talk {
    source: Option<Address>,
    destination: Option<Address>,
    port: Option<Port>,
    lay: Lay,
}

impl Talk {
    #[inline]
    fn pair(&self) -> Option<Pair> {
        self.source.zip(self.destination)
    }

    #[inline]
    fn prefix(&self) -> Option<Prefix> {
        self.destination.map(Prefix::from)
    }
}

/// Flows whose ends are counted together: each table is then in the processor's cache while it is worked on, and it looks several keys up at once.
const TOGETHER: usize = 32;

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

/// Evaluates to the same of each top of a device, as an array.
macro_rules! tops {
    ($device:expr, $top:ident => $of:expr) => {{
        let device = $device;
        [
            {
                let $top = &mut device.sources;
                $of
            },
            {
                let $top = &mut device.destinations;
                $of
            },
            {
                let $top = &mut device.pairs;
                $of
            },
            {
                let $top = &mut device.prefixes;
                $of
            },
            {
                let $top = &mut device.ports;
                $of
            },
        ]
    }};
}

impl Device {
    /// A device without traffic.
    #[must_use]
    pub fn new(bounds: TopBounds, accounting: Accounting, now: Instant) -> Self {
        Self {
            timeline: Timeline::new(accounting, now),
            measured: Series::default(),
            suppressed: Series::default(),
            interfaces: Bounded::new(MOST_INTERFACES),
            other_interfaces: Series::default(),
            services: Services::new(MOST_NAMED),
            source_systems: Bounded::new(MOST_NAMED),
            destination_systems: Bounded::new(MOST_NAMED),
            networks: Bounded::new(MOST_NAMED),
            sources: Top::new(bounds),
            destinations: Top::new(bounds),
            pairs: Top::new(bounds),
            prefixes: Top::new(bounds),
            ports: Top::new(bounds),
            talks: Vec::with_capacity(TOGETHER),
        }
    }

    /// Everything.
    #[must_use]
    pub fn all(&self) -> Counts {
        self.services.total()
    }

    /// Octets as measured, before the sampling rate.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        let plain = self.services.plain_bytes();
        plain.saturating_add(self.measured.shown.bytes)
    }

    /// What another exporter on the path counts; of all series only those of interfaces have it too.
    #[must_use]
    pub fn suppressed(&self) -> Counts {
        self.suppressed.shown
    }

    /// Counts one flow; one that another exporter counts only where it passed. Who talks is known after [`Device::settle`].
    pub fn add(&mut self, flow: &Flow, known: &Known, duplicate: bool, now: Instant) {
        let is_sampled = flow.rate.one_in > 1;
        if is_sampled && !duplicate {
            self.measured.add(&self.timeline.lay_measured(flow, now));
        }
        let lay = self.timeline.lay(flow, now);
        let (interfaces, others) = (&mut self.interfaces, &mut self.other_interfaces);
        let mut passed = |interface: u32, passage: Passage| {
            if !interfaces.add((interface, passage), &lay) {
                others.add(&lay);
            }
        };
        match flow.direction {
            Some(Direction::Egress) => passed(flow.output, Passage::Out),
            Some(Direction::Ingress) | None => {
                passed(flow.input, Passage::In);
                if flow.output != 0 && flow.output != flow.input {
                    passed(flow.output, Passage::DerivedOut);
                }
            }
        }
        if duplicate {
            self.suppressed.add(&lay);
            return;
        }
        // What has no place in the following is the rest of this.
        self.services
            .add(flow.protocol, known.application, is_sampled, &lay);
        let (from, to) = known.systems;
        if from > 0 {
            self.source_systems.add(from, &lay);
        }
        if to > 0 {
            self.destination_systems.add(to, &lay);
        }
        if known.networks.0.is_some() || known.networks.1.is_some() {
            self.networks.add(known.networks, &lay);
        }
        self.talks.push(Talk {
            source: flow.source.map(Address::from),
            destination: flow.destination.map(Address::from),
            port: served(flow),
            lay,
        });
        if self.talks.len() >= TOGETHER {
            self.settle(now);
        }
    }

    /// Counts who talks in the flows of a datagram; to be called behind its last one.
    pub fn settle(&mut self, now: Instant) {
        let talks = std::mem::take(&mut self.talks);
        // First the hashes of all, and what memory they lead to; then, while that comes, table by table.
        let mut hashes = [[0; TOGETHER]; 5];
        let mut fetched = 0;
        for (at, talk) in talks.iter().enumerate().take(TOGETHER) {
            let told = [
                self.sources.fetch(talk.source),
                self.destinations.fetch(talk.destination),
                self.pairs.fetch(talk.pair()),
                self.prefixes.fetch(talk.prefix()),
                self.ports.fetch(talk.port),
            ];
            for (hashes, (hash, octets)) in hashes.iter_mut().zip(told) {
                hashes[at] = hash;
                fetched ^= octets;
            }
        }
        std::hint::black_box(fetched);
        let [sources, destinations, pairs, prefixes, ports] = &hashes;
        self.sources
            .add_all(&talks, sources, |talk| talk.source, now);
        self.destinations
            .add_all(&talks, destinations, |talk| talk.destination, now);
        self.pairs.add_all(&talks, pairs, Talk::pair, now);
        self.prefixes.add_all(&talks, prefixes, Talk::prefix, now);
        self.ports.add_all(&talks, ports, |talk| talk.port, now);
        self.talks = talks;
        self.talks.clear();
    }

    /// Gives slots to who has become heavy; to be called each second.
    pub fn tick(&mut self, now: Instant) {
        self.advance(now);
        tops!(self, top => top.tick(now));
    }

    /// Lets every counter show what is due; to be called before each scrape.
    pub fn advance(&mut self, now: Instant) {
        let Some(buckets) = self.timeline.advance(now) else {
            return;
        };
        for series in [
            &mut self.measured,
            &mut self.suppressed,
            &mut self.other_interfaces,
        ] {
            series.take_over(&buckets);
        }
        self.interfaces.take_over(&buckets);
        self.services.take_over(&buckets);
        self.source_systems.take_over(&buckets);
        self.destination_systems.take_over(&buckets);
        self.networks.take_over(&buckets);
        tops!(self, top => top.take_over(&buckets));
    }

    /// Keys that are told apart in the window that runs.
    #[must_use]
    pub fn keys(&self) -> usize {
        let addresses = self.sources.keys() + self.destinations.keys();
        addresses + self.pairs.keys() + self.prefixes.keys() + self.ports.keys()
    }

    /// Tells at most so many keys apart in each dimension from now on in this window.
    pub fn purge(&mut self, most: usize) {
        tops!(self, top => top.purge(most));
    }

    /// Ends the window: its tables.
    pub fn roll(&mut self) -> Windows {
        let windows = self.running();
        tops!(self, top => top.roll());
        windows
    }

    /// The tables so far of the window that runs.
    #[must_use]
    pub fn running(&self) -> Windows {
        Windows {
            sources: self.sources.running(),
            destinations: self.destinations.running(),
            pairs: self.pairs.running(),
            prefixes: self.prefixes.running(),
            ports: self.ports.running(),
        }
    }
}

/// The port that a service most likely listens on; none without ports.
fn served(flow: &Flow) -> Option<Port> {
    let ports = matches!(flow.protocol, 6 | 17 | 33 | 132 | 136);
    let port = match (flow.source_port, flow.destination_port) {
        (0, port) | (port, 0) => port,
        (from, to) => from.min(to),
    };
    (ports && port > 0).then_some((flow.protocol, port))
}

/// The tables of one window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Windows {
    /// By source address.
    pub sources: Window<Address>,
    /// By destination address.
    pub destinations: Window<Address>,
    /// By both.
    pub pairs: Window<Pair>,
    /// By network of the destination.
    pub prefixes: Window<Prefix>,
    /// By port.
    pub ports: Window<Port>,
}
