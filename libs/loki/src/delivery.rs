//! What is known of the delivery of a queue, to each of its readers: one collector for a service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use spool::{Queue, Record};
use toolkit::{Buckets, Collect, Encoder, Kind, Labels, Stop};

use crate::{DeadLetters, Observer, State};

/// Upper bounds of the push latency in seconds.
const BOUNDS: [f64; 12] = [
    0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];
/// Codes of answers that mean that lines were taken: Loki's, and that of a copy.
const TAKEN: [&str; 2] = ["204", "sent"];

/// Books what becomes of records, where a service counts its messages.
pub trait Records: Send + Sync {
    /// Records are stored by the destination.
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>);
    /// A record is in the dead-letter file.
    fn dead_lettered(&self, record: &Record<'_>, reason: &str);
}

/// A queue with its dead letters and what is known of each of its readers.
///
/// At `/metrics` it is `PREFIX_pushes_total`, `PREFIX_push_duration_seconds`, `PREFIX_push_held`, `PREFIX_spool_oldest_age_seconds` and
/// so on, by `destination`: see `docs/loki.md`.
pub struct Delivery {
    prefix: &'static str,
    queue: Queue,
    dead: Arc<DeadLetters>,
    watches: Vec<Arc<Watch>>,
    handing_over: Stop,
}

/// What is known of one destination; the [`Observer`] of its pusher.
pub struct Watch {
    name: String,
    records: Arc<dyn Records>,
    pushes: Mutex<Pushes>,
}

/// What is counted about requests.
#[derive(Debug, Default)]
struct Pushes {
    codes: BTreeMap<String, u64>,
    counts: [u64; BOUNDS.len() + 1],
    seconds: f64,
    bytes: u64,
    lines: u64,
    /// Why nothing is delivered until somebody acts.
    held: Option<String>,
    streams: (usize, u64, u64),
}

/// Name behind the prefix, kind, help and value of what is counted.
type Column<T> = (&'static str, Kind, &'static str, fn(&T) -> u64);

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Delivery {
    /// Of a queue whose series begin with `prefix`; `records` gives who counts the records of a reader, by its place.
    #[must_use]
    pub fn new(
        prefix: &'static str,
        queue: Queue,
        dead: Arc<DeadLetters>,
        records: impl Fn(usize) -> Arc<dyn Records>,
    ) -> Arc<Self> {
        let readers = queue.options().readers.iter().enumerate();
        let watches = readers.map(|(at, name)| {
            Arc::new(Watch {
                name: name.clone(),
                records: records(at),
                pushes: Mutex::default(),
            })
        });
        Arc::new(Self {
            prefix,
            watches: watches.collect(),
            queue,
            dead,
            handing_over: Stop::new(),
        })
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The dead-letter file.
    #[must_use]
    pub fn dead(&self) -> &Arc<DeadLetters> {
        &self.dead
    }

    /// The readers, in the order of the queue's options.
    #[must_use]
    pub fn watches(&self) -> &[Arc<Watch>] {
        &self.watches
    }

    /// The reader of this name.
    #[must_use]
    pub fn watch(&self, name: &str) -> Option<&Arc<Watch>> {
        self.watches.iter().find(|watch| watch.name == name)
    }

    /// Triggered by a service whose place another process takes: nothing more is taken out of the queue here.
    #[must_use]
    pub fn handing_over(&self) -> &Stop {
        &self.handing_over
    }
}

impl Watch {
    /// The destination's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn lock(&self) -> MutexGuard<'_, Pushes> {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn labels(&self) -> Labels {
        Labels::new([("destination", &self.name)])
    }

    /// Lets the counter of this code begin at 0.
    pub(crate) fn expect_code(&self, code: &str) {
        self.lock().codes.entry(code.to_owned()).or_default();
    }
}

impl Observer for Watch {
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>) {
        self.records.stored(records);
    }

    fn dead_lettered(&self, record: &Record<'_>, reason: &str) {
        self.records.dead_lettered(record, reason);
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
        self.lock().held = match state {
            State::Delivering | State::Retrying(_) => None,
            State::Holding(reason) => Some(reason.to_owned()),
        };
    }

    fn streams(&self, streams: usize, restamped: u64, coarsened: u64) {
        self.lock().streams = (streams, restamped, coarsened);
    }
}

impl Collect for Delivery {
    fn collect(&self, out: &mut Encoder) {
        self.spool(out);
        self.pushes(out);
    }
}

