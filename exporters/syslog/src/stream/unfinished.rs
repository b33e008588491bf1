//! Messages that were begun and not ended: what all connections hold of them together is bounded.
//!
//! When there is no room for another, that which was begun first, or has waited longest since its connection ended a message, is
//! taken as it is, and the rest of it is skipped as it arrives. Who sends whole messages is done long before that. Where one address
//! holds more than half of the room, the first of its own messages goes, so that it costs no other sender any.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::framing::Framing;
use crate::intake::{Batch, now};
use crate::record::{Transport, UNFINISHED};

/// What the connections of all listeners hold of unfinished messages.
#[derive(Debug, Default)]
pub struct Unfinished {
    limit: AtomicUsize,
    /// Messages that were cut for lack of room.
    pub cut: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    bytes: usize,
    /// Number of the next one.
    next: u64,
    /// In the order in which they were begun.
    held: BTreeMap<u64, Held>,
    /// Bytes by the sender's address.
    sources: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Held {
    bytes: usize,
    connection: Arc<Connection>,
}

/// How many are looked at for one of an address that holds more than half.
const LOOKED_AT: usize = 256;

/// A connection as its unfinished message needs it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) source: SocketAddr,
    pub(super) transport: Transport,
    pub(super) framing: Mutex<Framing>,
}

impl Connection {
    pub(super) fn framing(&self) -> MutexGuard<'_, Framing> {
        self.framing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection among them, given up with it.
pub(super) struct Place<'a> {
    unfinished: &'a Unfinished,
    connection: Arc<Connection>,
    number: u64,
}

impl Table {
    fn insert(&mut self, number: u64, held: Held) {
        self.bytes += held.bytes;
        *self.sources.entry(held.source()).or_default() += held.bytes;
        self.held.insert(number, held);
    }

    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.held.remove(&number)?;
        self.bytes -= held.bytes;
        if let Some(bytes) = self.sources.get_mut(&held.source()) {
            *bytes -= held.bytes;
            if *bytes == 0 {
                self.sources.remove(&held.source());
            }
        }
        Some(held)
    }

    /// Takes out the one that makes room: the first, or of an address that holds more than half, which is then never far behind.
    fn make_room(&mut self, limit: usize) -> Option<Held> {
        let heavy = |held: &Held| {
            let bytes = self.sources.get(&held.source());
            bytes.is_some_and(|bytes| bytes * 2 > limit)
        };
        let mut first = self.held.iter().take(LOOKED_AT);
        let found = first.find(|(_, held)| heavy(held));
        let number = *found.or_else(|| self.held.first_key_value())?.0;
        self.remove(number)
    }
}

impl Held {
    fn source(&self) -> IpAddr {
        self.connection.source.ip()
    }
}

impl Unfinished {
    /// Sets the bound in bytes; it holds from the next byte that is read.
    pub fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Relaxed);
    }

    /// Bytes that are held now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.table().bytes
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn place(&self, connection: Arc<Connection>) -> Place<'_> {
        Place {
            unfinished: self,
            connection,
            number: u64::MAX,
        }
    }
}

impl Place<'_> {
    /// Notes the bytes that the connection holds now; `progress`: it has ended a message since. What must make room is taken into `batch`.
    pub(super) fn hold(&mut self, bytes: usize, progress: bool, batch: &mut Batch) {
        let mut table = self.unfinished.table();
        let known = table.remove(self.number).is_some();
        if bytes == 0 {
            return;
        }
        if !known || progress {
            self.number = table.next;
            table.next += 1;
        }
        let limit = self.unfinished.limit.load(Relaxed);
        while table.bytes + bytes > limit {
            let Some(held) = table.make_room(limit) else {
                break;
            };
            // One that is being read just now notes what it has left right after.
            let Ok(mut framing) = held.connection.framing.try_lock() else {
                continue;
            };
            if let Some(begun) = framing.cut() {
                self.unfinished.cut.fetch_add(1, Relaxed);
                let (source, transport) = (held.connection.source, held.connection.transport);
                batch.push(&begun, source, transport, now(), UNFINISHED);
            }
        }
        let connection = self.connection.clone();
        table.insert(self.number, Held { bytes, connection });
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.unfinished.table().remove(self.number);
    }
}
