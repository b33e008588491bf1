//! The collector: from datagrams to totals, with what every exporter is remembered by. No sockets here.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use foldhash::fast::RandomState;
use inventory::Inventory;

mod counting;

use counting::Counting;

use crate::decode::{self, Counts, Malformed, Protocol};
use crate::duplicates::{Duplicates, Policy};
use crate::flow::{Flow, Origin};
use crate::key::{self, Key, Streaming};
use crate::knowledge::Knowledge;
use crate::loss::Place;
use crate::session::{Restored, Session};
use crate::sinks::{self, Sink};
use crate::state;
use crate::tables::Table;
use crate::template::plans::Plans;
use crate::totals::spread::Accounting;
use crate::totals::{Device, TopBounds};

/// Most sessions of one exporter; the one that was silent longest makes room.
const MOST_SESSIONS_EACH: usize = 256;
/// Most sessions in all.
const MOST_SESSIONS: usize = 16_384;
/// Most octets that the sessions of one exporter hold together: sets that wait for templates, templates, sampling rates. Whoever sends in the
/// name of a device, which over UDP anybody can, takes no more.
const MOST_BYTES_EACH: usize = 8 << 20;
/// Most octets that all sessions hold together.
const MOST_BYTES: usize = 64 << 20;
/// A session that says nothing for so long is forgotten.
const SESSION_LIFE: Duration = Duration::from_secs(3 * 3_600);
/// Most keys that all devices together tell apart within a window; with more the lightest of each are dropped.
const MOST_KEYS: usize = 1_000_000;
/// Windows that are kept for the page.
const WINDOWS: usize = 16;
/// Most rows of tables that are kept.
const MOST_ROWS: usize = 100_000;
/// Most strangers whose address is remembered for the page.
pub const MOST_STRANGERS: usize = 100;

#[derive(Debug)]
struct Stream {
    session: Session,
    device: Arc<str>,
    last: Instant,
}

/// Counters of one device as an exporter.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// Datagrams by protocol.
    pub datagrams: BTreeMap<Protocol, u64>,
    /// Flow records taken over.
    pub records: u64,
    /// Datagrams, or rests of them, refused by reason.
    pub malformed: BTreeMap<Malformed, u64>,
    /// What decoding told, added up.
    pub told: Sums,
    /// Records by where their sampling rate came from.
    pub rates: [u64; Origin::ALL.len()],
    /// The rate of the last record of each origin; 0 where there was none.
    pub last_rate: [u32; Origin::ALL.len()],
    /// Our clock less the exporter's at the last datagram, seconds.
    pub clock_skew: Option<f64>,
    /// When the last datagram came.
    pub last: Option<Instant>,
    /// Datagrams that were dropped unread, since more came than could be counted and others were not to suffer.
    pub overrun: u64,
    /// What forgotten sessions had counted.
    ended: Ended,
}

/// What [`Counts`] adds up to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    /// See [`Counts::cut_records`].
    pub cut_records: u64,
    /// See [`Counts::bad_templates`].
    pub bad_templates: u64,
    /// See [`Counts::withdrawals`].
    pub withdrawals: u64,
    /// See [`Counts::replayed_sets`].
    pub replayed_sets: u64,
    /// See [`Counts::events`].
    pub events: u64,
    /// See [`Counts::biflows`].
    pub biflows: u64,
    /// See [`Counts::ahead`].
    pub ahead: u64,
}

/// Counters of sessions, added up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ended {
    /// Flows or records (v5, IPFIX) that never came.
    pub lost_records: u64,
    /// Datagrams (v9, sFlow) that never came.
    pub lost_datagrams: u64,
    /// Datagrams that came late.
    pub late: u64,
    /// Datagrams that came twice.
    pub duplicates: u64,
    /// Restarts of exporters.
    pub restarts: u64,
    /// Sets that waited for a template.
    pub kept_sets: u64,
    /// Sets that waited in vain.
    pub dropped_sets: u64,
}

