//! The queue itself: what it is made of, and what is asked of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::record::Record;
use crate::segment::Segment;
use crate::storage::Storage;
use crate::{Error, Options};

mod append;
mod bounds;
mod place;
mod sync;

pub(crate) use place::ReaderState;

/// What happens to a record for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It is not taken: the caller waits for [`Queue::space`] and appends it again.
    Block,
    /// It is dropped.
    DropNewest,
    /// The oldest records that no reader is at work on are evicted to make room.
    DropOldest,
    /// It is dropped when it is less urgent than `keep` (its class is higher) and less than `reserve`
    /// bytes are free, or when nothing is free.
    ByClass {
        /// The least urgent class that may use the reserve.
        keep: u8,
        /// Bytes kept for urgent records.
        reserve: u64,
    },
}

/// A record to append.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When it was received, nanoseconds since 1970: its stamp is the first free one from there.
    pub received: u64,
    /// Its class; 0 is the most urgent.
    pub class: u8,
    /// What happens when there is no room.
    pub when_full: WhenFull,
    /// Its content.
    pub payload: &'a [u8],
}

/// What became of the entries of one append.
#[derive(Debug, Default)]
pub struct Appended {
    /// How many entries were dealt with, from the first; the rest was not taken.
    pub done: usize,
    /// How many of them were accepted.
    pub accepted: usize,
    /// Which of them were dropped, by index.
    pub dropped: Vec<usize>,
    /// Why the rest was not taken; none with `done` short of the end: there was no room.
    pub error: Option<Error>,
}

/// A record that was given up for a reader that had not acknowledged it.
#[derive(Debug, Clone, Copy)]
pub struct Eviction<'a> {
    /// The reader that will not receive it.
    pub reader: &'a str,
    /// The record.
    pub record: Record<'a>,
    /// It was older than the bound on age; otherwise it made room for a newer one.
    pub aged: bool,
}

/// Level and history of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of all segments.
    pub bytes: u64,
    /// Number of segments.
    pub segments: usize,
    /// Number that the next record will have.
    pub next: u64,
    /// All records below this number are durable.
    pub durable: u64,
    /// Records that each reader has not acknowledged and that were not evicted, by the order of declaration.
    pub queued: Vec<u64>,
    /// Stamp (or a lower bound of it) of the oldest of them.
    pub oldest: Vec<Option<u64>>,
    /// Records evicted, summed over the readers that missed them.
    pub evicted: u64,
    /// Records dropped at append.
    pub dropped: u64,
    /// Records that were found damaged, summed over readers.
    pub damaged: u64,
    /// Times the clock was set back and stamps began anew.
    pub clock_steps: u64,
    /// Storage operations that failed.
    pub storage_errors: u64,
}

pub(crate) struct State {
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) readers: Vec<ReaderState>,
    pub(crate) next: u64,
    pub(crate) last_stamp: u64,
    pub(crate) bytes: u64,
    pub(crate) buffer: Vec<u8>,
    /// The active segment has a torn end that could not be cut off.
    pub(crate) torn: bool,
    /// Files written since the last sync, and whether names changed.
    pub(crate) dirty: Vec<Arc<dyn crate::storage::File>>,
    pub(crate) names_dirty: bool,
    pub(crate) acks_dirty: bool,
    pub(crate) stats: Stats,
}

pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) storage: Box<dyn Storage>,
    state: Mutex<State>,
    pub(crate) appended: Notify,
    pub(crate) space: Notify,
}

/// A durable queue, open in this process. Clones are the same queue.
#[derive(Clone)]
pub struct Queue {
    pub(crate) inner: Arc<Inner>,
}

impl Inner {
    pub(crate) fn new(options: Options, storage: Box<dyn Storage>, state: State) -> Self {
        Self {
            options,
            storage,
            state: Mutex::new(state),
            appended: Notify::new(),
            space: Notify::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Evicts what is older than the bound on age; `now` in nanoseconds since 1970.
    pub fn expire(&self, now: u64, evicted: &mut dyn FnMut(Eviction<'_>)) {
        if let Some(age) = self.inner.options.max_age {
            self.inner.expire(&mut self.inner.lock(), now, age, evicted);
        }
    }

    /// What it was opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Makes everything accepted so far durable.
    ///
    /// # Errors
    /// When the storage refuses; what was not durable before then may be lost with the power.
    pub fn sync(&self) -> Result<(), Error> {
        self.inner.sync()
    }

    /// Completes when room was made. Create it before the append that may find no room.
    pub fn space(&self) -> tokio::sync::futures::Notified<'_> {
        self.inner.space.notified()
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.inner.lock().bytes
    }

    /// Level and history.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.inner.lock();
        let mut stats = state.stats.clone();
        stats.bytes = state.bytes;
        stats.segments = state.segments.len();
        stats.next = state.next;
        for reader in &state.readers {
            let missing: u64 = reader
                .missing
                .iter()
                .map(|(from, to)| to - (*from).max(reader.acked))
                .sum();
            let queued = state.next - reader.acked - missing;
            stats.queued.push(queued);
            let base = || {
                state
                    .segments
                    .iter()
                    .find(|s| s.end > reader.acked && !s.evicted)
                    .map(|s| s.base_stamp)
            };
            stats.oldest.push(if queued == 0 {
                None
            } else {
                reader.out.front().map(|o| o.1).or_else(base)
            });
        }
        stats
    }
}
