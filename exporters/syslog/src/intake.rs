//! From a received message to the queue: whose it is, what it costs, where it waits.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Instant, SystemTime};

use inventory::{Feed, Inventory};
use ipnet::IpNet;
use spool::{Entry, Queue, WhenFull};
use tokio::sync::Notify;
use toolkit::{Live, TokenBucket};

use crate::config::Config;
use crate::names::Names;
use crate::record::{Received, TRUNCATED, Transport};
use crate::statistics::{DeviceCounters, Dropped, Increments, Statistics};
use crate::{header, text};

/// What all receivers share.
pub struct Intake {
    /// The queue.
    pub queue: Queue,
    /// The delivery statistics.
    pub statistics: Arc<Statistics>,
    /// The devices.
    pub feed: Feed,
    /// The configuration that runs.
    pub config: Live<Config>,
    /// Bytes of the queue.
    pub max_bytes: u64,
    /// Receivers of streams that hold messages for which the queue has no room.
    pub waiting: Waiting,
}

/// How many wait for room in the queue, and who wants to know when none does.
#[derive(Default)]
pub struct Waiting(AtomicUsize, Notify);

/// One that waits, as long as it lives.
pub struct Waits<'a>(&'a Waiting);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.0.0.fetch_sub(1, SeqCst) == 1 {
            self.0.1.notify_waiters();
        }
    }
}

/// Nanoseconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

impl Intake {
    /// Counts one that waits for room in the queue.
    #[must_use]
    pub fn waiting(&self) -> Waits<'_> {
        self.waiting.0.fetch_add(1, SeqCst);
        Waits(&self.waiting)
    }

    /// Completes when nobody waits for room in the queue: more need not be read before that, and would have to be held.
    pub async fn room(&self) {
        loop {
            let changed = self.waiting.1.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.waiting.0.load(SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }

    /// The device a message is from: by the sender's address, behind relays and for unknown senders by the name in
    /// its header.
    #[must_use]
    pub fn device<'i>(
        &self,
        inventory: &'i Inventory,
        names: &Names,
        source: IpAddr,
        bytes: &[u8],
        relays: &[IpNet],
    ) -> Option<&'i str> {
        let relay = source.is_unspecified() || relays.iter().any(|net| net.contains(&source));
        let by_address = || {
            inventory
                .by_syslog_source(source)
                .or_else(|| inventory.by_ip(source))
        };
        let found = if relay { None } else { by_address() };
        let found = found
            .or_else(|| by_name(inventory, names, bytes))
            .or_else(|| if relay { by_address() } else { None });
        found.map(|device| &*device.name)
    }
}

fn by_name<'i>(
    inventory: &'i Inventory,
    names: &Names,
    bytes: &[u8],
) -> Option<&'i inventory::Device> {
    let text = text::decode(bytes);
    let header = header::parse(&text);
    // A relay may write the address that it had the message from in front of it.
    let address = || header.relay.filter(|name| name.parse::<IpAddr>().is_ok());
    names
        .find(inventory, header.host?)
        .or_else(|| names.find(inventory, address()?))
}

struct Item {
    range: Range<usize>,
    stamp: u64,
    class: u8,
    bytes: usize,
    truncated: bool,
    transport: Transport,
    /// Place among the batch's devices.
    device: usize,
}

/// Counters with what is not added to them yet: they are shared with other threads, so they are touched once for many
/// messages.
struct Open {
    counters: Arc<DeviceCounters>,
    increments: Increments,
    counted: bool,
    /// What the device may send.
    bucket: Option<TokenBucket>,
}

/// The devices that a batch has met.
#[derive(Default)]
struct Devices {
    open: Vec<Open>,
    /// By the address of the counters in memory.
    places: HashMap<usize, usize>,
    /// Those with something to add.
    counted: Vec<usize>,
}

impl Devices {
    fn place(&mut self, counters: &Arc<DeviceCounters>) -> usize {
        let open = &mut self.open;
        *self
            .places
            .entry(Arc::as_ptr(counters) as usize)
            .or_insert_with(|| {
                open.push(Open {
                    counters: counters.clone(),
                    increments: Increments::default(),
                    counted: false,
                    bucket: None,
                });
                open.len() - 1
            })
    }