impl Ended {
    fn add(&mut self, protocol: Protocol, session: &Session) {
        let sequence = &session.sequence;
        match protocol {
            Protocol::NetFlow5 | Protocol::Ipfix => self.lost_records += sequence.lost,
            Protocol::NetFlow9 | Protocol::Sflow => self.lost_datagrams += sequence.lost,
        }
        self.late += sequence.late;
        self.duplicates += sequence.duplicates;
        self.restarts += sequence.restarts;
        self.kept_sets += session.kept_sets;
        self.dropped_sets += session.dropped_sets;
    }
}

/// A device that exports flows: how it does as an exporter, and its traffic.
#[derive(Debug)]
pub struct Exporter {
    /// How it does.
    pub health: Health,
    /// Its traffic.
    pub traffic: Device,
}

/// Levels of an exporter's sessions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Levels {
    /// Sessions.
    pub sessions: usize,
    /// Templates.
    pub templates: usize,
    /// Octets that wait for a template.
    pub waiting_bytes: usize,
}

/// Everything that is known of all exporters.
#[derive(Debug)]
pub struct Collector {
    inventory: Arc<Inventory>,
    knowledge: Knowledge,
    top: TopBounds,
    accounting: Accounting,
    streams: HashMap<Key, Stream, RandomState>,
    /// Templates of streams that a file told of and that have not sent anything yet.
    restored: HashMap<Key, Restored, RandomState>,
    /// By name of the device.
    pub exporters: BTreeMap<Arc<str>, Exporter>,
    /// Datagrams of addresses that are no device's; the addresses, up to a bound.
    pub strangers: (u64, BTreeMap<IpAddr, u64>),
    windows: VecDeque<Vec<Table>>,
    began: Instant,
    held: Held,
    /// Keys that are told apart in the window that runs, of all devices.
    keys: usize,
    /// Templates that exporters have in common.
    plans: Plans,
    /// Who of several exporters counts a flow.
    pub duplicates: Duplicates,
    /// Where single flows go.
    pub sinks: Vec<Sink>,
}

/// Octets that sessions hold, of each exporter and in all.
#[derive(Debug, Default)]
struct Held {
    each: HashMap<IpAddr, usize, RandomState>,
    all: usize,
}

impl Held {
    /// What a session of this exporter that holds `own` may hold.
    fn room(&self, address: IpAddr, own: usize) -> usize {
        let each = self.each.get(&address).copied().unwrap_or(0);
        let room = MOST_BYTES_EACH.saturating_sub(each);
        room.min(MOST_BYTES.saturating_sub(self.all)) + own
    }

    fn change(&mut self, address: IpAddr, before: usize, after: usize) {
        let each = self.each.entry(address).or_default();
        *each = (*each + after).saturating_sub(before);
        self.all = (self.all + after).saturating_sub(before);
    }

    fn of(streams: &HashMap<Key, Stream, RandomState>) -> Self {
        let mut held = Self::default();
        for (key, stream) in streams {
            held.change(key.address, 0, stream.session.held());
        }
        held
    }
}

impl Collector {
    /// Without any exporter.
    #[must_use]
    pub fn new(knowledge: Knowledge, top: TopBounds, accounting: Accounting) -> Self {
        Self {
            inventory: Arc::default(),
            knowledge,
            top,
            accounting,
            streams: HashMap::default(),
            restored: HashMap::default(),
            exporters: BTreeMap::new(),
            strangers: (0, BTreeMap::new()),
            windows: VecDeque::new(),
            began: Instant::now(),
            held: Held::default(),
            keys: 0,
            plans: Plans::default(),
            duplicates: Duplicates::new(Policy::All, &[], 0),
            sinks: Vec::new(),
        }
    }

