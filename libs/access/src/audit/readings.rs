//! How many readings are recorded: a page that is looked at again each second is read once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use toolkit::TokenBucket;

use super::Record;

/// How long the same reading by the same caller is one.
const ONE: Duration = Duration::from_secs(600);
/// Readings that are told apart in that time.
const APART: usize = 4096;
/// Recorded at once, and each second from then on.
const MOST: f64 = 300.0;
const EACH: f64 = 10.0;

#[derive(Debug, Default)]
pub(super) struct Readings(Mutex<Seen>);

/// Way, subject, verb and object.
type Reading = (&'static str, String, String, String);

#[derive(Debug, Default)]
struct Seen {
    at: HashMap<Reading, Instant>,
    bucket: Option<TokenBucket>,
    /// Not recorded at all.
    lost: u64,
}

impl Readings {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this one is recorded.
    pub(super) fn take(&self, record: &Record) -> bool {
        self.taken(record, Instant::now())
    }

    fn taken(&self, record: &Record, now: Instant) -> bool {
        let (via, subject) = match &record.caller {
            Some(caller) => (caller.via.as_str(), caller.subject.clone()),
            None => ("none", String::new()),
        };
        let reading = (via, subject, record.verb.clone(), record.object.clone());
        let mut seen = self.seen();
        let recent = |at: &Instant| now.duration_since(*at) < ONE;
        if seen.at.get(&reading).is_some_and(recent) {
            return false;
        }
        let bucket = seen
            .bucket
            .get_or_insert_with(|| TokenBucket::full(EACH, MOST, now));
        if !bucket.take(1.0, now) {
            seen.lost += 1;
            return false;
        }
        if seen.at.len() >= APART {
            seen.at.retain(|_, at| recent(at));
        }
        // Without room it is recorded each time, as often as the allowance lets it.
        if seen.at.len() < APART {
            seen.at.insert(reading, now);
        }
        true
    }

    /// One that was to be recorded could not be.
    pub(super) fn lost(&self) {
        self.seen().lost += 1;
    }

    /// Readings without a record.
    pub(super) fn unrecorded(&self) -> u64 {
        self.seen().lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(object: &str) -> Record {
        Record {
            caller: None,
            verb: "report.read".to_owned(),
            object: object.to_owned(),
            trace_id: None,
            request_hash: [0; 32],
        }
    }

    #[test]
    fn the_same_is_recorded_once_in_ten_minutes_and_endless_readings_as_often_as_they_may() {
        let readings = Readings::default();
        let now = Instant::now();
        assert!(readings.taken(&record("a"), now));
        assert!(!readings.taken(&record("a"), now + ONE / 2));
        assert!(readings.taken(&record("b"), now + ONE / 2));
        assert!(readings.taken(&record("a"), now + ONE));
        assert_eq!(readings.unrecorded(), 0);

        let readings = Readings::default();
        let taken = (0..10_000).filter(|n| readings.taken(&record(&n.to_string()), now));
        assert_eq!((taken.count(), readings.unrecorded()), (300, 9_700));
        let mut later = now;
        for n in 0..2 * APART {
            later += Duration::from_millis(100);
            assert!(readings.taken(&record(&format!("later {n}")), later));
        }
        assert!(readings.seen().at.len() <= APART);
    }
}
