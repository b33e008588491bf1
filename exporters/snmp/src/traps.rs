//! Traps and informs: counted by sender and trap, logged, informs acknowledged.
//!
//! Versions 1 and 2c count when their community is that of an auth, version 3 traps when an auth's user sent them. Informs of version 3
//! would need an engine of our own and are not taken.

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
use crate::usm::{self, Heard, Peer};

/// Pairs of sender and trap that are told apart; further ones count under the sender `other`.
const PAIRS: usize = 5000;
/// Version 3 senders whose keys are held; making one costs milliseconds.
const SENDERS: usize = 1000;
/// Keys that are made within a second at most.
const KEYS_A_SECOND: u32 = 20;
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
    peers: HashMap<(String, Vec<u8>), Peer>,
    pairs: HashMap<(IpAddr, String), ()>,
    keys: Rate,
    lines: Rate,
}

/// The receiver.
#[derive(Debug)]
pub struct Receiver {
    metrics: TrapMetrics,
    senders: Mutex<Senders>,
}

impl Receiver {
    /// A receiver that has heard nothing yet.
    #[must_use]
    pub fn new(metrics: TrapMetrics) -> Self {
        let senders = Senders {
            peers: HashMap::new(),
            pairs: HashMap::new(),
            keys: Rate::new(KEYS_A_SECOND),
            lines: Rate::new(LINES_A_SECOND),
        };
        Self {
            metrics,
            senders: Mutex::new(senders),
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
            if let Some(acknowledgement) = self.take(&buffer[..length], from, &config().config) {
                // A lost acknowledgement makes the sender ask again.
                let _ = socket.send_to(&acknowledgement, from).await;
            }
        }
    }

    /// Takes one datagram; gives what an inform is acknowledged with.
    pub fn take(&self, datagram: &[u8], from: SocketAddr, config: &Config) -> Option<Vec<u8>> {
        match self.judge(datagram, config) {
            Ok((notification, version)) => {
                self.count(&notification, version, from.ip());
                if notification.inform {
                    notification::acknowledge(datagram)
                } else {
                    None
                }
            }
            Err(reason) => {
                self.metrics.ignored.with_label_values(&[reason]).inc();
                None
            }
        }
    }

    fn judge(
        &self,
        datagram: &[u8],
        config: &Config,
    ) -> Result<(Notification, &'static str), &'static str> {
        match codec::read_message(datagram).map_err(|_| "malformed")? {
            Message::Community {
                version,
                community,
                pdu,
            } => {
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
                    return Err("unknown_community");
                }
                let notification = read(pdu).ok_or("malformed")?;
                Ok((notification, if version == 1 { "1" } else { "2c" }))
            }
            Message::V3 { .. } => self
                .judge_v3(datagram, config)
                .map(|notification| (notification, "3")),
        }
    }

    fn judge_v3(&self, datagram: &[u8], config: &Config) -> Result<Notification, &'static str> {
        let sender = usm::sender(datagram).ok_or("malformed")?;
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reason = "unknown_user";
        for (name, auth) in config.auths.iter().filter(|(_, auth)| auth.version == 3) {
            if auth.credentials.username.reveal() != sender.user {
                continue;
            }
            reason = "not_authentic";
            let key = (name.clone(), sender.engine.clone());
            if !senders.peers.contains_key(&key) {
                if !senders.keys.allows() {
                    return Err("rate");
                }
                if senders.peers.len() >= SENDERS {
                    senders.peers.clear();
                }
                let Ok(peer) = Peer::new(auth, &auth.credentials, "", &sender.engine) else {
                    continue;
                };
                senders.peers.insert(key.clone(), peer);
            }
            let Some(peer) = senders.peers.get_mut(&key) else {
                continue;
            };
            if let Heard::Pdu(pdu) = peer.decode(datagram.to_vec(), Instant::now()) {
                let notification = read(&pdu).ok_or("malformed")?;
                return if notification.inform {
                    Err("malformed")
                } else {
                    Ok(notification)
                };
            }
        }
        Err(reason)
    }

    fn count(&self, notification: &Notification, version: &str, from: IpAddr) {
        let from = from.to_canonical();
        let trap = notification.name();
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.metrics
            .received
            .with_label_values(&[source_label, trap_label, version])
            .inc();
        if log {
            tracing::info!(source, trap, version, values = notification.text(), "trap");
        }
    }
}

#[cfg(test)]
mod tests;
