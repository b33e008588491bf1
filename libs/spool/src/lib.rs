//! A durable queue on disk, in front of a store that may be away.
//!
//! One process appends records and one or more named readers take them in batches and acknowledge
//! them. What was accepted is given to every reader until that reader acknowledges it, across
//! restarts and crashes.
//!
//! # Invariants
//!
//! 1. **Numbers.** Every record has a sequence number. Numbers grow by one per record and are never
//!    given twice, also not after a crash.
//! 2. **Stamps.** Every record has a stamp in nanoseconds since 1970, fixed when it is appended.
//!    Stamps grow strictly, so no two records share one. Only when the clock has been set back by
//!    more than [`CLOCK_STEP`] do they begin anew at the clock's time. After a loss of power they follow
//!    the last record that survived, and the clock.
//! 3. **Acceptance.** A record counted in [`Appended::accepted`] is on the medium as far as the
//!    [`Durability`] promises: `Always`: it survives a loss of power; `Interval`: it survives the
//!    death of the process at once and a loss of power after the interval; `System`: it survives the
//!    death of the process.
//! 4. **Nothing invented.** A record is given to a reader only with the bytes that were appended: its
//!    checksum covers its number, stamp, class and content. A record whose append failed is never given
//!    (unless cutting it off and beginning a new segment both failed too, and the process then died, or
//!    the power was lost before the cut was on the medium).
//! 5. **Order.** A reader receives records in order of their numbers, with gaps only where records
//!    were evicted, and each gap was reported when it was made.
//! 6. **Acknowledgement** is cumulative and per reader. It may be forgotten in a crash (records are
//!    then given again, with the same numbers and stamps), it is never invented.
//! 7. **Bounds.** No append makes the segments use more than [`Options::max_bytes`] (a loss of power may
//!    bring back what had been evicted; then nothing is taken until there is room again). What happens at the bound is
//!    declared with each record ([`WhenFull`]); each loss is reported to the caller with the record
//!    itself and counted.
//!
//! # Layout on disk
//!
//! The folder holds `lock` (held exclusively by the one process that has the queue open), segments
//! and one acknowledgement file per reader. All integers are little-endian.
//!
//! ```text
//! <first number, 20 digits>.seg
//!   0   8  "SOTPSEG1"; "SOTPGAP1" when its records were evicted and it only keeps its place
//!   8   8  number of the first record
//!  16   8  stamp that all stamps in it follow
//!  24   4  CRC-32 of bytes 0..24
//!  28   4  zero
//!  32      records
//!
//! record
//!   0   4  CRC-32 of bytes 4..20+n, seeded with the record's number
//!   4   4  n, length of the content; at most MAX_RECORD
//!   8   8  stamp
//!  16   1  class (0 is the most urgent)
//!  17   3  zero
//!  20   n  content
//!
//! <reader>.ack: two slots of 32 bytes, written in turn; the intact one with the higher turn holds
//!   0   8  "SOTPACK1"
//!   8   8  turn
//!  16   8  number of the first record that is not acknowledged
//!  24   4  zero
//!  28   4  CRC-32 of bytes 0..28
//! ```
//!
//! A segment holds the numbers from its first up to the first of the next segment; whatever may stand
//! behind them (a torn write that could not be cut off) is not part of the queue. The number is part
//! of each checksum, so a stale record at the right place is not taken for a live one.
//!
//! # Recovery
//!
//! Opening reads the folder: the last segment is cut behind its last intact record (what stands behind
//! was not accepted, or the promise of the durability did not yet hold). A damaged header is written anew:
//! the file's name says the number, the first record the stamp.
//!
//! Damage in front of intact records costs the records that it touches: the reader goes on with the next
//! intact one, says how many are missing, exactly, as their numbers tell, and counts them. It searches 32 MiB
//! behind the damage and makes checksums of at most 512 MiB; what is not found so is the rest of the segment.
//! Damage to the length of the last record of all, while the queue is closed, is a torn write to all
//! appearance: it is cut off.
//!
//! If an acknowledgement is ahead of the last record (power was lost between the
//! two), numbering continues behind the acknowledgement, so no new record is mistaken for an old one.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ack;
mod error;
mod flusher;
mod open;
mod options;
mod queue;
mod reader;
mod record;
mod resync;
mod segment;
pub mod storage;

pub use error::Error;
pub use open::Recovery;
pub use options::{Durability, Options};
pub use queue::{Appended, Entry, Eviction, Queue, Stats, WhenFull};
pub use reader::{Batch, Reader};
pub use record::{MAX_RECORD, Record};

/// How far the clock may be set back before stamps begin anew at the clock's time.
pub const CLOCK_STEP: std::time::Duration = std::time::Duration::from_secs(10);
