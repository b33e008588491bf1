//! The loop that follows paths: sockets, time, and the rate that all traces share.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use netio::control::{Outgoing, UnixNanos};
use netio::option::Family;
use netio::receive::Queue;
use tokio::sync::watch;
use toolkit::{Live, Stop, TokenBucket};

use super::trace::{Answer, Trace};
use super::wire::{Notice, told};
use super::{Flow, Hop, Key, Report, Shared, Target};
use crate::config::{Config, Path as Settings};
use port::Port;

mod mtu;
mod port;

use mtu::Mtu;

/// From look to look while something is under way; the kernel's stamps make the round trips independent of it.
const BUSY: Duration = Duration::from_millis(10);
/// The same while nothing is.
const IDLE: Duration = Duration::from_millis(200);
/// Shortest time from trace to trace of a target, whatever asks for one.
const REST: Duration = Duration::from_secs(5);
/// Time after which a trace that did not get to the target is made again, for the first time.
const AGAIN: Duration = Duration::from_secs(10);
/// The first traces are spread over this time at most.
const FIRST: Duration = Duration::from_secs(10);

/// Why a trace begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    Schedule,
    Loss,
    HopLimit,
}

/// One target.
struct State {
    target: Target,
    due: Instant,
    begun: Option<Instant>,
    round: u64,
    /// Traces in a row that did not get to the target.
    vain: u32,
    active: Option<Active>,
    /// Of the ordinary requests, when it was looked at last.
    was_down: bool,
    hop_limit_changes: u64,
}

/// What is under way for one target.
struct Active {
    traces: Vec<Trace>,
    mtu: Option<Mtu>,
}

/// What a request is for.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Hop(u8),
    Size(u32),
}

/// A request on its way.
struct Sent {
    key: Key,
    round: u64,
    flow: usize,
    purpose: Purpose,
    at: Instant,
    unix: u64,
}

/// Follows the paths to `targets` until `stop`, while the configuration says so.
///
/// # Errors
/// None: when the sockets cannot be had it says so, and looks again when the configuration changes.
pub(crate) async fn run(
    stop: &Stop,
    mut config: Live<Config>,
    mut targets: watch::Receiver<Arc<Vec<Target>>>,
    shared: &Arc<Shared>,
) -> anyhow::Result<()> {
    loop {
        let settings = config.current().path.clone();
        let ports = match settings
            .enabled
            .then(|| Port::all(settings.flows))
            .transpose()
        {
            Ok(ports) => ports,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "paths are not followed");
                None
            }
        };
        let Some(ports) = ports else {
            shared.reports().clear();
            *shared.totals() = super::Totals::default();
            tokio::select! {
                () = config.changed() => continue,
                () = stop.requested() => return Ok(()),
            }
        };
        let mut follower = Follower::new(settings, ports, Arc::clone(shared));
        follower.keep(&targets.borrow_and_update());
        loop {
            let pause = if follower.is_busy() { BUSY } else { IDLE };
            tokio::select! {
                () = tokio::time::sleep(pause) => follower.tick(Instant::now()),
                changed = targets.changed() => {
                    if changed.is_err() {
                        stop.requested().await;
                        return Ok(());
                    }
                    follower.keep(&targets.borrow_and_update());
                }
                () = config.changed() => {
                    let settings = config.current().path.clone();
                    if !settings.enabled || settings.flows != follower.settings.flows {
                        break;
                    }
                    follower.settle(settings);
                }
                () = stop.requested() => return Ok(()),
            }
        }
    }
}

/// Follows the path to one address once, for as long as `limit` and not `stopped`; `None` when it did not come to an end.
///
/// # Errors
/// The kernel refuses unprivileged ICMP sockets.
pub(crate) fn once(
    address: IpAddr,
    out: Outgoing,
    limit: Duration,
    stopped: impl Fn() -> bool,
) -> anyhow::Result<Option<Flow>> {
    let settings = Settings {
        enabled: true,
        mtu: false,
        rate: 200,
        ..Settings::default()
    };
    let family = match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    };
    let key = Key {
        device: "once".into(),
        family,
        record: None,
    };
    let target = Target {
        key: key.clone(),
        labels: toolkit::Labels::none().clone(),
        address,
        out,
        counters: Arc::default(),
    };
    let shared = Arc::new(Shared::default());
    let mut follower = Follower::new(settings, Port::all(1)?, Arc::clone(&shared));
    follower.keep(&[target]);
    let began = Instant::now();
    for state in follower.states.values_mut() {
        state.due = began;
    }
    while began.elapsed() < limit && !stopped() {
        follower.tick(Instant::now());
        let flow = shared
            .reports()
            .get(&key)
            .and_then(|report| report.flows.first().cloned());
        if let Some(flow) = flow.filter(|flow| flow.traces > 0) {
            return Ok(Some(flow));
        }
        std::thread::sleep(BUSY);
    }
    Ok(None)
}