    /// Takes other devices over: those that are gone are forgotten, new ones are born at 0.
    pub fn follow(&mut self, inventory: Arc<Inventory>) {
        self.inventory = inventory;
        let wanted = |name: &str| {
            self.inventory
                .device(name)
                .is_some_and(|device| device.flow.is_some())
        };
        self.exporters.retain(|name, _| wanted(name));
        self.streams.retain(|_, stream| wanted(&stream.device));
        self.held = Held::of(&self.streams);
        for device in self
            .inventory
            .devices()
            .iter()
            .filter(|device| device.flow.is_some())
        {
            let name: Arc<str> = Arc::from(&*device.name);
            let (top, accounting) = (self.top, self.accounting);
            self.exporters.entry(name).or_insert_with(|| Exporter {
                health: Health::default(),
                traffic: Device::new(top, accounting, Instant::now()),
            });
        }
        self.strangers
            .1
            .retain(|address, _| self.inventory.by_flow_source(*address).is_none());
    }

    /// Takes settings over that a reload changed; counters keep their names, in whatever order the settings have them.
    pub fn configure(&mut self, mut knowledge: Knowledge) {
        Arc::make_mut(&mut knowledge.applications).follow(&self.knowledge.applications);
        Arc::make_mut(&mut knowledge.networks).follow(&self.knowledge.networks);
        self.knowledge = knowledge;
    }

    /// What is worth keeping over a restart, when it has changed since the last time this was asked.
    pub(crate) fn state(&mut self) -> Option<state::State> {
        let mut changed = false;
        for stream in self.streams.values_mut() {
            changed |= std::mem::take(&mut stream.session.changed);
        }
        changed.then(|| {
            let live = self
                .streams
                .iter()
                .map(|(key, stream)| (*key, stream.session.restorable()));
            let kept = self
                .restored
                .iter()
                .map(|(key, restored)| (*key, restored.clone()));
            state::State::new(live.chain(kept))
        })
    }

    /// Takes over what an earlier run kept: a stream that goes on finds its templates, however it has them.
    pub(crate) fn restore(&mut self, state: state::State) {
        self.restored = state.into_streams().take(MOST_SESSIONS).collect();
    }

    /// The inventory that is followed.
    #[must_use]
    pub fn inventory(&self) -> &Arc<Inventory> {
        &self.inventory
    }

    /// What names applications and networks.
    #[must_use]
    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// The name of the device that sends flows from an address.
    fn named(&self, address: IpAddr) -> Option<Arc<str>> {
        let device = self.inventory.by_flow_source(address)?;
        let (name, _) = self.exporters.get_key_value(&*device.name)?;
        Some(Arc::clone(name))
    }

    /// Whether a device sends flows from there.
    #[must_use]
    pub fn knows(&self, from: SocketAddr) -> bool {
        self.named(from.ip().to_canonical()).is_some()
    }

    /// A datagram from there was dropped unread, since its device sent more than could be counted.
    pub fn overrun(&mut self, from: SocketAddr) {
        let name = self.named(from.ip().to_canonical());
        if let Some(exporter) = name.and_then(|name| self.exporters.get_mut(&name)) {
            exporter.health.overrun += 1;
        }
    }

