//! One session with a target: the state machine of a scrape, a line to the target, and the clock.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::sessions::{Remembered, Sessions};
use super::socket::{Open, no_way};
use super::{Arrival, Settings, Sockets, until};
use crate::codec::{self, Message, Operation};
use crate::config::{Auth, Credentials, SecurityLevel};
use crate::reason::Reason;
use crate::scrape::{Counts, Failure, Limits, Outcome, Outgoing, Pace, Scrape, Sizes, Work};
use crate::usm::{self, Heard, Peer};
use crate::value::Table;

/// How often an engine may change its identity or its clock within one session.
const HEALINGS: u32 = 4;
/// sysUpTime.0, which every agent has: asked to tell a wrong privacy key from silence.
const UP_TIME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 3, 0];

/// What to ask whom, and as whom.
#[derive(Debug)]
pub struct Asked {
    /// The target.
    pub target: SocketAddr,
    /// Distinguishes what is remembered: the same target asked as somebody else is another one.
    pub identity: String,
    /// Version, level and protocols.
    pub auth: Arc<Auth>,
    /// Community, user and passwords.
    pub credentials: Credentials,
    /// Context of version 3.
    pub context: String,
    /// What to collect.
    pub works: Vec<Work>,
    /// How large its columns were last time.
    pub sizes: Arc<Sizes>,
    /// When it must be over.
    pub deadline: Instant,
    /// One request at a time, exactly as configured.
    pub strict: bool,
    /// Take answers from any address.
    pub any_source: bool,
}

/// What a session brought.
#[derive(Debug)]
pub struct Report {
    /// What was collected and what not.
    pub outcome: Outcome,
    /// Round trips of requests that were sent once.
    pub trips: Vec<Duration>,
    /// Messages of engine discovery.
    pub discovery: u64,
    /// Answers that did not count, by reason.
    pub ignored: BTreeMap<Reason, u64>,
}

impl Report {
    /// A session that could not begin.
    #[must_use]
    pub fn failed(reason: Reason) -> Self {
        let failures = vec![Failure { work: 0, reason }];
        let outcome = Outcome {
            table: Table::default(),
            failures,
            counts: vec![Counts::default()],
            own: Table::default(),
            unheard: false,
            claim: None,
            answered: false,
            pace: Pace::default(),
        };
        Self {
            outcome,
            trips: Vec::new(),
            discovery: 0,
            ignored: BTreeMap::new(),
        }
    }
}

/// How messages are made and read.
enum Wire {
    Community(u8),
    Usm {
        peer: Box<Peer>,
        healings: u32,
        /// Requests that were under way when the engine was last told anew: their answers are about the message before.
        stale: HashSet<i32>,
    },
}

/// A session under way.
pub struct Session<'a> {
    asked: &'a Asked,
    line: Open,
    discovery: u64,
    ignored: BTreeMap<Reason, u64>,
    trips: Vec<Duration>,
    /// The id of the message that tells a wrong privacy key from silence.
    probe: Option<(i32, Box<Peer>)>,
    /// That message was answered when the most patient request had been sent so often.
    heard_plain: Option<u32>,
    /// The target answers from another port, or from this address: heard once while the right one stayed silent.
    elsewhere: Option<IpAddr>,
}

pub(super) async fn run(
    sockets: &Sockets,
    sessions: &Sessions,
    settings: &Settings,
    mut asked: Asked,
) -> Report {
    let works = std::mem::take(&mut asked.works);
    let all_failed = |reason| {
        let mut report = Report::failed(reason);
        report.outcome.failures = (0..works.len().max(1))
            .map(|work| Failure { work, reason })
            .collect();
        report.outcome.counts = vec![Counts::default(); works.len().max(1)];
        report
    };
    let Some(line) = sockets.open(asked.target) else {
        return all_failed(Reason::Send);
    };
    let key = (asked.target, asked.identity.clone());
    let Remembered {
        pace,
        peer,
        elsewhere,
    } = sessions.recall(&key);
    let pace = pace.unwrap_or_else(|| Pace::up_to(settings.window));
    let mut session = Session {
        asked: &asked,
        line,
        discovery: 0,
        ignored: BTreeMap::new(),
        trips: Vec::new(),
        probe: None,
        heard_plain: None,
        elsewhere,
    };
    let patience = works.first().map_or(Duration::from_secs(5), |work| {
        work.params.timeout * (work.params.retries + 1)
    });
    let mut wire = if asked.auth.version == 3 {
        let peer = match peer {
            Some(peer) => Ok(peer),
            None => session.discover(patience).await,
        };
        match peer {
            Ok(peer) => Wire::Usm {
                peer: Box::new(peer),
                healings: 0,
                stale: HashSet::new(),
            },
            Err(reason) => {
                let mut report = all_failed(reason);
                (report.discovery, report.ignored) = (session.discovery, session.ignored);
                return report;
            }
        }
    } else {
        Wire::Community(asked.auth.version)
    };
    let limits = Limits {
        deadline: asked.deadline,
        v1: asked.auth.version == 1,
        strict: asked.strict,
    };
    let claim = settings.budget.claim();
    let mut scrape = Scrape::of_known(works, limits, pace, &asked.sizes).within(claim);
    session.run(&mut scrape, &mut wire).await;
    let mut outcome = scrape.finish();
    if !outcome.answered {
        session.explain(&mut outcome);
    }
    let peer = if let Wire::Usm { peer, .. } = wire {
        Some(*peer)
    } else {
        None
    };
    if outcome.answered || peer.is_some() {
        let remembered = Remembered {
            pace: Some(outcome.pace.clone()),
            peer,
            elsewhere: session.elsewhere,
        };
        sessions.keep(key, remembered);
    }
    Report {
        outcome,
        trips: session.trips,
        discovery: session.discovery,
        ignored: session.ignored,
    }
}

