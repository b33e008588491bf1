//! What is given up for age or for room, and what is removed because every reader is done with it.

use std::time::Duration;

use super::{Eviction, Inner, ReaderState, State};
use crate::Error;
use crate::segment::{self, Cursor, Segment};

impl Inner {
    pub(super) fn expire(
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
    pub(super) fn evict_oldest(
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
                let next = cursor.skip(&*file, seq, Some(end), length);
                let next = next.ok().flatten().unwrap_or(end);
                for reader in &mut state.readers {
                    let records = reader.miss(seq, next);
                    if records > 0 {
                        let file = segment::name(first);
                        tracing::error!(
                            reader = reader.name,
                            file,
                            records,
                            "damaged records of the queue are skipped"
                        );
                    }
                    state.stats.damaged += records;
                }
                seq = next;
                continue;
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
            reader.miss(first, end);
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
}
