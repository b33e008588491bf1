//! How many refusals are recorded: whoever is refused without end must not fill the disk with it.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use toolkit::TokenBucket;

/// Of callers who are not known: at once, and each second from then on.
const UNKNOWN: (f64, f64) = (60.0, 1.0);
/// Of callers who are known.
const KNOWN: (f64, f64) = (300.0, 10.0);

/// Two allowances, of callers who are not known and who are: neither uses up that of the other.
#[derive(Debug, Default)]
pub(super) struct Refusals([Mutex<Allowance>; 2]);

#[derive(Debug, Default)]
struct Allowance {
    bucket: Option<TokenBucket>,
    /// Not recorded since the last that was.
    skipped: u64,
    /// Not recorded at all.
    lost: u64,
}

impl Refusals {
    fn of(&self, known: bool) -> std::sync::MutexGuard<'_, Allowance> {
        self.0[usize::from(known)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more is recorded, and how many before it were not.
    pub(super) fn take(&self, known: bool) -> Result<u64, ()> {
        let (most, each) = if known { KNOWN } else { UNKNOWN };
        let mut of = self.of(known);
        let now = Instant::now();
        let bucket = of
            .bucket
            .get_or_insert_with(|| TokenBucket::full(each, most, now));
        if !bucket.take(1.0, now) {
            of.skipped += 1;
            of.lost += 1;
            return Err(());
        }
        Ok(std::mem::take(&mut of.skipped))
    }

    /// One that was to be recorded could not be.
    pub(super) fn lost(&self, known: bool) {
        let mut of = self.of(known);
        of.skipped += 1;
        of.lost += 1;
    }

    /// Refusals without a record.
    pub(super) fn unrecorded(&self, known: bool) -> u64 {
        self.of(known).lost
    }
}