impl Delivery {
    fn family(&self, out: &mut Encoder, name: &str, kind: Kind, help: &str) {
        out.family(&format!("{}{name}", self.prefix), kind, help);
    }

    fn spool(&self, out: &mut Encoder) {
        let stats = self.queue.stats();
        let none = Labels::none();
        for (name, kind, help, value) in [
            (
                "_spool_bytes",
                Kind::Gauge,
                "Bytes that the queue takes on disk.",
                stats.bytes,
            ),
            (
                "_spool_limit_bytes",
                Kind::Gauge,
                "Bytes that the queue may take.",
                self.queue.options().max_bytes,
            ),
            (
                "_spool_unsynced_messages",
                Kind::Gauge,
                "Messages that would not survive a loss of power.",
                stats.next.saturating_sub(stats.durable),
            ),
            (
                "_spool_damaged_total",
                Kind::Counter,
                "Messages of the queue that were found damaged.",
                stats.damaged,
            ),
            (
                "_spool_errors_total",
                Kind::Counter,
                "Operations that the storage refused.",
                stats.storage_errors,
            ),
            (
                "_clock_steps_total",
                Kind::Counter,
                "Times our clock was set back and stamps began anew.",
                stats.clock_steps,
            ),
            (
                "_dead_letter_bytes",
                Kind::Gauge,
                "Bytes of the dead-letter file.",
                self.dead.bytes(),
            ),
        ] {
            self.family(out, name, kind, help);
            out.sample(none, value);
        }
        self.family(
            out,
            "_spool_messages",
            Kind::Gauge,
            "Messages that wait in the queue for the destination.",
        );
        for (watch, queued) in self.watches.iter().zip(&stats.queued) {
            out.sample(&watch.labels(), *queued);
        }
        self.family(
            out,
            "_spool_oldest_age_seconds",
            Kind::Gauge,
            "Age of the oldest message that waits.",
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = u64::try_from(now.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX);
        for (watch, oldest) in self.watches.iter().zip(&stats.oldest) {
            let age = oldest.map_or(0, |oldest| now.saturating_sub(oldest));
            out.sample(&watch.labels(), Duration::from_nanos(age).as_secs_f64());
        }
    }

    fn pushes(&self, out: &mut Encoder) {
        self.family(
            out,
            "_pushes_total",
            Kind::Counter,
            "Push requests by status code, or by what kept an answer from coming.",
        );
        for watch in &self.watches {
            for (code, count) in &watch.lock().codes {
                out.sample(&watch.labels().with("code", code), *count);
            }
        }
        self.family(
            out,
            "_push_duration_seconds",
            Kind::Histogram,
            "How long a push took.",
        );
        let buckets = Buckets::new(&BOUNDS);
        for watch in &self.watches {
            let pushes = watch.lock();
            let mut sum = 0;
            let counts = pushes.counts.map(|count| {
                sum += count;
                sum
            });
            out.histogram(&watch.labels(), &buckets, &counts, pushes.seconds);
        }
        self.family(
            out,
            "_push_held",
            Kind::Gauge,
            "1: nothing is delivered until somebody acts; the reason is a label.",
        );
        for watch in &self.watches {
            let held = watch.lock().held.clone();
            let labels = watch.labels();
            let labels = labels.with("reason", held.as_deref().unwrap_or_default());
            out.sample(&labels, u64::from(held.is_some()));
        }
        let columns: [Column<Pushes>; 5] = [
            (
                "_push_bytes_total",
                Kind::Counter,
                "Bytes of push requests.",
                |p| p.bytes,
            ),
            (
                "_push_lines_total",
                Kind::Counter,
                "Lines in pushes that were answered with success.",
                |p| p.lines,
            ),
            (
                "_streams",
                Kind::Gauge,
                "Streams in use within half an hour.",
                |p| p.streams.0 as u64,
            ),
            (
                "_lines_restamped_total",
                Kind::Counter,
                "Lines whose stamp Loki would have refused and that carry a newer one.",
                |p| p.streams.1,
            ),
            (
                "_lines_coarsened_total",
                Kind::Counter,
                "Lines in a coarse stream because the budget of streams was used up.",
                |p| p.streams.2,
            ),
        ];
        for (name, kind, help, get) in columns {
            self.family(out, name, kind, help);
            for watch in &self.watches {
                out.sample(&watch.labels(), get(&watch.lock()));
            }
        }
    }
}