    fn counters(&self, place: usize) -> &DeviceCounters {
        &self.open[place].counters
    }

    fn increments(&mut self, place: usize) -> &mut Increments {
        let open = &mut self.open[place];
        if !open.counted {
            open.counted = true;
            self.counted.push(place);
        }
        &mut open.increments
    }

    fn add_all(&mut self) {
        for place in self.counted.drain(..) {
            let open = &mut self.open[place];
            open.counters.add(&open.increments);
            open.increments = Increments::default();
            open.counted = false;
        }
    }
}

/// One receiver's way into the queue: collects messages and appends them together.
pub struct Batch {
    intake: Arc<Intake>,
    inventory: Arc<Inventory>,
    names: Names,
    config: Arc<Config>,
    arena: Vec<u8>,
    items: Vec<Item>,
    devices: Devices,
    /// By address, for senders that the inventory knows by it.
    known: HashMap<IpAddr, usize>,
    /// The last of them: messages of one sender often follow each other.
    last: Option<(IpAddr, usize)>,
    fill: f64,
}

/// Addresses remembered by one batch.
const REMEMBERED: usize = 50_000;

impl Batch {
    /// A new batch.
    #[must_use]
    pub fn new(intake: Arc<Intake>) -> Self {
        let inventory = intake.feed.current();
        Self {
            config: intake.config.current(),
            intake,
            names: Names::new(&inventory),
            inventory,
            arena: Vec::new(),
            items: Vec::new(),
            devices: Devices::default(),
            known: HashMap::new(),
            last: None,
            fill: 0.0,
        }
    }

    /// How many messages are collected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none is collected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The place of the device that a message is from.
    fn device(&mut self, source: IpAddr, bytes: &[u8]) -> usize {
        if let Some((last, place)) = self.last
            && last == source
        {
            return place;
        }
        if let Some(&place) = self.known.get(&source) {
            self.last = Some((source, place));
            return place;
        }
        let relays = &self.config.relays;
        let relay = source.is_unspecified() || relays.iter().any(|net| net.contains(&source));
        let device = self
            .intake
            .device(&self.inventory, &self.names, source, bytes, relays);
        let counters = self.intake.statistics.counters(device.unwrap_or_default());
        let place = self.devices.place(&counters);
        // An address that is one device's is remembered; a relay's or an unknown one may carry any name.
        let fixed = !relay
            && self
                .inventory
                .by_syslog_source(source)
                .or_else(|| self.inventory.by_ip(source))
                .is_some();
        if fixed && self.known.len() < REMEMBERED {
            self.known.insert(source, place);
        }
        place
    }

    /// Collects a message.
    pub fn push(
        &mut self,
        bytes: &[u8],
        source: SocketAddr,
        transport: Transport,
        stamp: u64,
        flags: u8,
    ) {
        let device = self.device(source.ip().to_canonical(), bytes);
        let start = self.arena.len();
        Received {
            transport,
            flags,
            device: &self.devices.counters(device).device,
            source,
            bytes,
        }
        .encode(&mut self.arena);
        self.items.push(Item {
            range: start..self.arena.len(),
            stamp,
            class: header::class(bytes),
            bytes: bytes.len(),
            truncated: flags & TRUNCATED != 0,
            transport,
            device,
        });
    }

    /// Follows the devices and the configuration.
    pub fn refresh(&mut self) {
        let intake = &self.intake;
        if !Arc::ptr_eq(&self.inventory, &intake.feed.current()) {
            self.inventory = intake.feed.current();
            self.names = Names::new(&self.inventory);
            self.known.clear();
            self.last = None;
        }
        let config = intake.config.current();
        if !Arc::ptr_eq(&self.config, &config) {
            self.config = config;
            self.known.clear();
            self.last = None;
            for open in &mut self.devices.open {
                open.bucket = None;
            }
        }
    }

