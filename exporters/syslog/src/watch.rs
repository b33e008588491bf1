//! What is known of one destination.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use loki::{Observer, State};
use spool::Record;

use crate::books::{Account, PARKED};
use crate::intake::Intake;
use crate::record;

/// Upper bounds of the push latency in seconds.
pub(crate) const BOUNDS: [f64; 12] = [
    0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// What is counted about requests.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    pub(crate) codes: HashMap<String, u64>,
    pub(crate) counts: [u64; BOUNDS.len() + 1],
    pub(crate) seconds: f64,
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) state: &'static str,
    pub(crate) reason: String,
    pub(crate) streams: (usize, u64, u64),
}

/// What is known of one destination; books what becomes of messages there.
pub struct Watch {
    intake: Arc<Intake>,
    pub(crate) index: usize,
    pushes: Mutex<Pushes>,
}

/// Codes of answers that mean that lines were taken.
const TAKEN: [&str; 2] = ["204", "sent"];

impl Watch {
    /// A watch for the destination with this place in the books.
    #[must_use]
    pub fn new(intake: Arc<Intake>, index: usize) -> Self {
        Self {
            intake,
            index,
            pushes: Mutex::default(),
        }
    }

    /// The destination's name.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = self.intake.books.destinations.get(self.index);
        name.map_or("", String::as_str)
    }

    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, Pushes> {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self, record: &Record<'_>) -> Arc<Account> {
        self.intake.books.account(record::device(record.payload))
    }
}

impl Observer for Watch {
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>) {
        let _booking = self.intake.books.booking();
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
                _ => book(run.replace((self.intake.books.account(device), 1))),
            }
        }
        book(run);
    }

    fn parked(&self, record: &Record<'_>, reason: &str) {
        let _booking = self.intake.books.booking();
        let account = self.account(record);
        let at = PARKED
            .iter()
            .position(|p| *p == reason)
            .unwrap_or(PARKED.len() - 1);
        account.outlets[self.index].queued.fetch_sub(1, Relaxed);
        account.outlets[self.index].parked[at].fetch_add(1, Relaxed);
    }

    fn answered(&self, code: &str, took: Duration, body_bytes: usize, lines: usize) {
        let mut pushes = self.lock();
        *pushes.codes.entry(code.to_owned()).or_default() += 1;
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        pushes.counts[bucket] += 1;
        pushes.seconds += seconds;
        pushes.bytes += body_bytes as u64;
        if TAKEN.contains(&code) {
            pushes.lines += lines as u64;
        }
    }

    fn state(&self, state: State<'_>) {
        let mut pushes = self.lock();
        let (word, reason) = match state {
            State::Delivering => ("delivering", ""),
            State::Retrying(code) => ("retrying", code),
            State::Holding(reason) => ("holding", reason),
        };
        pushes.state = word;
        reason.clone_into(&mut pushes.reason);
    }

    fn streams(&self, streams: usize, restamped: u64, coarsened: u64) {
        self.lock().streams = (streams, restamped, coarsened);
    }
}