    /// Takes one datagram. What comes from an address that is no device's costs a counter and nothing else.
    pub fn datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant, unix_seconds: f64) {
        let address = from.ip().to_canonical();
        let Some(name) = self.named(address) else {
            self.stranger(address);
            return;
        };
        let received_ns = (unix_seconds * 1e9) as u64;
        let key = match decode::session(datagram) {
            Ok((protocol, domain)) => Key {
                address,
                // An agent of sFlow may send from ever another port and is named by its own address.
                port: if protocol == Protocol::Sflow {
                    0
                } else {
                    from.port()
                },
                protocol,
                domain,
            },
            Err(malformed) => {
                if let Some(exporter) = self.exporters.get_mut(&name) {
                    *exporter.health.malformed.entry(malformed).or_default() += 1;
                }
                return;
            }
        };
        self.room_for(key, &name, now);
        let (Some(stream), Some(exporter)) =
            (self.streams.get_mut(&key), self.exporters.get_mut(&name))
        else {
            return;
        };
        stream.last = now;
        exporter.health.last = Some(now);
        *exporter.health.datagrams.entry(key.protocol).or_default() += 1;
        let before = stream.session.held();
        stream.session.limit(self.held.room(address, before));
        let mut counting = Counting {
            knowledge: &self.knowledge,
            configured: self.knowledge.rate(address),
            who: self.duplicates.who(&name),
            duplicates: &mut self.duplicates,
            sinks: &mut self.sinks,
            from: told_by(&name, &key, decode::number(datagram), received_ns),
            now,
        };
        let keys = exporter.traffic.keys();
        let relayed = take(datagram, stream, exporter, &mut counting, unix_seconds);
        self.keys = (self.keys + exporter.traffic.keys()).saturating_sub(keys);
        self.held.change(address, before, stream.session.held());
        if !relayed.is_empty() {
            self.relayed(&relayed, &key, decode::number(datagram), (now, received_ns));
        }
        if self.keys > MOST_KEYS {
            self.purge();
        }
    }

    /// Drops keys of the devices that have most of them, so that for a while there is room for new ones.
    #[cold]
    fn purge(&mut self) {
        // An equal share for each dimension of each device; who needs less leaves some of it unused.
        let share = MOST_KEYS / 2 / (5 * self.exporters.len()).max(1);
        self.keys = 0;
        for exporter in self.exporters.values_mut() {
            exporter.traffic.purge(share);
            self.keys += exporter.traffic.keys();
        }
    }

    /// Counts flows that a relay passed on, each at the device whose address it names.
    fn relayed(
        &mut self,
        flows: &[(IpAddr, Flow)],
        key: &Key,
        sequence: Option<u32>,
        (now, received_ns): (Instant, u64),
    ) {
        for run in flows.chunk_by(|one, next| one.0 == next.0) {
            let address = run[0].0;
            let Some(name) = self.named(address) else {
                self.stranger(address);
                continue;
            };
            let Some(exporter) = self.exporters.get_mut(&name) else {
                continue;
            };
            exporter.health.last = Some(now);
            let own = Key { address, ..*key };
            let mut counting = Counting {
                knowledge: &self.knowledge,
                configured: self.knowledge.rate(address),
                who: self.duplicates.who(&name),
                duplicates: &mut self.duplicates,
                sinks: &mut self.sinks,
                from: told_by(&name, &own, sequence, received_ns),
                now,
            };
            for (_, flow) in run {
                counting.count(exporter, flow);
            }
            exporter.traffic.settle(now);
        }
    }

    fn stranger(&mut self, address: IpAddr) {
        self.strangers.0 += 1;
        let room = self.strangers.1.len() < MOST_STRANGERS;
        if let Some(count) = self.strangers.1.get_mut(&address) {
            *count += 1;
        } else if room {
            self.strangers.1.insert(address, 1);
        }
    }

    /// Makes the session of a key, with what others of the same exporter and domain agree on.
    fn room_for(&mut self, key: Key, device: &Arc<str>, now: Instant) {
        if self.streams.contains_key(&key) {
            return;
        }
        let siblings = || {
            self.streams
                .iter()
                .filter(|(other, _)| other.address == key.address)
        };
        if self.streams.len() >= MOST_SESSIONS || siblings().count() >= MOST_SESSIONS_EACH {
            let crowded = siblings().count() >= MOST_SESSIONS_EACH;
            let silent = self
                .streams
                .iter()
                .filter(|(other, _)| !crowded || other.address == key.address)
                .min_by_key(|(_, stream)| stream.last)
                .map(|(other, _)| *other);
            if let Some(silent) = silent {
                self.end(silent);
            }
        }
        let others: Vec<&Session> = self
            .streams
            .iter()
            .filter(|(other, _)| other.is_alike(&key))
            .map(|(_, stream)| &stream.session)
            .collect();
        let mut session = Session::inherit(&others, self.held.room(key.address, 0));
        session.plans = self.plans.clone();
        if let Some(restored) = self.restored.remove(&key) {
            restored.into_session(&mut session);
        }
        self.held.change(key.address, 0, session.held());
        self.streams.insert(
            key,
            Stream {
                session,
                device: Arc::clone(device),
                last: now,
            },
        );
    }

    fn end(&mut self, key: Key) {
        let Some(stream) = self.streams.remove(&key) else {
            return;
        };
        self.held.change(key.address, stream.session.held(), 0);
        if let Some(exporter) = self.exporters.get_mut(&stream.device) {
            exporter.health.ended.add(key.protocol, &stream.session);
        }
    }

    /// To be called each second: heavy talkers get slots, silent sessions are forgotten.
    pub fn tick(&mut self, now: Instant) {
        let mut keys = 0;
        for exporter in self.exporters.values_mut() {
            exporter.traffic.tick(now);
            keys += exporter.traffic.keys();
        }
        self.keys = keys;
        if self.keys > MOST_KEYS {
            self.purge();
        }
        let silent = |stream: &Stream| now.saturating_duration_since(stream.last) > SESSION_LIFE;
        let silent: Vec<Key> = self
            .streams
            .iter()
            .filter(|(_, stream)| silent(stream))
            .map(|(key, _)| *key)
            .collect();
        for key in silent {
            self.end(key);
        }
        self.adopt(now);
        self.flush();
        // Also of those that say nothing more.
        for stream in self.streams.values_mut() {
            stream.session.give_up(now);
        }
        self.held = Held::of(&self.streams);
    }

    /// Hands the sinks what has gathered for them; to be called when nothing more comes.
    pub fn flush(&mut self) {
        self.sinks.iter_mut().for_each(Sink::flush);
    }

    /// Reads the sets that wait for a template which the exporter told from another port.
    fn adopt(&mut self, now: Instant) {
        let received_ns = SystemTime::now().duration_since(UNIX_EPOCH);
        let received_ns = received_ns.unwrap_or_default().as_nanos() as u64;
        let mut relayed = Vec::new();
        key::each_waiting(&mut self.streams, |key, stream, others| {
            let Some(exporter) = self.exporters.get_mut(&stream.device) else {
                return;
            };
            let mut counting = Counting {
                knowledge: &self.knowledge,
                configured: self.knowledge.rate(key.address),
                who: self.duplicates.who(&stream.device),
                duplicates: &mut self.duplicates,
                sinks: &mut self.sinks,
                from: told_by(&stream.device, key, None, received_ns),
                now,
            };
            let mut passed = Vec::new();
            let mut each = counting.each(exporter, &mut passed);
            let told = decode::adopt(&mut stream.session, others, now, &mut each);
            drop(each);
            exporter.traffic.settle(now);
            exporter.health.told.add(told);
            relayed.push((*key, passed));
        });
        for (key, flows) in relayed {
            self.relayed(&flows, &key, None, (now, received_ns));
        }
    }

    /// Lets every counter show what is due; to be called before each scrape.
    pub fn advance(&mut self, now: Instant) {
        for exporter in self.exporters.values_mut() {
            exporter.traffic.advance(now);
        }
    }

    /// Ends the window, which was so long, at this Unix time; devices without traffic have no tables. Answers the tables.
    pub fn roll(&mut self, length: Duration, unix_seconds: f64) -> &[Table] {
        self.began = Instant::now();
        self.keys = 0;
        let ended = self
            .exporters
            .iter_mut()
            .map(|(name, exporter)| (name, exporter.traffic.roll()))
            .filter(|(_, windows)| windows.pairs.total > 0)
            .flat_map(|(name, windows)| {
                Table::all(name, (unix_seconds, length.as_secs_f64()), &windows)
            })
            .collect();
        self.windows.push_back(ended);
        let rows = |tables: &Vec<Table>| tables.iter().map(|table| table.rows.len()).sum::<usize>();
        while self.windows.len() > WINDOWS
            || (self.windows.len() > 1 && self.windows.iter().map(rows).sum::<usize>() > MOST_ROWS)
        {
            self.windows.pop_front();
        }
        self.last_tables()
    }

    /// The tables of the window that ended last.
    #[must_use]
    pub fn last_tables(&self) -> &[Table] {
        self.windows.back().map_or(&[], Vec::as_slice)
    }

    /// The tables of the windows that are kept and ended after this Unix time, the oldest first.
    pub fn tables_from(&self, unix_seconds: f64) -> impl Iterator<Item = &Table> {
        let all = self.windows.iter().flatten();
        all.filter(move |table| table.ended > unix_seconds)
    }

    /// The tables so far of the window that runs.
    #[must_use]
    pub fn running_tables(&self, unix_seconds: f64) -> Vec<Table> {
        let seconds = self.began.elapsed().as_secs_f64();
        let running = self
            .exporters
            .iter()
            .map(|(name, exporter)| (name, exporter.traffic.running()));
        let busy = running.filter(|(_, windows)| windows.pairs.total > 0);
        busy.flat_map(|(name, windows)| Table::all(name, (unix_seconds, seconds), &windows))
            .collect()
    }

    /// Counters and levels of each exporter's sessions, those that have ended among them.
    #[must_use]
    pub fn sessions(&self) -> BTreeMap<&str, (Ended, Levels)> {
        let mut all: BTreeMap<&str, (Ended, Levels)> = self
            .exporters
            .iter()
            .map(|(name, exporter)| (&**name, (exporter.health.ended, Levels::default())))
            .collect();
        for (key, stream) in &self.streams {
            if let Some((counters, levels)) = all.get_mut(&*stream.device) {
                counters.add(key.protocol, &stream.session);
                levels.sessions += 1;
                levels.templates += stream.session.templates();
                levels.waiting_bytes += stream.session.waiting_bytes();
            }
        }
        all
    }
}

