//! Traps and informs: counted by sender and trap, logged, put into the queue for Loki, informs acknowledged.
//!
//! Versions 1 and 2c count when their community is that of an auth, version 3 when an auth's user sent them: traps with the keys of the
//! sender's engine, informs with those of our own.

pub mod lines;
mod notification;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{IntCounterVec, Opts, Registry};
use tokio::net::UdpSocket;
use toolkit::Stop;

pub use notification::{Notification, fuzz, read};

use crate::codec::{self, Message};
use crate::config::Config;
use crate::reason::Reason;
use crate::usm::own::{self, Engine, Own, Received};
use crate::usm::{Heard, Peer};
use lines::Lines;

/// Pairs of sender and trap that are told apart; further ones count under the sender `other`.
const PAIRS: usize = 5000;
/// Version 3 senders whose keys are held; making one costs milliseconds.
const SENDERS: usize = 1000;
/// Keys that are made within a second at most.
const KEYS_A_SECOND: u32 = 20;
/// Reports within a second at most, to those that do not know our engine or are refused.
const REPORTS_A_SECOND: u32 = 200;
/// Log lines within a second at most.
const LINES_A_SECOND: u32 = 50;

/// What traps count.
#[derive(Clone, Debug)]
pub struct TrapMetrics {
    received: IntCounterVec,
    ignored: IntCounterVec,
}

impl TrapMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// A name is taken.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let received = Opts::new(
            "snmp_traps_total",
            "Traps and informs received, by sender and trap.",
        );
        let ignored = Opts::new(
            "snmp_traps_ignored_total",
            "Datagrams on the trap port that did not count, by reason.",
        );
        let metrics = Self {
            received: IntCounterVec::new(received, &["source", "trap", "version"])?,
            ignored: IntCounterVec::new(ignored, &["reason"])?,
        };
        for reason in [
            "malformed",
            "unknown_community",
            "unknown_user",
            "not_authentic",
            "not_in_window",
            "discovery",
            "not_kept",
            "rate",
        ] {
            metrics.ignored.with_label_values(&[reason]);
        }
        registry.register(Box::new(metrics.received.clone()))?;
        registry.register(Box::new(metrics.ignored.clone()))?;
        Ok(metrics)
    }
}

/// So many within a second.
#[derive(Debug)]
struct Rate {
    most: u32,
    began: Instant,
    count: u32,
}

impl Rate {
    fn new(most: u32) -> Self {
        Self {
            most,
            began: Instant::now(),
            count: 0,
        }
    }

    fn allows(&mut self) -> bool {
        if self.began.elapsed() >= Duration::from_secs(1) {
            (self.began, self.count) = (Instant::now(), 0);
        }
        self.count += 1;
        self.count <= self.most
    }
}

/// Who sends traps, as far as it must be remembered.
#[derive(Debug)]
struct Senders {
    /// Of which configuration the keys below are.
    generation: u64,
    peers: HashMap<(String, Vec<u8>), Peer>,
    own: HashMap<String, Own>,
    reports: Rate,
    pairs: HashMap<(IpAddr, String), ()>,
    keys: Rate,
    lines: Rate,
}

/// The receiver.
#[derive(Debug)]
pub struct Receiver {
    metrics: TrapMetrics,
    engine: Engine,
    lines: Option<Lines>,
    senders: Mutex<Senders>,
}

/// What a datagram comes to.
enum Judged {
    /// A notification, its version, and what acknowledges it.
    Taken(Notification, &'static str, Option<Vec<u8>>),
    /// It does not count: why, and what is answered all the same.
    Ignored(&'static str, Option<Vec<u8>>),
}

impl From<&'static str> for Judged {
    fn from(reason: &'static str) -> Self {
        Self::Ignored(reason, None)
    }
}

impl Receiver {
    /// A receiver that has heard nothing yet.
    #[must_use]
    pub fn new(metrics: TrapMetrics, engine: Engine, lines: Option<Lines>) -> Self {
        let senders = Senders {
            generation: 0,
            peers: HashMap::new(),
            own: HashMap::new(),
            reports: Rate::new(REPORTS_A_SECOND),
            pairs: HashMap::new(),
            keys: Rate::new(KEYS_A_SECOND),
            lines: Rate::new(LINES_A_SECOND),
        };
        Self {
            metrics,
            engine,
            lines,
            senders: Mutex::new(senders),
        }
    }

    fn senders(&self) -> std::sync::MutexGuard<'_, Senders> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the keys of another configuration.
    fn follow(&self, generation: u64) {
        let mut senders = self.senders();
        if senders.generation != generation {
            senders.generation = generation;
            senders.peers.clear();
            senders.own.clear();
        }
    }

    /// Takes datagrams until it is stopped. `config` gives the configuration that runs.
    ///
    /// # Errors
    /// The socket fails.
    pub async fn run(
        &self,
        socket: &UdpSocket,
        config: impl Fn() -> std::sync::Arc<crate::probe::Ready>,
        stop: Stop,
    ) -> anyhow::Result<()> {
        let mut buffer = vec![0; 65_536];
        loop {
            let (length, from) = tokio::select! {
                received = socket.recv_from(&mut buffer) => received?,
                () = stop.requested() => return Ok(()),
            };
            let ready = config();
            self.follow(ready.generation);
            if let Some(acknowledgement) = self.take(&buffer[..length], from, &ready.config) {
                // A lost acknowledgement makes the sender ask again.
                let _ = socket.send_to(&acknowledgement, from).await;
            }
        }
    }

