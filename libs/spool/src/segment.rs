//! One segment file.

use std::sync::Arc;

use crate::Error;
use crate::record::{self, Record};
use crate::resync;
use crate::storage::{File, Storage, read_full, write_all};

/// Bytes in front of a segment's records.
pub(crate) const HEADER: u64 = 32;
const MAGIC: &[u8; 8] = b"SOTPSEG1";
const EVICTED: &[u8; 8] = b"SOTPGAP1";
/// Bytes read from a segment at once.
const BLOCK: usize = 256 << 10;

/// A segment of the queue, as it is known in memory.
pub(crate) struct Segment {
    pub(crate) first: u64,
    /// Number behind the last record.
    pub(crate) end: u64,
    /// Stamp that all stamps of the segment follow.
    pub(crate) base_stamp: u64,
    /// Bytes that belong to the queue, header included.
    pub(crate) length: u64,
    /// Its records were evicted; the file keeps its place in the numbering.
    pub(crate) evicted: bool,
    pub(crate) file: Arc<dyn File>,
}

/// What the file of a segment turned out to be.
pub(crate) enum Opened {
    Segment(Segment),
    /// The process ended before its header was written whole: no record was ever in it.
    Unfinished,
    /// Its header could not be read and was written anew: its name says the number, its first record or the segment before it the stamp.
    Mended(Segment),
}

/// Refuses what begins with the letters of a known format and another digit.
pub(crate) fn later(name: &str, found: &[u8], known: &[&[u8; 8]]) -> Result<(), Error> {
    let is_later = found.len() >= 8
        && known.iter().any(|known| found[..7] == known[..7])
        && known.iter().all(|known| found[..8] != known[..])
        && found[7].is_ascii_digit();
    if is_later {
        return Err(Error::Later {
            file: name.to_owned(),
            found: String::from_utf8_lossy(&found[..8]).into_owned(),
        });
    }
    Ok(())
}

fn header(magic: &[u8; 8], first: u64, base_stamp: u64) -> [u8; HEADER as usize] {
    let mut head = [0u8; HEADER as usize];
    head[..8].copy_from_slice(magic);
    head[8..16].copy_from_slice(&first.to_le_bytes());
    head[16..24].copy_from_slice(&base_stamp.to_le_bytes());
    let sum = crc32fast::hash(&head[..24]);
    head[24..28].copy_from_slice(&sum.to_le_bytes());
    head
}

pub(crate) fn name(first: u64) -> String {
    format!("{first:020}.seg")
}

pub(crate) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

impl Segment {
    pub(crate) fn create(
        storage: &dyn Storage,
        first: u64,
        base_stamp: u64,
    ) -> Result<Self, Error> {
        let name = name(first);
        let file = storage.create(&name).or_else(|error| {
            // The remains of an attempt that failed halfway: no live segment begins at a number not yet given.
            if error.kind() != std::io::ErrorKind::AlreadyExists {
                return Err(error);
            }
            storage.remove(&name)?;
            storage.create(&name)
        });
        let file = file.map_err(Error::storage("creating", &name))?;
        let head = header(MAGIC, first, base_stamp);
        if let Err(source) = write_all(&*file, &head, 0) {
            // An unusable file must not be in the way of the next attempt, which has the same name.
            let _ = storage.remove(&name);
            return Err(Error::Storage {
                operation: "writing",
                file: name,
                source,
            });
        }
        Ok(Self {
            first,
            end: first,
            base_stamp,
            length: HEADER,
            evicted: false,
            file,
        })
    }

