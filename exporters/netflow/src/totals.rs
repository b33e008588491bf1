//! What every device's flows add up to: per interface and direction, per protocol, application, autonomous system and network, and who talks most.
//!
//! Each dimension is bounded and has an exact rest: named and rest together grow exactly like the total.

mod keys;
mod services;
pub mod spread;
pub mod top;

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::applications::Application;
use crate::flow::{Direction, Flow, Rate};
use crate::networks::Network;
use foldhash::fast::RandomState;
pub use keys::{Address, Pair, Port, Prefix};
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

/// Counts by key, up to a bound.
#[derive(Debug)]
pub struct Bounded<K> {
    most: usize,
    named: HashMap<K, Series, RandomState>,
}

impl<K: Hash + Eq + Copy + Ord> Bounded<K> {
    fn new(most: usize) -> Self {
        Self {
            most,
            named: HashMap::default(),
        }
    }

    /// Counts for a key; `false` when there is no room for it.
    fn add(&mut self, key: K, lay: &Lay) -> bool {
        if let Some(series) = self.named.get_mut(&key) {
            series.add(lay);
        } else if self.named.len() < self.most {
            self.named.entry(key).or_default().add(lay);
        } else {
            return false;
        }
        true
    }

    fn take_over(&mut self, buckets: &std::ops::Range<u64>) {
        for series in self.named.values_mut() {
            series.take_over(buckets);
        }
    }

    /// All keys in their order.
    #[must_use]
    pub fn sorted(&self) -> Vec<(K, Counts)> {
        let mut all: Vec<_> = self
            .named
            .iter()
            .map(|(key, series)| (*key, series.shown))
            .collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    /// What of a total has no key, or found no room.
    #[must_use]
    pub fn rest(&self, total: Counts) -> Counts {
        let shown = self.named.values().map(|series| series.shown);
        shown.fold(total, |rest, named| Counts {
            bytes: rest.bytes.saturating_sub(named.bytes),
            packets: rest.packets.saturating_sub(named.packets),
            flows: rest.flows.saturating_sub(named.flows),
        })
    }
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

/// Who talks in a flow.
#[derive(Debug, Clone, Copy)]
struct Talk {
    source: Option<Address>,
    destination: Option<Address>,
    port: Option<Port>,
    lay: Lay,
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
            let measured = Flow {
                rate: Rate::default(),
                ..*flow
            };
            let late = self.timeline.late_bytes;
            self.measured.add(&self.timeline.lay(&measured, now));
            self.timeline.late_bytes = late;
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
        let fetched = self.talks.iter().fold(0, |fetched, talk| {
            let (source, destination) = (talk.source, talk.destination);
            fetched
                ^ self.sources.fetch(source)
                ^ self.destinations.fetch(destination)
                ^ self.pairs.fetch(source.zip(destination))
        });
        std::hint::black_box(fetched);
        for talk in &self.talks {
            self.sources.add(talk.source, &talk.lay, now);
        }
        for talk in &self.talks {
            self.destinations.add(talk.destination, &talk.lay, now);
        }
        for talk in &self.talks {
            let pair = talk.source.zip(talk.destination);
            self.pairs.add(pair, &talk.lay, now);
        }
        for talk in &self.talks {
            let prefix = talk.destination.map(Prefix::from);
            self.prefixes.add(prefix, &talk.lay, now);
        }
        for talk in &self.talks {
            self.ports.add(talk.port, &talk.lay, now);
        }
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