    /// Takes one datagram; gives what is answered: the acknowledgement of an inform, or a report of version 3.
    pub fn take(&self, datagram: &[u8], from: SocketAddr, config: &Config) -> Option<Vec<u8>> {
        let reason = match self.judge(datagram, config) {
            Judged::Taken(notification, version, answer) => {
                if self.book(&notification, version, from.ip()) {
                    return answer.filter(|_| notification.inform);
                }
                // Not acknowledged, so that the sender keeps it and tries again.
                "not_kept"
            }
            Judged::Ignored(reason, None) => reason,
            Judged::Ignored(reason, Some(report)) => {
                if self.senders().reports.allows() {
                    self.metrics.ignored.with_label_values(&[reason]).inc();
                    return Some(report);
                }
                "rate"
            }
        };
        self.metrics.ignored.with_label_values(&[reason]).inc();
        None
    }

    fn judge(&self, datagram: &[u8], config: &Config) -> Judged {
        match codec::read_message(datagram) {
            Ok(Message::Community {
                version,
                community,
                pdu,
            }) => {
                let known = config
                    .auths
                    .values()
                    .filter(|auth| auth.version < 3)
                    .any(|auth| {
                        std::iter::once(&auth.credentials)
                            .chain(auth.targets.values())
                            .any(|one| one.community.reveal() == community)
                    });
                if !known {
                    return "unknown_community".into();
                }
                let Some(notification) = read(pdu) else {
                    return "malformed".into();
                };
                let answer = notification::acknowledge(datagram);
                Judged::Taken(notification, if version == 1 { "1" } else { "2c" }, answer)
            }
            Ok(Message::V3 { .. }) => self.judge_v3(datagram, config),
            Err(_) => "malformed".into(),
        }
    }

    fn judge_v3(&self, datagram: &[u8], config: &Config) -> Judged {
        let Some((engine, user)) = own::addressed(datagram) else {
            return "malformed".into();
        };
        if engine == self.engine.identity() {
            return self.judge_inform(datagram, &user, config);
        }
        // Only who wants an answer sends to our engine; a trap comes in the name of the sender's own.
        if let Some(report) = own::introduction(datagram, &self.engine) {
            return Judged::Ignored("discovery", Some(report));
        }
        let mut senders = self.senders();
        let mut reason = "unknown_user";
        for (name, auth) in config.auths.iter().filter(|(_, auth)| auth.version == 3) {
            if auth.credentials.username.reveal() != user {
                continue;
            }
            reason = "not_authentic";
            let key = (name.clone(), engine.clone());
            if !senders.peers.contains_key(&key) {
                if !senders.keys.allows() {
                    return "rate".into();
                }
                if senders.peers.len() >= SENDERS {
                    senders.peers.clear();
                }
                let Ok(peer) = Peer::new(auth, &auth.credentials, "", &engine) else {
                    continue;
                };
                senders.peers.insert(key.clone(), peer);
            }
            let Some(peer) = senders.peers.get_mut(&key) else {
                continue;
            };
            match peer.decode(datagram, Instant::now()) {
                Heard::Pdu(pdu) => {
                    return match read(&pdu).filter(|one| !one.inform) {
                        Some(notification) => Judged::Taken(notification, "3", None),
                        None => "malformed".into(),
                    };
                }
                Heard::Nothing(Reason::NotInWindow) => reason = "not_in_window",
                _ => {}
            }
        }
        reason.into()
    }

    /// A message to our own engine.
    fn judge_inform(&self, datagram: &[u8], user: &[u8], config: &Config) -> Judged {
        let mut senders = self.senders();
        let mut refused = Judged::Ignored("unknown_user", own::stranger(datagram, &self.engine));
        for (name, auth) in config.auths.iter().filter(|(_, auth)| auth.version == 3) {
            if auth.credentials.username.reveal() != user {
                continue;
            }
            if !senders.own.contains_key(name) {
                let Ok(keys) = Own::new(auth, &auth.credentials, &self.engine) else {
                    continue;
                };
                senders.own.insert(name.clone(), keys);
            }
            let Some(keys) = senders.own.get(name) else {
                continue;
            };
            match keys.receive(datagram, &self.engine) {
                Received::Pdu(scoped) => {
                    let Some(notification) = read(&scoped.pdu).filter(|one| one.inform) else {
                        return "malformed".into();
                    };
                    let answer = keys.acknowledge(datagram, &scoped, &self.engine);
                    return Judged::Taken(notification, "3", answer);
                }
                Received::Refused(reason, report) => {
                    let reason = match reason {
                        Reason::NotInWindow => "not_in_window",
                        Reason::Decode => "malformed",
                        _ => "not_authentic",
                    };
                    refused = Judged::Ignored(reason, report);
                }
            }
        }
        refused
    }

    /// Counts, logs and keeps a notification; false when it should have been kept and was not.
    fn book(&self, notification: &Notification, version: &str, from: IpAddr) -> bool {
        let from = from.to_canonical();
        let trap = notification.name();
        let mut senders = self.senders();
        let pair = (from, trap.clone());
        let known = senders.pairs.contains_key(&pair) || senders.pairs.len() < PAIRS;
        if known {
            senders.pairs.insert(pair, ());
        }
        let log = senders.lines.allows();
        drop(senders);
        let source = from.to_string();
        let (source_label, trap_label) = if known {
            (source.as_str(), trap.as_str())
        } else {
            ("other", "other")
        };
        if let Some(lines) = &self.lines
            && !lines.keep(notification, version, from, [source_label, trap_label])
        {
            return false;
        }
        self.metrics
            .received
            .with_label_values(&[source_label, trap_label, version])
            .inc();
        if log {
            tracing::info!(source, trap, version, values = notification.text(), "trap");
        }
        true
    }
}

#[cfg(test)]
mod tests;
