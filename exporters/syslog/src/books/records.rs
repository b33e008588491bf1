//! What becomes of records at one destination, booked for the devices that sent them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use loki::Records;
use spool::Record;

use super::{Account, Books, PARKED};
use crate::record;

/// The books of one destination.
#[derive(Debug)]
pub struct AtDestination {
    /// All books.
    pub books: Arc<Books>,
    /// The place of the destination in them.
    pub index: usize,
}

impl Records for AtDestination {
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>) {
        let _booking = self.books.booking();
        let mut run: Option<(Arc<Account>, u64)> = None;
        let book = |run: Option<(Arc<Account>, u64)>| {
            if let Some((account, count)) = run
                && let Some(outlet) = account.outlets.get(self.index)
            {
                outlet.queued.fetch_sub(count.cast_signed(), Relaxed);
                outlet.delivered.fetch_add(count, Relaxed);
            }
        };
        // Messages of one device often follow each other.
        for record in records {
            let device = record::device(record.payload);
            match &mut run {
                Some((account, count)) if account.device == device => *count += 1,
                _ => book(run.replace((self.books.account(device), 1))),
            }
        }
        book(run);
    }

    fn parked(&self, record: &Record<'_>, reason: &str) {
        let _booking = self.books.booking();
        let account = self.books.account(record::device(record.payload));
        let at = PARKED
            .iter()
            .position(|p| *p == reason)
            .unwrap_or(PARKED.len() - 1);
        account.outlets[self.index].queued.fetch_sub(1, Relaxed);
        account.outlets[self.index].parked[at].fetch_add(1, Relaxed);
    }
}
