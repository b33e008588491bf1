//! Reading in batches and acknowledging.

use std::ops::Range;
use std::sync::Arc;

use crate::Error;
use crate::queue::{Inner, Queue};
use crate::record::Record;
use crate::segment::{self, Cursor};
use crate::storage::File;

/// One reader of a queue, with its own place and acknowledgement.
pub struct Reader {
    inner: Arc<Inner>,
    index: usize,
    place: Option<Place>,
}

/// Where a reader stands: in which segment, before which record.
struct Place {
    first: u64,
    cursor: Cursor,
    seq: u64,
}

/// Records that were read together. Reused between reads, it keeps its memory.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    records: Vec<(u64, u64, u8, Range<usize>)>,
}

impl Batch {
    /// The records, in order of their numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> + Clone {
        self.records
            .iter()
            .map(|(seq, stamp, class, range)| Record {
                seq: *seq,
                stamp: *stamp,
                class: *class,
                payload: &self.bytes[range.clone()],
            })
    }

    /// Bytes of all contents together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The number behind the last record: acknowledging up to here acknowledges the batch.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.records.last().map_or(0, |r| r.0 + 1)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }

    fn push(&mut self, record: Record<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record.payload);
        self.records.push((
            record.seq,
            record.stamp,
            record.class,
            start..self.bytes.len(),
        ));
    }
}

/// What can be read of one segment now.
struct View {
    first: u64,
    end: u64,
    length: u64,
    evicted: bool,
    file: Arc<dyn File>,
}

impl Queue {
    /// The reader with that name, at the first record that it has not acknowledged. There should be
    /// one handle per name; a second one reads the same records again.
    ///
    /// # Errors
    /// When no such reader was declared.
    pub fn reader(&self, name: &str) -> Result<Reader, Error> {
        let mut state = self.inner.lock();
        let index = state
            .readers
            .iter()
            .position(|r| r.name == name)
            .ok_or_else(|| Error::NoReader(name.to_owned()))?;
        let reader = &mut state.readers[index];
        reader.taken = reader.acked;
        reader.out.clear();
        Ok(Reader {
            inner: self.inner.clone(),
            index,
            place: None,
        })
    }
}

impl Reader {
    /// Reads the next records, at most `max_records` and, but for the first, at most `max_bytes` of content.
    /// An empty batch means that all was read; see [`Reader::appended`].
    ///
    /// # Errors
    /// When the storage cannot be read; nothing is skipped.
    pub fn read(
        &mut self,
        batch: &mut Batch,
        max_bytes: usize,
        max_records: usize,
    ) -> Result<(), Error> {
        batch.clear();
        loop {
            let Some(view) = self.look() else { break };
            let result = self.read_segment(&view, batch, max_bytes, max_records);
            let full = matches!(result, Ok(true));
            let mut state = self.inner.lock();
            let seq = self.place.as_ref().map_or(view.end, |p| p.seq);
            let reader = &mut state.readers[self.index];
            reader.reading = None;
            reader.taken = seq;
            drop(state);
            match result {
                // What was read before the fault is given; the next read meets the fault again.
                Err(_) if !batch.is_empty() => break,
                Err(error) => return Err(error),
                Ok(_) if full => break,
                Ok(_) => {}
            }
        }
        if let Some(first) = batch.iter().next() {
            self.inner.lock().readers[self.index]
                .out
                .push_back((first.seq, first.stamp));
        }
        Ok(())
    }

    /// The segment to read from next, marked as being read; none when all was read.
    fn look(&mut self) -> Option<View> {
        let mut state = self.inner.lock();
        let taken = state.readers[self.index].taken;
        let at = state.segments.partition_point(|s| s.end <= taken);
        let segment = state.segments.get(at)?;
        let view = View {
            first: segment.first,
            end: segment.end,
            length: segment.length,
            evicted: segment.evicted,
            file: segment.file.clone(),
        };
        state.readers[self.index].reading = Some(view.first);
        if self.place.as_ref().is_none_or(|p| p.first != view.first) {
            self.place = Some(Place {
                first: view.first,
                cursor: Cursor::new(segment::HEADER),
                seq: view.first,
            });
        }
        Some(view)
    }

    /// Reads from one segment; true when the batch is full.
    fn read_segment(
        &mut self,
        view: &View,
        batch: &mut Batch,
        max_bytes: usize,
        max_records: usize,
    ) -> Result<bool, Error> {
        let from = self.inner.lock().readers[self.index].taken;
        let Some(place) = &mut self.place else {
            return Ok(false);
        };
        if view.evicted {
            place.seq = view.end;
            return Ok(false);
        }
        while place.seq < view.end {
            if batch.len() >= max_records.max(1)
                || (!batch.is_empty() && batch.bytes.len() >= max_bytes)
            {
                return Ok(true);
            }
            let storage = |source| Error::Storage {
                operation: "reading",
                file: segment::name(view.first),
                source,
            };
            let read = place.cursor.next(&*view.file, place.seq, view.length);
            if let Some(record) = read.map_err(storage)? {
                if record.seq >= from {
                    batch.push(record);
                }
                place.seq += 1;
                continue;
            }
            let (seq, offset) = (place.seq, place.cursor.offset());
            let next = place
                .cursor
                .skip(&*view.file, seq, Some(view.end), view.length);
            place.seq = next.map_err(storage)?.unwrap_or(view.end);
            let mut state = self.inner.lock();
            let reader = &mut state.readers[self.index];
            let records = reader.miss(seq.max(from), place.seq);
            if records > 0 {
                let file = segment::name(view.first);
                tracing::error!(
                    reader = reader.name,
                    file,
                    offset,
                    records,
                    "damaged records of the queue are skipped"
                );
            }
            state.stats.damaged += records;
        }
        Ok(false)
    }

    /// Completes when something was appended. Create it before the read that may find nothing.
    pub fn appended(&self) -> impl Future<Output = ()> + Send + 'static {
        let inner = self.inner.clone();
        let mut notified = Box::pin(async move { inner.appended.notified().await });
        // A first poll registers the waiter, so that an append between here and the await is not missed.
        let _ = notified
            .as_mut()
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        notified
    }

    /// Acknowledges every record below `end`. What all readers have acknowledged is removed.
    ///
    /// # Errors
    /// When the acknowledgement could not be recorded: it holds in this process, and after a crash the
    /// records may be given again.
    pub fn acknowledge(&mut self, end: u64) -> Result<(), Error> {
        let mut state = self.inner.lock();
        let next = state.next;
        let reader = &mut state.readers[self.index];
        if end <= reader.acked {
            return Ok(());
        }
        reader.acked = end.min(next);
        reader.taken = reader.taken.max(reader.acked);
        let acked = reader.acked;
        reader.missing.retain(|&(_, to)| to > acked);
        while reader.out.len() > 1 && reader.out.get(1).is_some_and(|o| o.0 <= acked) {
            reader.out.pop_front();
        }
        if reader.taken <= acked {
            reader.out.clear();
        }
        let result = reader.ack.write(acked);
        state.acks_dirty = true;
        state.stats.storage_errors += u64::from(result.is_err());
        self.inner.collect(&mut state);
        result
    }
}