    /// Opens a segment; its end is not yet known. `before` is the stamp that the segment before it begins with.
    pub(crate) fn open(storage: &dyn Storage, first: u64, before: u64) -> Result<Opened, Error> {
        let name = name(first);
        let file = storage
            .open(&name)
            .map_err(Error::storage("opening", &name))?;
        let mut head = [0u8; HEADER as usize];
        let read = read_full(&*file, &mut head, 0).map_err(Error::storage("reading", &name))?;
        let field = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&head[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let intact = read == head.len()
            && (head[..8] == *MAGIC || head[..8] == *EVICTED)
            && head[24..28] == crc32fast::hash(&head[..24]).to_le_bytes()
            && field(8) == first;
        // Whole by its sum, so no damage: what is not understood is not written anew.
        if read == head.len() && head[24..28] == crc32fast::hash(&head[..24]).to_le_bytes() {
            later(&name, &head, &[MAGIC, EVICTED])?;
        }
        let length = file.length().map_err(Error::storage("measuring", &name))?;
        if !intact && length <= HEADER {
            return Ok(Opened::Unfinished);
        }
        let mut segment = Self {
            first,
            end: first,
            base_stamp: field(16),
            length,
            evicted: head[..8] == *EVICTED,
            file,
        };
        if intact {
            return Ok(Opened::Segment(segment));
        }
        segment.evicted = false;
        let mut cursor = Cursor::new(HEADER);
        let record = cursor.next(&*segment.file, first, length);
        let record = record.map_err(Error::storage("reading", &name))?;
        segment.base_stamp = record.map_or(before, |record| record.stamp.saturating_sub(1));
        write_all(&*segment.file, &header(MAGIC, first, segment.base_stamp), 0)
            .map_err(Error::storage("writing", &name))?;
        Ok(Opened::Mended(segment))
    }

    /// Gives up the records and keeps the place in the numbering.
    pub(crate) fn evict(&mut self) -> Result<(), Error> {
        let name = name(self.first);
        write_all(
            &*self.file,
            &header(EVICTED, self.first, self.base_stamp),
            0,
        )
        .map_err(Error::storage("writing", &name))?;
        self.file
            .truncate(HEADER)
            .map_err(Error::storage("cutting", &name))?;
        self.length = HEADER;
        self.evicted = true;
        Ok(())
    }
}

/// A place in a segment, and the bytes that were read there.
#[derive(Default)]
pub(crate) struct Cursor {
    block: Vec<u8>,
    /// Offset in the file of the block's beginning.
    start: u64,
    /// Offset in the block of the next record.
    at: usize,
}

impl Cursor {
    pub(crate) fn new(offset: u64) -> Self {
        Self {
            block: Vec::new(),
            start: offset,
            at: 0,
        }
    }

    /// Offset in the file of the next record.
    pub(crate) fn offset(&self) -> u64 {
        self.start + self.at as u64
    }

    /// Reads the next record, which must have the number `seq` and end before `limit`. None when there is
    /// no whole, intact record.
    pub(crate) fn next(
        &mut self,
        file: &dyn File,
        seq: u64,
        limit: u64,
    ) -> std::io::Result<Option<Record<'_>>> {
        // The length is known only once the header is there, so at most two fills are needed.
        for _ in 0..2 {
            let need = record::extent(&self.block[self.at..]);
            if self.block.len() - self.at < need && !self.fill(file, need, limit)? {
                return Ok(None);
            }
        }
        let at = self.at;
        Ok(
            record::decode(&self.block[at..], seq).map(|(record, length)| {
                self.at += length;
                record
            }),
        )
    }

    /// Whether the next record, intact or not, ends at `limit` by its length; what is there of it was read before.
    pub(crate) fn is_last(&self, limit: u64) -> bool {
        let extent = record::extent(&self.block[self.at..]);
        self.block.len() - self.at >= record::HEADER && self.offset() + extent as u64 == limit
    }

    /// Goes on behind the damaged record `seq`: the number of the next intact one, none when there is none before `limit`. `end` is the
    /// number behind the last record, when it is known.
    pub(crate) fn skip(
        &mut self,
        file: &dyn File,
        seq: u64,
        end: Option<u64>,
        limit: u64,
    ) -> std::io::Result<Option<u64>> {
        let offset = self.offset();
        let length = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(resync::WINDOW)];
        let read = read_full(file, &mut bytes, offset)?;
        bytes.truncate(read);
        let found = resync::next_intact(&bytes, seq, end);
        if let Some((at, _)) = found {
            *self = Self::new(offset + at as u64);
        }
        Ok(found.map(|(_, seq)| seq))
    }

    /// Brings at least `need` bytes into the block; false when the limit or the file's end is before that.
    fn fill(&mut self, file: &dyn File, need: usize, limit: u64) -> std::io::Result<bool> {
        let offset = self.offset();
        let available = limit.saturating_sub(offset);
        if available < need as u64 {
            return Ok(false);
        }
        let want = need
            .max(BLOCK)
            .min(usize::try_from(available).unwrap_or(usize::MAX));
        let kept = self.block.len() - self.at;
        self.block.copy_within(self.at.., 0);
        self.block.resize(want.max(kept), 0);
        self.start = offset;
        self.at = 0;
        let read = read_full(file, &mut self.block[kept..], offset + kept as u64);
        self.block
            .truncate(kept + read.as_ref().copied().unwrap_or(0));
        read?;
        Ok(self.block.len() >= need)
    }
}