struct Follower {
    settings: Settings,
    ports: Vec<Port>,
    shared: Arc<Shared>,
    states: HashMap<Key, State>,
    /// Targets with a trace under way, in turn.
    turn: VecDeque<Key>,
    sent: HashMap<(usize, u16), Sent>,
    /// The same in the order of sending: the first is the first to be given up.
    order: VecDeque<(Instant, usize, u16)>,
    /// Requests that may be sent now.
    /// Probes that may be sent.
    allowed: TokenBucket,
}

impl Follower {
    fn new(settings: Settings, ports: Vec<Port>, shared: Arc<Shared>) -> Self {
        Self {
            settings,
            ports,
            shared,
            states: HashMap::new(),
            turn: VecDeque::new(),
            sent: HashMap::new(),
            order: VecDeque::new(),
            allowed: TokenBucket::empty(0.0, 0.0, Instant::now()),
        }
    }

    fn is_busy(&self) -> bool {
        !self.turn.is_empty()
    }

    /// Goes on with other settings, but as many flows. What is under way ends as it began.
    fn settle(&mut self, settings: Settings) {
        self.settings = settings;
        let now = Instant::now();
        let interval = self.settings.interval;
        for state in self.states.values_mut() {
            let begun = state.begun.unwrap_or(now);
            state.due = state.due.min(begun + interval).max(now);
        }
    }

