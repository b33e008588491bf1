//! The queue itself: appending, bounds, eviction.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::ack::AckFile;
use crate::record::{self, HEADER, Record};
use crate::segment::{self, Cursor, Segment};
use crate::storage::{Storage, write_all};
use crate::{CLOCK_STEP, Durability, Error, Options};

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

pub(crate) struct ReaderState {
    pub(crate) name: String,
    pub(crate) ack: AckFile,
    /// First number that is not acknowledged.
    pub(crate) acked: u64,
    /// First number that was not read.
    pub(crate) taken: u64,
    /// The segment that is being read, by its first number.
    pub(crate) reading: Option<u64>,
    /// Number and stamp of the first record of each batch that is out.
    pub(crate) out: VecDeque<(u64, u64)>,
    /// Records at or above `acked` that were evicted or found damaged: disjoint ranges in order.
    pub(crate) missing: Vec<(u64, u64)>,
}

impl ReaderState {
    /// Notes that the records of a range will not be given; gives how many of them were not known to be missing.
    pub(crate) fn miss(&mut self, from: u64, to: u64) -> u64 {
        let mut merged = (from.max(self.acked), to);
        if merged.0 >= merged.1 {
            return 0;
        }
        let mut known = 0;
        self.missing.retain(|&(a, b)| {
            let apart = b < merged.0 || a > merged.1;
            if !apart {
                known += b.min(to).saturating_sub(a.max(from));
                merged = (merged.0.min(a), merged.1.max(b));
            }
            apart
        });
        let at = self.missing.partition_point(|range| range.0 < merged.0);
        self.missing.insert(at, merged);
        to - from.max(self.acked) - known
    }
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
    /// Appends entries in order and fixes their numbers and stamps.
    ///
    /// Stops at the first entry that must wait for room ([`WhenFull::Block`]) or that the storage
    /// refuses. Every record that is evicted to make room is shown to `evicted` first.
    pub fn append(&self, entries: &[Entry<'_>], evicted: &mut dyn FnMut(Eviction<'_>)) -> Appended {
        let mut state = self.inner.lock();
        let mut result = Appended::default();
        if let (Some(age), Some(entry)) = (self.inner.options.max_age, entries.first()) {
            self.inner.expire(&mut state, entry.received, age, evicted);
        }
        let mut pending = Pending {
            from: 0,
            records: 0,
            seq: state.next,
            stamp: state.last_stamp,
        };
        state.buffer.clear();
        for (index, entry) in entries.iter().enumerate() {
            match self
                .inner
                .admit(&mut state, &mut pending, index, entry, evicted)
            {
                Ok(Admission::Taken) => {}
                Ok(Admission::Dropped) => result.dropped.push(index),
                Ok(Admission::Full) => {
                    result.done = index;
                    return self.finish(state, &pending, result);
                }
                Err(error) => {
                    result.done = if pending.records == 0 {
                        index
                    } else {
                        pending.from
                    };
                    pending.records = 0;
                    state.buffer.clear();
                    result.error = Some(error);
                    return self.finish(state, &pending, result);
                }
            }
        }
        result.done = entries.len();
        self.finish(state, &pending, result)
    }

    fn finish(
        &self,
        mut state: MutexGuard<'_, State>,
        pending: &Pending,
        mut result: Appended,
    ) -> Appended {
        if let Err(error) = self.inner.flush(&mut state, pending.records, pending.stamp) {
            result.done = pending.from;
            result.error = Some(error);
        }
        // Drops behind the point of failure did not happen: the caller has those entries still.
        let done = result.done;
        result.dropped.retain(|&index| index < done);
        result.accepted = done - result.dropped.len();
        state.stats.dropped += result.dropped.len() as u64;
        state.stats.storage_errors += u64::from(result.error.is_some());
        drop(state);
        if result.accepted > 0 {
            self.inner.appended.notify_waiters();
        }
        result
    }