    /// Appends what was collected. False: there is no room and the rest must be tried again.
    pub fn flush(&mut self) -> bool {
        self.refresh();
        let intake = self.intake.clone();
        if self.items.is_empty() {
            return true;
        }
        let _updating = intake.statistics.updating();
        self.refuse_greedy();
        let config = &self.config;
        let policy = |transport| {
            if transport == Transport::Udp {
                config.datagrams
            } else {
                config.streams
            }
        };
        let entries: Vec<Entry<'_>> = self
            .items
            .iter()
            .map(|item| Entry {
                received: item.stamp,
                class: item.class,
                when_full: policy(item.transport),
                payload: &self.arena[item.range.clone()],
            })
            .collect();
        let statistics = &intake.statistics;
        let appended = intake.queue.append(&entries, &mut |eviction| {
            count_eviction(statistics, &eviction);
        });
        let mut done = appended.done;
        let mut dropped = appended.dropped.iter().peekable();
        for (at, item) in self.items.iter().enumerate().take(done) {
            let increments = self.devices.increments(item.device);
            increments.receive(item.transport, item.bytes, item.stamp, item.truncated);
            if dropped.next_if(|d| **d == at).is_some() {
                increments.drop_one(Dropped::Full);
            } else {
                increments.queue_one();
            }
        }
        if let Some(error) = appended.error {
            tracing::error!(error = %Chain(&error), "the queue cannot be written");
            // A datagram cannot be asked to wait; a stream can.
            while let Some(item) = self
                .items
                .get(done)
                .filter(|item| item.transport == Transport::Udp)
            {
                let increments = self.devices.increments(item.device);
                increments.receive(item.transport, item.bytes, item.stamp, item.truncated);
                increments.drop_one(Dropped::Storage);
                done += 1;
            }
        }
        self.devices.add_all();
        let all = done == self.items.len();
        if all {
            self.items.clear();
            self.arena.clear();
        } else {
            self.items.drain(..done);
        }
        self.fill = intake.queue.bytes() as f64 / intake.max_bytes as f64;
        all
    }

    /// Refuses datagrams of devices over their limit, or over their share of a queue that is filling up.
    fn refuse_greedy(&mut self) {
        let limit = self.config.device_limit;
        if limit.is_none() && self.fill < 0.5 {
            return;
        }
        // A share counts only among several: what nobody else needs is nobody's to refuse.
        let (total, waiting) = if self.fill < 0.5 {
            (0, 0)
        } else {
            let devices = self.intake.statistics.all();
            let recent = now().saturating_sub(60_000_000_000);
            let queued: i64 = devices
                .iter()
                .filter_map(|a| a.destinations.first())
                .map(|o| o.queued.load(Relaxed))
                .sum();
            (
                queued,
                devices
                    .iter()
                    .filter(|a| a.last.load(Relaxed) > recent)
                    .count(),
            )
        };
        let urgent = match self.config.datagrams {
            WhenFull::ByClass { keep, .. } => Some(keep),
            _ => None,
        };
        let devices = &mut self.devices;
        self.items.retain(|item| {
            // A stream is slowed down by not being read; only a datagram must be refused.
            if item.transport != Transport::Udp {
                return true;
            }
            // The limit goes before the share: it holds whatever others send, and every datagram is charged to it, so that the reasons stay
            // apart. What is urgent is spared by the share, which is about others, and not by the limit, which is about the device.
            let over = limit.is_some_and(|(rate, burst)| {
                let now = Instant::now();
                let bucket = &mut devices.open[item.device].bucket;
                let bucket = bucket.get_or_insert_with(|| TokenBucket::full(rate, burst, now));
                !bucket.take(1.0, now)
            });
            let queued = devices
                .counters(item.device)
                .destinations
                .first()
                .map_or(0, |o| o.queued.load(Relaxed));
            let spared = urgent.is_some_and(|keep| item.class <= keep);
            let greedy = !over && !spared && waiting > 1 && total > 1_000 && queued * 2 > total;
            if over || greedy {
                let increments = devices.increments(item.device);
                increments.receive(item.transport, item.bytes, item.stamp, item.truncated);
                increments.drop_one(if over { Dropped::Rate } else { Dropped::Share });
            }
            !(over || greedy)
        });
    }
}

fn count_eviction(statistics: &Statistics, eviction: &spool::Eviction<'_>) {
    let counters = statistics.counters(crate::record::device(eviction.record.payload));
    if let Some(at) = statistics
        .destinations
        .iter()
        .position(|d| d == eviction.reader)
        && let Some(counts) = counters.destinations.get(at)
    {
        counts.queued.fetch_sub(1, Relaxed);
        counts.evicted.fetch_add(1, Relaxed);
    }
}

/// An error with its causes in one line.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
