//! Appending: what is taken, written, and where a new segment begins.

use std::sync::MutexGuard;
use std::time::Duration;

use super::{Appended, Entry, Eviction, Inner, Queue, State, WhenFull};
use crate::record::{self, HEADER, Record};
use crate::segment::{self, Segment};
use crate::storage::write_all;
use crate::{CLOCK_STEP, Durability, Error};

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
}
