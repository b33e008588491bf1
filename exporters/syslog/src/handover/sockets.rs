//! What is handed over.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::framing::Skip;

/// What a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A bound UDP socket.
    Udp,
    /// A UDP socket of one heavy sender.
    UdpOwn,
    /// A UDP socket kept for a heavy address.
    #[serde(rename = "udp_apart")]
    UdpByAddress,
    /// A listening TCP socket.
    Tcp,
    /// A bound Unix datagram socket.
    Unix,
}

/// An open connection between two messages, or in the middle of one.
#[derive(Debug)]
pub struct Connection {
    /// The configured address of its listener.
    pub configured: String,
    /// The sender.
    pub source: SocketAddr,
    /// Bytes that were read and are no whole message yet.
    pub bytes: Vec<u8>,
    /// What is to be skipped of a message that was too long.
    pub skip: Skip,
    /// The connection itself.
    pub socket: OwnedFd,
}

/// What one process gives away.
#[derive(Debug, Default)]
pub struct Given {
    pub(super) sockets: Vec<(Kind, String, OwnedFd)>,
    /// Open connections.
    pub connections: Vec<Connection>,
}

impl Given {
    /// Adds a socket, when its descriptor could be copied.
    pub fn socket(&mut self, kind: Kind, configured: String, socket: std::io::Result<OwnedFd>) {
        match socket {
            Ok(socket) => self.sockets.push((kind, configured, socket)),
            Err(error) => {
                tracing::error!(%error, configured, "a socket cannot be handed over");
            }
        }
    }
}

/// How much of the queue is whose: the count for each destination, by device.
pub type Backlog = HashMap<String, Vec<u64>>;

/// What the new process was given.
#[derive(Debug, Default)]
pub struct Taken {
    pub(super) sockets: Vec<(Kind, String, OwnedFd)>,
    pub(super) connections: Vec<Connection>,
    /// What waits in the queue; none when there was nobody to say so.
    pub backlog: Option<Backlog>,
}

impl Taken {
    /// A socket for a configured address, when one was given.
    pub fn socket(&mut self, kind: Kind, configured: &str) -> Option<OwnedFd> {
        let at = self
            .sockets
            .iter()
            .position(|(k, c, _)| *k == kind && c == configured)?;
        Some(self.sockets.remove(at).2)
    }

    /// The connections of a listener.
    pub fn connections(&mut self, configured: &str) -> Vec<Connection> {
        let (own, others) = std::mem::take(&mut self.connections)
            .into_iter()
            .partition(|c| c.configured == configured);
        self.connections = others;
        own
    }
}