    /// Makes the targets these; what is known of those that stay stays.
    fn keep(&mut self, targets: &[Target]) {
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.states);
        let mut reports = self.shared.reports();
        let mut reports_before = std::mem::take(&mut *reports);
        for target in targets {
            let key = target.key.clone();
            let same = before
                .remove(&key)
                .filter(|state| state.target.address == target.address);
            let report = reports_before.remove(&key).filter(|_| same.is_some());
            let mut report = report.unwrap_or_else(|| Report {
                labels: target.labels.clone(),
                flows: vec![Flow::default(); self.settings.flows.into()],
                mtu: None,
            });
            report.labels = target.labels.clone();
            reports.insert(key.clone(), report);
            let state = match same {
                Some(state) => State {
                    target: target.clone(),
                    ..state
                },
                None => State {
                    due: now + self.spread(),
                    begun: None,
                    round: 0,
                    vain: 0,
                    active: None,
                    was_down: false,
                    hop_limit_changes: target.counters.read().hop_limit_changes,
                    target: target.clone(),
                },
            };
            self.states.insert(key, state);
        }
        drop(reports);
        self.turn.retain(|key| {
            self.states
                .get(key)
                .is_some_and(|state| state.active.is_some())
        });
        self.shared.totals().targets = self.states.len() as u64;
    }

    /// A moment of the first interval.
    fn spread(&self) -> Duration {
        self.settings.interval.min(FIRST).mul_f64(fastrand::f64())
    }

    fn tick(&mut self, now: Instant) {
        self.receive();
        self.give_up(now);
        self.begin(now);
        self.send(now);
        self.finish(now);
        self.shared.totals().active = self.turn.len() as u64;
    }

    /// Begins what is due.
    fn begin(&mut self, now: Instant) {
        for (key, state) in &mut self.states {
            let counters = state.target.counters.read();
            let down = counters.failures >= 3;
            let changes = counters.hop_limit_changes;
            let trigger = if state.due <= now {
                Some(Trigger::Schedule)
            } else if self.settings.on_loss && down && !state.was_down {
                Some(Trigger::Loss)
            } else if self.settings.on_hop_limit && changes != state.hop_limit_changes {
                Some(Trigger::HopLimit)
            } else {
                None
            };
            let rested = state
                .begun
                .is_none_or(|begun| now >= begun + REST.min(self.settings.interval));
            if !down {
                state.was_down = false;
            }
            let Some(trigger) = trigger.filter(|_| rested && state.active.is_none()) else {
                continue;
            };
            state.was_down = down;
            state.hop_limit_changes = changes;
            state.round += 1;
            state.begun = Some(now);
            state.due = now + self.settings.interval;
            let traces = vec![Trace::new(self.settings.max_hops); self.settings.flows.into()];
            state.active = Some(Active {
                traces,
                mtu: self.settings.mtu.then(Mtu::default),
            });
            self.turn.push_back(key.clone());
            self.shared.totals().begun[trigger as usize] += 1;
        }
    }

    /// Sends what the rate allows, of each target in turn.
    fn send(&mut self, now: Instant) {
        let rate = f64::from(self.settings.rate);
        // What was not used in a tenth of a second is not made up for.
        self.allowed.set(rate, (rate / 10.0).max(1.0), now);
        let mut idle = 0;
        while self.allowed.tokens() >= 1.0 && idle < self.turn.len() {
            let Some(key) = self.turn.pop_front() else {
                return;
            };
            if self.send_one(&key, now) {
                self.allowed.take(1.0, now);
                idle = 0;
            } else {
                idle += 1;
            }
            self.turn.push_back(key);
        }
    }

    /// Sends one request of a target; `false` when it has none to send.
    fn send_one(&mut self, key: &Key, now: Instant) -> bool {
        let Some(state) = self.states.get_mut(key) else {
            return false;
        };
        let (address, out, round) = (state.target.address, state.target.out, state.round);
        let Some(active) = &mut state.active else {
            return false;
        };
        let family = key.family;
        let next = active
            .traces
            .iter_mut()
            .enumerate()
            .find_map(|(flow, trace)| {
                let hop = trace.next()?;
                trace.sent(hop);
                Some((flow, Purpose::Hop(hop)))
            });
        let next = next.or_else(|| {
            // Only of a target that answers.
            let reached = active.traces.first()?.outcome().reached;
            let size = active.mtu.as_mut().filter(|_| reached)?.next()?;
            Some((0, Purpose::Size(size)))
        });
        let Some((flow, purpose)) = next else {
            return false;
        };
        let place = self.ports.iter().position(|port| {
            port.family == family
                && port.flow == flow
                && port.sizes == matches!(purpose, Purpose::Size(_))
        });
        let Some(place) = place else { return false };
        let out = match purpose {
            Purpose::Hop(hop) => Outgoing {
                hop_limit: Some(hop),
                ..out
            },
            Purpose::Size(_) => out,
        };
        let size = match purpose {
            Purpose::Hop(_) => 32,
            Purpose::Size(size) => mtu::payload(family, size),
        };
        let unix = unix_nanos();
        let sequence = self.ports[place].send(address, out, size);
        let mut totals = self.shared.totals();
        totals.requests += 1;
        let sequence = sequence.unwrap_or_else(|sequence| {
            totals.refused += 1;
            sequence
        });
        drop(totals);
        let sent = Sent {
            key: key.clone(),
            round,
            flow,
            purpose,
            at: now,
            unix,
        };
        self.sent.insert((place, sequence), sent);
        self.order.push_back((now, place, sequence));
        true
    }

    /// Reads all that came.
    fn receive(&mut self) {
        /// Batches of one socket before the next one has its turn.
        const MOST: usize = 64;
        for place in 0..self.ports.len() {
            let mut found = Vec::new();
            let mut unmatched = 0;
            let port = &mut self.ports[place];
            for queue in [Queue::Data, Queue::Error] {
                for _ in 0..MOST {
                    // An error that waits on the socket hides what is behind it once; the error queue tells it.
                    let count = port.batch.receive(port.socket.as_fd(), queue);
                    if matches!(count, Ok(0)) {
                        break;
                    }
                    if count.is_err() {
                        continue;
                    }
                    for datagram in port.batch.datagrams() {
                        let stamp = datagram.control.stamp;
                        let read = match (queue, datagram.control.entry) {
                            (Queue::Data, _) => port.reply(&datagram),
                            (Queue::Error, Some(entry)) => port
                                .quoted(&datagram)
                                .map(|sequence| (sequence, told(&entry))),
                            (Queue::Error, None) => None,
                        };
                        match read {
                            Some((sequence, told)) => found.push((sequence, told, stamp)),
                            None => unmatched += 1,
                        }
                    }
                }
            }
            for (sequence, told, stamp) in found {
                if !self.take(place, sequence, told, stamp) {
                    unmatched += 1;
                }
            }
            self.shared.totals().unmatched += unmatched;
        }
    }

    /// Takes an answer; `false` when nobody waits for it.
    fn take(
        &mut self,
        place: usize,
        sequence: u16,
        told: Notice,
        stamp: Option<UnixNanos>,
    ) -> bool {
        if told == Notice::Nothing {
            return true;
        }
        let Some(sent) = self.sent.remove(&(place, sequence)) else {
            return false;
        };
        let elapsed = u64::try_from(sent.at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // A clock that was set in between shows: no answer comes before its request or after it was read.
        let measured = stamp.and_then(|stamp| stamp.0.checked_sub(sent.unix));
        let nanos = measured
            .filter(|&nanos| nanos <= elapsed.saturating_add(1_000_000))
            .unwrap_or(elapsed);
        let Some(state) = self
            .states
            .get_mut(&sent.key)
            .filter(|state| state.round == sent.round)
        else {
            return true;
        };
        let address = state.target.address;
        let Some(active) = &mut state.active else {
            return true;
        };
        match (sent.purpose, told) {
            (Purpose::Hop(_), Notice::Answer(Answer::Reached(from))) if from != address => {
                return false;
            }
            (Purpose::Hop(hop), Notice::Answer(answer)) => {
                if let Some(trace) = active.traces.get_mut(sent.flow) {
                    trace.answered(hop, answer, nanos);
                }
            }
            (Purpose::Hop(hop), _) => {
                if let Some(trace) = active.traces.get_mut(sent.flow) {
                    trace.silent(hop);
                }
            }
            (Purpose::Size(size), told) => {
                if let Some(mtu) = &mut active.mtu {
                    match told {
                        Notice::TooBig(fits) => mtu.too_big(size, fits),
                        Notice::Answer(Answer::Reached(from)) if from == address => mtu.fits(size),
                        _ => mtu.silent(),
                    }
                }
            }
        }
        true
    }

    /// Gives up what was not answered in time.
    fn give_up(&mut self, now: Instant) {
        while let Some(&(at, place, sequence)) = self.order.front() {
            if now.saturating_duration_since(at) < self.settings.timeout {
                return;
            }
            self.order.pop_front();
            // The number may have been used again since, by a request that is not over.
            if self
                .sent
                .get(&(place, sequence))
                .is_none_or(|sent| sent.at != at)
            {
                continue;
            }
            let Some(sent) = self.sent.remove(&(place, sequence)) else {
                continue;
            };
            let state = self
                .states
                .get_mut(&sent.key)
                .filter(|state| state.round == sent.round);
            let Some(active) = state.and_then(|state| state.active.as_mut()) else {
                continue;
            };
            match sent.purpose {
                Purpose::Hop(hop) => {
                    if let Some(trace) = active.traces.get_mut(sent.flow) {
                        trace.silent(hop);
                    }
                }
                Purpose::Size(_) => {
                    if let Some(mtu) = &mut active.mtu {
                        mtu.silent();
                    }
                }
            }
        }
    }

    /// Takes over what is over.
    fn finish(&mut self, now: Instant) {
        let mut reports = self.shared.reports();
        let (states, settings) = (&mut self.states, &self.settings);
        self.turn.retain(|key| {
            let Some(state) = states.get_mut(key) else {
                return false;
            };
            let Some(active) = &state.active else {
                return false;
            };
            let reached = active
                .traces
                .first()
                .is_some_and(|trace| trace.outcome().reached);
            let sizes = active
                .mtu
                .as_ref()
                .is_none_or(|mtu| !reached || mtu.is_over());
            if !active.traces.iter().all(Trace::is_over) || !sizes {
                return true;
            }
            if let Some(report) = reports.get_mut(key) {
                for (number, (trace, flow)) in
                    active.traces.iter().zip(&mut report.flows).enumerate()
                {
                    take_over(key, number, trace, flow, settings);
                }
                if let Some(mtu) = &active.mtu
                    && reached
                {
                    report.mtu = mtu.result();
                }
            }
            let reached = active.traces.iter().all(|trace| trace.outcome().reached);
            state.vain = if reached { 0 } else { state.vain + 1 };
            if !reached {
                // Sooner than in its turn, but ever later.
                let wait = AGAIN * 2_u32.saturating_pow(state.vain.min(16) - 1);
                state.due = state.due.min(now + wait);
            }
            state.active = None;
            false
        });
    }
}

