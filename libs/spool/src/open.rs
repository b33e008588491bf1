//! Opening a queue and recovering what a crash left.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use crate::ack::{self, AckFile};
use crate::queue::{Inner, Queue, ReaderState, State, Stats};
use crate::segment::{self, Cursor, Opened, Segment};
use crate::storage::{Disk, Storage};
use crate::{Durability, Error, Options, flusher};

/// What was found when a queue was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records that each reader has yet to receive, by the order of declaration.
    pub queued: Vec<u64>,
    /// Bytes behind the last intact record that were cut off.
    pub cut: u64,
    /// Segment files whose header could not be read and was written anew.
    pub mended: Vec<String>,
    /// Acknowledgement files of readers that are no longer declared and were removed.
    pub forgotten: Vec<String>,
}

impl Queue {
    /// Opens the queue in a folder, which is made if need be.
    ///
    /// # Errors
    /// When the options contradict themselves, another process has the queue open, or the storage refuses.
    pub fn open(folder: &Path, options: Options) -> Result<(Self, Recovery), Error> {
        options.check()?;
        let disk =
            Disk::open(folder).map_err(Error::storage("locking", folder.display().to_string()))?;
        Self::open_on(Box::new(disk), options)
    }

    /// Opens the queue on any storage.
    ///
    /// # Errors
    /// As [`Queue::open`].
    pub fn open_on(storage: Box<dyn Storage>, options: Options) -> Result<(Self, Recovery), Error> {
        options.check()?;
        let mut recovery = Recovery::default();
        let names = storage
            .list()
            .map_err(Error::storage("listing", "the folder"))?;
        let mut segments = segments(&*storage, &names, &mut recovery)?;
        let last_stamp = close_ends(&mut segments, &mut recovery)?;
        let mut next = segments.back().map_or(1, |s| s.end);
        let oldest = segments.front().map_or(next, |s| s.first);
        let mut readers = Vec::new();
        for name in &options.readers {
            let exists = names.contains(&ack::name(name));
            let (ack, acked) = AckFile::open(&*storage, name, exists)?;
            let acked = acked.unwrap_or(oldest).max(oldest);
            next = next.max(acked);
            readers.push(reader(name, ack, acked, &segments));
        }
        for name in names.iter().filter(|n| n.ends_with(".ack")) {
            if !options
                .readers
                .iter()
                .any(|reader| ack::name(reader) == **name)
            {
                storage
                    .remove(name)
                    .map_err(Error::storage("removing", name))?;
                recovery.forgotten.push(name.clone());
            }
        }
        let dirty = segments.iter().map(|s| s.file.clone()).collect();
        let mut state = State {
            bytes: segments.iter().map(|s| s.length).sum(),
            segments,
            readers,
            next,
            last_stamp,
            buffer: Vec::new(),
            torn: false,
            // The process before this one may have died before it made them durable.
            dirty,
            names_dirty: true,
            acks_dirty: false,
            stats: Stats {
                durable: 1,
                ..Stats::default()
            },
        };
        // There is none yet, or the numbers continue behind an acknowledgement.
        if state
            .segments
            .back()
            .is_none_or(|s| s.end != next || s.evicted)
        {
            if let Some(last) = state.segments.back_mut() {
                // What is missing up to there did exist: readers count it as damaged.
                last.end = next;
            } else {
                for reader in &mut state.readers {
                    state.stats.damaged += reader.miss(reader.acked, next);
                }
            }
            let fresh = Segment::create(&*storage, next, last_stamp)?;
            state.bytes += fresh.length;
            state.segments.push_back(fresh);
        }
        let interval = options.durability;
        let inner = Arc::new(Inner::new(options, storage, state));
        inner.collect(&mut inner.lock());
        inner.sync()?;
        if let Durability::Interval(interval) = interval {
            flusher::start(&inner, interval)
                .map_err(Error::storage("starting a thread for", "the queue"))?;
        }
        let queue = Self { inner };
        recovery.queued = queue.stats().queued;
        Ok((queue, recovery))
    }
}

fn reader(name: &str, ack: AckFile, acked: u64, segments: &VecDeque<Segment>) -> ReaderState {
    let gaps = segments.iter().filter(|s| s.evicted && s.end > acked);
    ReaderState {
        name: name.to_owned(),
        ack,
        acked,
        taken: acked,
        reading: None,
        out: VecDeque::new(),
        missing: gaps.map(|s| (s.first.max(acked), s.end)).collect(),
    }
}

/// The segments in order, those without a record removed.
fn segments(
    storage: &dyn Storage,
    names: &[String],
    recovery: &mut Recovery,
) -> Result<VecDeque<Segment>, Error> {
    let mut numbers: Vec<u64> = names.iter().filter_map(|n| segment::number(n)).collect();
    numbers.sort_unstable();
    let mut segments = VecDeque::new();
    let mut before = 0;
    for first in numbers {
        let segment = match Segment::open(storage, first, before)? {
            Opened::Segment(segment) => segment,
            Opened::Mended(segment) => {
                let file = segment::name(first);
                tracing::error!(
                    file,
                    "the header of a segment of the queue was damaged and is written anew"
                );
                recovery.mended.push(file);
                segment
            }
            Opened::Unfinished => {
                let name = segment::name(first);
                storage
                    .remove(&name)
                    .map_err(Error::storage("removing", &name))?;
                continue;
            }
        };
        before = segment.base_stamp;
        segments.push_back(segment);
    }
    Ok(segments)
}

/// Finds where each segment ends; cuts the last one behind its last intact record. Gives the last stamp.
fn close_ends(segments: &mut VecDeque<Segment>, recovery: &mut Recovery) -> Result<u64, Error> {
    for at in 1..segments.len() {
        segments[at - 1].end = segments[at].first;
    }
    let Some(last) = segments.back_mut() else {
        return Ok(0);
    };
    let mut stamp = last.base_stamp;
    let mut cursor = Cursor::new(segment::HEADER);
    let storage_error = |source| Error::Storage {
        operation: "reading",
        file: segment::name(last.first),
        source,
    };
    loop {
        let record = cursor.next(&*last.file, last.end, last.length);
        if let Some(record) = record.map_err(storage_error)? {
            stamp = record.stamp;
            last.end += 1;
            continue;
        }
        if cursor.offset() >= last.length {
            break;
        }
        // Records behind a damaged one were written: readers count what is missing between them.
        let next = cursor.skip(&*last.file, last.end, None, last.length);
        match next.map_err(storage_error)? {
            Some(next) => last.end = next,
            // A write that was torn is not there to its end: this one is, and damaged. Its number stays taken.
            None if cursor.is_last(last.length) => {
                last.end += 1;
                cursor = Cursor::new(last.length);
                break;
            }
            None => break,
        }
    }
    let end = cursor.offset();
    if end < last.length {
        tracing::warn!(
            file = segment::name(last.first),
            bytes = last.length - end,
            "bytes behind the last intact record of the queue are cut off"
        );
        recovery.cut = last.length - end;
        last.file
            .truncate(end)
            .map_err(Error::storage("cutting", segment::name(last.first)))?;
        last.length = end;
    }
    Ok(stamp)
}