impl Streaming for Stream {
    fn session(&self) -> &Session {
        &self.session
    }
}

/// Who told of a flow.
fn told_by(device: &Arc<str>, key: &Key, sequence: Option<u32>, received_ns: u64) -> sinks::From {
    sinks::From {
        device: Arc::clone(device),
        exporter: key.address,
        protocol: key.protocol,
        domain: key.domain as u32,
        sequence: sequence.unwrap_or(0),
        received_ns,
    }
}

/// Takes a datagram; answers the flows that a relay passed on for other exporters.
fn take(
    datagram: &[u8],
    stream: &mut Stream,
    exporter: &mut Exporter,
    counting: &mut Counting<'_>,
    unix_seconds: f64,
) -> Vec<(IpAddr, Flow)> {
    let mut relayed = Vec::new();
    let now = counting.now;
    let session = &mut stream.session;
    // Known before anything is counted: a datagram that came before must not count twice.
    let fingerprint = decode::fingerprint(datagram);
    if let Some(sequence) = decode::number(datagram)
        && session.sequence.is_duplicate(sequence, fingerprint)
    {
        session.sequence.duplicate();
        return relayed;
    }
    let mut each = counting.each(exporter, &mut relayed);
    let (head, told, malformed) = decode::read(datagram, session, now, &mut each);
    drop(each);
    exporter.traffic.settle(now);
    if let Some(seconds) = session.active_timeout {
        exporter.traffic.timeline.expect(seconds);
    }
    let health = &mut exporter.health;
    health.told.add(told);
    if let Some(malformed) = malformed {
        *health.malformed.entry(malformed).or_default() += 1;
    }
    if let Some(head) = head {
        let place: Place =
            session
                .sequence
                .take(head.sequence, head.units, head.uptime_ms, fingerprint);
        if place != Place::Late
            && let Some(exported) = head.export_seconds
        {
            health.clock_skew = Some(unix_seconds - f64::from(exported));
        }
    }
    relayed
}

impl Sums {
    fn add(&mut self, told: Counts) {
        self.cut_records += u64::from(told.cut_records);
        self.bad_templates += u64::from(told.bad_templates);
        self.withdrawals += u64::from(told.withdrawals);
        self.replayed_sets += u64::from(told.replayed_sets);
        self.events += u64::from(told.events);
        self.biflows += u64::from(told.biflows);
        self.ahead += u64::from(told.ahead);
    }
}

#[cfg(test)]
mod tests;