fn take_over(key: &Key, number: usize, trace: &Trace, flow: &mut Flow, settings: &Settings) {
    let outcome = trace.outcome();
    flow.traces += 1;
    flow.reached = outcome.reached;
    // When it did not get there, the hops that were on the path were asked and are silent.
    let path = flow.known.current().map_or(0, |path| path.hops.len());
    let length = if outcome.reached {
        outcome.hops.len()
    } else {
        outcome.hops.len().max(path)
    };
    flow.hops
        .resize(length.min(settings.max_hops.into()), Hop::default());
    let answers = outcome.hops.iter().copied().chain(std::iter::repeat(None));
    for (hop, answer) in flow.hops.iter_mut().zip(answers) {
        hop.requests += 1;
        if let Some((address, nanos)) = answer {
            hop.responses += 1;
            hop.address = Some(address);
            hop.last_nanos = Some(nanos);
        }
    }
    if !outcome.reached {
        return;
    }
    let hops = outcome
        .hops
        .iter()
        .map(|hop| hop.map(|(address, _)| address))
        .collect();
    if let Some(change) = flow.known.take(hops, settings.paths_kept) {
        flow.changed_at = Some(unix_nanos() / 1_000_000_000);
        let family = match key.family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        tracing::info!(
            device = &*key.device,
            family,
            address = key.record.map(tracing::field::display),
            flow = number,
            before = change.before,
            path_id = change.now.id,
            hops = change.now.hops.len(),
            path = change.now.text(),
            "path changed"
        );
    }
}

fn unix_nanos() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
