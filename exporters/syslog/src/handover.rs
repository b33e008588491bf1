//! An upgrade that loses nothing: a new process takes the sockets of the running one over a Unix socket.
//!
//! The new process connects, checks its configuration, asks, and receives packets of one line of JSON (and bytes behind it)
//! with one descriptor each: the listening sockets, the open TCP connections with the bytes of a message that was begun,
//! then how much of the queue is whose, then `done`. What arrives meanwhile waits in the kernel's buffers, which both
//! processes hold. The old one ends, which frees the queue and the web address, and the new one goes on. TLS
//! connections cannot be handed over; they are closed and come again.

mod give;
pub mod leaving;
pub mod sockets;
mod take;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::framing::Skip;

use sockets::{Backlog, Kind};

pub use give::serve;
pub use take::{early, taken};

/// One packet's line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Packet {
    Socket {
        kind: Kind,
        configured: String,
    },
    Connection {
        configured: String,
        source: SocketAddr,
        skip: Skip,
    },
    Backlog(Backlog),
    Done,
}

/// What the new process says when it is sure.
const WORD: &[u8] = b"take";

/// Longest packet: the longest message and one read, with its line.
const PACKET: usize = 400 << 10;