impl Session<'_> {
    async fn run(&mut self, scrape: &mut Scrape, wire: &mut Wire) {
        loop {
            let now = Instant::now();
            while let Some(outgoing) = scrape.poll(now) {
                if let Err(reason) = self.send(wire, &outgoing, now).await {
                    scrape.abort(reason);
                }
            }
            if scrape.done() {
                return;
            }
            if scrape.silence() >= 2 && self.probe.is_none() {
                self.probe_key(wire).await;
            }
            // A slow target answers it before it answers what was asked first: that is waited for once more.
            if self
                .heard_plain
                .is_some_and(|tries| scrape.silence() > tries)
            {
                scrape.abort(Reason::Decrypt);
            }
            let first = tokio::select! {
                biased;
                arrival = self.line.inbox.recv() => arrival,
                () = tokio::time::sleep_until(scrape.wake().into()) => None,
            };
            let now = Instant::now();
            if let Some(arrival) = first {
                self.hear(arrival, scrape, wire, now).await;
            }
            while let Ok(arrival) = self.line.inbox.try_recv() {
                self.hear(arrival, scrape, wire, now).await;
            }
        }
    }

    async fn send(&mut self, wire: &Wire, outgoing: &Outgoing, now: Instant) -> Result<(), Reason> {
        let oids: Vec<&[u32]> = outgoing.oids.iter().map(Vec::as_slice).collect();
        let message = match wire {
            Wire::Community(version) => codec::message(
                *version,
                self.asked.credentials.community.reveal(),
                outgoing.operation,
                outgoing.id,
                &oids,
            ),
            Wire::Usm { peer, .. } => peer
                .encode(outgoing.operation, outgoing.id, &oids, now)
                .map_err(|_| Reason::Configuration)?,
        };
        self.line
            .send(outgoing.id, &message)
            .await
            .map(|_| ())
            .map_err(|error| unsent(&error))
    }

    fn is_target(&self, from: SocketAddr) -> bool {
        same(from, self.asked.target) || self.asked.any_source || self.elsewhere == Some(from.ip())
    }

    fn ignore(&mut self, reason: Reason) {
        *self.ignored.entry(reason).or_default() += 1;
    }

    async fn hear(&mut self, arrival: Arrival, scrape: &mut Scrape, wire: &mut Wire, now: Instant) {
        let (message, from) = match arrival {
            Arrival::Datagram(message, from) => (message, from),
            Arrival::Unreachable(reason) if scrape.silence() > 0 => return scrape.abort(reason),
            // The target answered before: it may be starting anew.
            Arrival::Unreachable(reason) => return self.ignore(reason),
        };
        let Some(id) = codec::id_of(&message) else {
            return self.ignore(Reason::Decode);
        };
        // An agent with several addresses may answer from another one: believed when the right one stays silent.
        if !self.is_target(from) {
            if !scrape.repeated(id) {
                return self.ignore(Reason::BadAnswer);
            }
            self.elsewhere = Some(from.ip());
        }
        if self.probe.as_ref().is_some_and(|(probe, _)| *probe == id) {
            return self.heard_probe(&message, scrape, now);
        }
        // A late answer to what was asked before, such as the second to who the engine is, says nothing of what is asked now.
        if !scrape.expects(id) {
            return;
        }
        let octets = message.len();
        match wire {
            Wire::Community(_) => {
                let Ok(Message::Community { pdu, .. }) = codec::read_message(&message) else {
                    return self.ignore(Reason::Decode);
                };
                self.take(pdu, octets, scrape, now);
            }
            Wire::Usm {
                peer,
                healings,
                stale,
            } => match peer.decode(&message, now) {
                Heard::Pdu(pdu) => self.take(&pdu, octets, scrape, now),
                Heard::Refused(reason) => scrape.abort(reason),
                Heard::Nothing(reason) => self.ignore(reason),
                Heard::Clock | Heard::Engine(..) if stale.remove(&id) => {}
                Heard::Clock => {
                    *healings += 1;
                    if *healings > HEALINGS {
                        scrape.abort(Reason::NotInWindow);
                    } else {
                        *stale = scrape.under_way().filter(|other| *other != id).collect();
                        scrape.resend(now);
                    }
                }
                Heard::Engine(engine, boots, time) => {
                    *healings += 1;
                    if *healings > HEALINGS || engine.as_slice() == peer.engine() {
                        return scrape.abort(Reason::UnknownEngine);
                    }
                    match self.localise(&engine).await {
                        Ok(mut new) => {
                            new.set_clock(boots, time, now);
                            **peer = new;
                            *stale = scrape.under_way().filter(|other| *other != id).collect();
                            scrape.resend(Instant::now());
                        }
                        Err(reason) => scrape.abort(reason),
                    }
                }
            },
        }
    }

    fn take(&mut self, pdu: &[u8], octets: usize, scrape: &mut Scrape, now: Instant) {
        match codec::read_pdu(pdu) {
            Ok(pdu) => {
                if let Some(trip) = scrape.reply(&pdu, octets, now) {
                    self.trips.push(trip);
                }
            }
            Err(_) => self.ignore(Reason::Decode),
        }
    }

    /// Asks the engine who it is.
    async fn discover(&mut self, patience: Duration) -> Result<Peer, Reason> {
        let (id, began) = (fastrand::i32(1..i32::MAX), Instant::now());
        let end = self.asked.deadline.min(began + patience);
        let mut wait = Duration::from_secs(1);
        loop {
            self.line
                .send(id, &usm::discovery(id))
                .await
                .map_err(|error| unsent(&error))?;
            self.discovery += 1;
            let again = (Instant::now() + wait).min(end);
            wait *= 2;
            while let Ok(Some(arrival)) =
                tokio::time::timeout_at(again.into(), self.line.inbox.recv()).await
            {
                match arrival {
                    Arrival::Unreachable(reason) => return Err(reason),
                    Arrival::Datagram(message, from)
                        if self.is_target(from) || self.discovery > 1 =>
                    {
                        if !self.is_target(from) {
                            self.elsewhere = Some(from.ip());
                        }
                        let Some((engine, boots, time)) = usm::discovered(&message) else {
                            self.ignore(Reason::Decode);
                            continue;
                        };
                        let heard = Instant::now();
                        let mut peer = self.localise(&engine).await?;
                        peer.set_clock(boots, time, heard);
                        return Ok(peer);
                    }
                    Arrival::Datagram(..) => self.ignore(Reason::BadAnswer),
                }
            }
            if until(end).is_zero() {
                return Err(Reason::Timeout);
            }
        }
    }

    /// Makes the keys for an engine, away from the event loop.
    async fn localise(&self, engine: &[u8]) -> Result<Peer, Reason> {
        let (auth, credentials) = (Arc::clone(&self.asked.auth), self.asked.credentials.clone());
        let (context, engine) = (self.asked.context.clone(), engine.to_vec());
        let made =
            tokio::task::spawn_blocking(move || Peer::new(&auth, &credentials, &context, &engine))
                .await;
        made.map_err(|_| Reason::Configuration)?
            .map_err(|_| Reason::Configuration)
    }

    /// Agents drop silently what they cannot decrypt. Asked without privacy, they show whether the rest is right.
    async fn probe_key(&mut self, wire: &Wire) {
        let Wire::Usm { peer, .. } = wire else { return };
        if self.asked.auth.security_level != SecurityLevel::AuthPriv {
            return;
        }
        let plain = peer.without_privacy();
        let id = fastrand::i32(1..i32::MAX);
        if let Ok(message) = plain.encode(Operation::Get, id, &[&UP_TIME], Instant::now()) {
            let _ = self.line.send(id, &message).await;
        }
        self.probe = Some((id, Box::new(plain)));
    }

    fn heard_probe(&mut self, message: &[u8], scrape: &mut Scrape, now: Instant) {
        let Some((_, peer)) = &mut self.probe else {
            return;
        };
        match peer.decode(message, now) {
            // The digest was right, so the key of the cipher is not.
            Heard::Pdu(_) | Heard::Refused(Reason::SecurityLevel | Reason::UnknownContext) => {
                self.heard_plain = Some(scrape.silence());
            }
            Heard::Refused(reason) if scrape.silence() > 0 => scrape.abort(reason),
            Heard::Refused(_) => {}
            Heard::Engine(..) | Heard::Clock | Heard::Nothing(_) => {}
        }
    }

    /// Silence has a better name when answers came that did not count, or one without privacy.
    fn explain(&self, outcome: &mut Outcome) {
        let ignored = self.ignored.iter().max_by_key(|(_, count)| **count);
        let wrong_key = self.heard_plain.map(|_| &Reason::Decrypt);
        let Some(reason) = wrong_key.or(ignored.map(|(reason, _)| reason)) else {
            return;
        };
        for failure in outcome
            .failures
            .iter_mut()
            .filter(|failure| failure.reason == Reason::Timeout)
        {
            failure.reason = *reason;
        }
    }
}

/// Why a message could not be sent.
fn unsent(error: &std::io::Error) -> Reason {
    if no_way(error) {
        Reason::IcmpUnreachable
    } else {
        Reason::Send
    }
}

/// The same address and port; the flow label and scope of IPv6 do not count.
fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
}