    /// Evicts what is older than the bound on age; `now` in nanoseconds since 1970.
    pub fn expire(&self, now: u64, evicted: &mut dyn FnMut(Eviction<'_>)) {
        if let Some(age) = self.inner.options.max_age {
            self.inner.expire(&mut self.inner.lock(), now, age, evicted);
        }
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

/// Records encoded and not yet written.
struct Pending {
    /// Index of the first entry that is not yet on the medium.
    from: usize,
    records: u64,
    seq: u64,
    stamp: u64,
}

enum Admission {
    Taken,
    Dropped,
    Full,
}

impl Inner {
    fn admit(
        &self,
        state: &mut State,
        pending: &mut Pending,
        index: usize,
        entry: &Entry<'_>,
        evicted: &mut dyn FnMut(Eviction<'_>),
    ) -> Result<Admission, Error> {
        if entry.payload.len() > self.options.max_record {
            return Err(Error::TooLong {
                length: entry.payload.len(),
                limit: self.options.max_record,
            });
        }
        let size = (HEADER + entry.payload.len()) as u64;
        let active = state.segments.back().map_or(u64::MAX, |s| s.length);
        let roll = state.torn
            || active.saturating_add(state.buffer.len() as u64 + size) > self.options.segment_bytes;
        let need = size + state.buffer.len() as u64 + if roll { segment::HEADER } else { 0 };
        let free = |state: &State| self.options.max_bytes.saturating_sub(state.bytes);
        match entry.when_full {
            WhenFull::Block if free(state) < need => return Ok(Admission::Full),
            WhenFull::DropNewest if free(state) < need => return Ok(Admission::Dropped),
            WhenFull::ByClass { keep, reserve }
                if free(state) < need + if entry.class > keep { reserve } else { 0 } =>
            {
                return Ok(Admission::Dropped);
            }
            WhenFull::DropOldest => {
                while free(state) < need {
                    if !self.evict_oldest(state, false, evicted)? {
                        return Ok(Admission::Dropped);
                    }
                }
            }
            _ => {}
        }
        if roll {
            self.flush(state, pending.records, pending.stamp)?;
            pending.records = 0;
            pending.from = index;
            self.roll(state)?;
        }
        pending.stamp = if entry.received > pending.stamp {
            entry.received
        } else if Duration::from_nanos(pending.stamp - entry.received) > CLOCK_STEP {
            state.stats.clock_steps += 1;
            entry.received
        } else {
            pending.stamp + 1
        };
        if pending.records == 0 {
            pending.from = index;
        }
        let record = Record {
            seq: pending.seq,
            stamp: pending.stamp,
            class: entry.class,
            payload: entry.payload,
        };
        record::encode(record, &mut state.buffer);
        pending.seq += 1;
        pending.records += 1;
        Ok(Admission::Taken)
    }

    /// Writes the buffer behind the active segment; all of it or nothing.
    fn flush(&self, state: &mut State, records: u64, stamp: u64) -> Result<(), Error> {
        if records == 0 {
            return Ok(());
        }
        let Some(active) = state.segments.back_mut() else {
            return Err(Error::Damaged {
                file: "the queue".to_owned(),
                expected: "an active segment",
            });
        };
        let name = segment::name(active.first);
        let mut written = write_all(&*active.file, &state.buffer, active.length)
            .map_err(Error::storage("writing", &name));
        if written.is_ok() && self.options.durability == Durability::Always {
            written = active.file.sync().map_err(Error::storage("syncing", &name));
            if written.is_ok() && state.names_dirty {
                written = self
                    .storage
                    .sync_names()
                    .map_err(Error::storage("syncing", "the folder"));
                state.names_dirty = written.is_err();
            }
        }
        if let Err(error) = written {
            state.buffer.clear();
            if active.file.truncate(active.length).is_err() {
                state.torn = true;
                let _ = self.roll(state);
            }
            return Err(error);
        }
        active.length += state.buffer.len() as u64;
        active.end += records;
        state.next = active.end;
        state.last_stamp = stamp;
        state.bytes += state.buffer.len() as u64;
        if self.options.durability == Durability::Always {
            state.stats.durable = state.next;
        }
        state.buffer.clear();
        Ok(())
    }

    /// Begins a new segment.
    fn roll(&self, state: &mut State) -> Result<(), Error> {
        if let Some(active) = state.segments.back() {
            if active.first == state.next {
                // Nothing was ever accepted into it: its name is the one needed now.
                let name = segment::name(active.first);
                self.storage
                    .remove(&name)
                    .map_err(Error::storage("removing", &name))?;
                state.bytes -= active.length;
                state.segments.pop_back();
            } else {
                state.dirty.push(active.file.clone());
            }
        }
        let fresh = Segment::create(&*self.storage, state.next, state.last_stamp)?;
        state.bytes += fresh.length;
        state.segments.push_back(fresh);
        state.names_dirty = true;
        state.torn = false;
        self.collect(state);
        Ok(())
    }

    fn expire(
        &self,
        state: &mut State,
        now: u64,
        age: Duration,
        evicted: &mut dyn FnMut(Eviction<'_>),
    ) {
        let limit = now.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
        loop {
            let old = state
                .segments
                .iter()
                .zip(state.segments.iter().skip(1))
                .find(|(s, _)| !s.evicted);
            let aged = old.is_some_and(|(_, next)| next.base_stamp < limit);
            if !aged || !matches!(self.evict_oldest(state, true, evicted), Ok(true)) {
                return;
            }
        }
    }

    /// Gives up the oldest segment that no reader is at work on; false when there is none.
    fn evict_oldest(
        &self,
        state: &mut State,
        aged: bool,
        evicted: &mut dyn FnMut(Eviction<'_>),
    ) -> Result<bool, Error> {
        let busy = |reader: &ReaderState, s: &Segment| {
            reader.reading == Some(s.first) || (reader.acked < s.end && reader.taken > s.first)
        };
        let sealed = state.segments.len().saturating_sub(1);
        let found = (0..sealed).find(|&at| {
            let s = &state.segments[at];
            !s.evicted && !state.readers.iter().any(|reader| busy(reader, s))
        });
        let Some(at) = found else { return Ok(false) };
        let (first, end, length) = (
            state.segments[at].first,
            state.segments[at].end,
            state.segments[at].length,
        );
        let file = state.segments[at].file.clone();
        let mut cursor = Cursor::new(segment::HEADER);
        let mut seq = first;
        while seq < end {
            let Ok(Some(record)) = cursor.next(&*file, seq, length) else {
                break;
            };
            for reader in state.readers.iter().filter(|r| r.acked <= seq) {
                evicted(Eviction {
                    reader: &reader.name,
                    record,
                    aged,
                });
                state.stats.evicted += 1;
            }
            seq += 1;
        }
        for reader in &mut state.readers {
            state.stats.damaged += reader.miss(seq, end);
            reader.miss(first, seq);
        }
        let behind_gap = at > 0 && state.segments[at - 1].evicted;
        if at == 0 || behind_gap {
            let name = segment::name(first);
            self.storage
                .remove(&name)
                .map_err(Error::storage("removing", &name))?;
            state.bytes -= length;
            state.segments.remove(at);
            state.names_dirty = true;
            if behind_gap {
                state.segments[at - 1].end = end;
            }
        } else {
            let result = state.segments[at].evict();
            state.bytes -= length - state.segments[at].length;
            result?;
        }
        self.collect(state);
        Ok(true)
    }

    /// Removes the segments at the front that every reader is done with.
    pub(crate) fn collect(&self, state: &mut State) {
        let mut freed = false;
        while state.segments.len() > 1 {
            let Some(front) = state.segments.front() else {
                break;
            };
            let wanted = |r: &ReaderState| r.reading == Some(front.first) || r.acked < front.end;
            if !front.evicted && state.readers.iter().any(wanted) {
                break;
            }
            if self.storage.remove(&segment::name(front.first)).is_err() {
                state.stats.storage_errors += 1;
                break;
            }
            state.bytes -= front.length;
            state.segments.pop_front();
            state.names_dirty = true;
            freed = true;
        }
        if freed {
            self.space.notify_waiters();
        }
    }

    /// Whether anything changed since the last sync.
    pub(crate) fn needs_sync(&self) -> bool {
        let state = self.lock();
        state.stats.durable < state.next
            || state.acks_dirty
            || state.names_dirty
            || !state.dirty.is_empty()
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        let (files, names, next) = {
            let mut state = self.lock();
            let mut files = std::mem::take(&mut state.dirty);
            files.extend(state.segments.back().map(|s| s.file.clone()));
            files.extend(state.readers.iter().map(|r| r.ack.file.clone()));
            state.acks_dirty = false;
            (files, std::mem::take(&mut state.names_dirty), state.next)
        };
        let mut result = Ok(());
        for file in &files {
            result = result.and(file.sync().map_err(Error::storage("syncing", "a segment")));
        }
        if names {
            result = result.and(
                self.storage
                    .sync_names()
                    .map_err(Error::storage("syncing", "the folder")),
            );
        }
        let mut state = self.lock();
        if result.is_ok() {
            state.stats.durable = state.stats.durable.max(next);
        } else {
            state.names_dirty |= names;
            state.dirty.extend(files);
            state.stats.storage_errors += 1;
        }
        result
    }
}
