//! Lines that a service writes itself: a queue on disk, one Loki, and a count of what became of each line.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use spool::{Entry, Options, Queue, Record, WhenFull};
use toolkit::prometheus::{IntCounterVec, Opts, Registry};
use toolkit::{App, Live};

use crate::{DeadLetters, Delivery, Destination, QueueSection, Records, Render, deliver};

/// The reader of the queue.
const READER: &str = "loki";
/// Longest content of a record in bytes.
const LONGEST: usize = 256 << 10;
/// Least bytes of a queue: segments hold the longest record, and there are several.
const LEAST: u64 = 16 << 20;
/// Bytes of the file of lines that Loki refuses.
const DEAD_BYTES: u64 = 16 << 20;

/// Writes lines. Clones write into the same queue.
#[derive(Clone)]
pub struct Lines {
    queue: Queue,
    results: ResultCounters,
}

/// `PREFIX_lines_total{result}`.
#[derive(Clone)]
struct ResultCounters(IntCounterVec);

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

impl Lines {
    /// Opens the queue and begins to deliver; [`Delivery`] and `PREFIX_lines_total` come to `/metrics`.
    ///
    /// Relative paths are relative to `base`. Refused lines are in `refused.jsonl` in the folder of the queue. A change of the queue's
    /// settings takes effect at the next start, one of the destination at once.
    ///
    /// # Errors
    /// The folder cannot be used, `max_bytes` is too small, or as [`deliver`].
    pub fn open<C, R>(
        app: &mut App,
        prefix: &'static str,
        (queue, base): (&QueueSection, &Path),
        live: &Live<C>,
        section: impl Fn(&C) -> Option<Destination> + Send + Sync + 'static,
        render: impl Fn() -> R + Send + Sync + 'static,
    ) -> anyhow::Result<Self>
    where
        C: Send + Sync + 'static,
        R: Render + 'static,
    {
        let max_bytes = queue.max_bytes;
        anyhow::ensure!(
            max_bytes >= LEAST,
            "a queue of {max_bytes} bytes, expected at least {LEAST}"
        );
        let path = base.join(&queue.path);
        let options = Options {
            max_bytes,
            segment_bytes: (max_bytes / 8).min(8 << 20),
            max_record: LONGEST,
            readers: vec![READER.to_owned()],
            ..Options::default()
        };
        let opened = Queue::open(&path, options);
        let (queue, recovery) = opened.with_context(|| format!("queue {}", path.display()))?;
        tracing::info!(queued = ?recovery.queued, "queue of lines opened");
        let refused = path.join("refused.jsonl");
        let dead = DeadLetters::open(&refused, DEAD_BYTES);
        let dead = dead.with_context(|| refused.display().to_string())?;
        let results = ResultCounters::new(prefix, app.registry())?;
        let records: Arc<dyn Records> = Arc::new(results.clone());
        let delivery = Delivery::new(prefix, queue.clone(), Arc::new(dead), |_| {
            Arc::clone(&records)
        });
        deliver(app, live, section, READER, render, &delivery)?;
        app.collect(delivery);
        Ok(Self { queue, results })
    }

    /// Puts a record into the queue; whether it is there now. The oldest ones are given up when there is no room.
    pub fn keep(&self, payload: &[u8]) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let entry = Entry {
            received: u64::try_from(now.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX),
            class: 0,
            when_full: WhenFull::DropOldest,
            payload,
        };
        let mut given_up = 0;
        let appended = self.queue.append(&[entry], &mut |_| given_up += 1);
        self.results.add("given_up", given_up);
        let kept = appended.accepted == 1;
        self.results.add(if kept { "queued" } else { "failed" }, 1);
        kept
    }
}

impl ResultCounters {
    fn new(prefix: &str, registry: &Registry) -> anyhow::Result<Self> {
        let help = "Lines by what became of them: queued, stored in Loki, refused by it, given_up for lack of room, failed to be queued.";
        let opts = Opts::new(format!("{prefix}_lines_total"), help);
        let results = Self(IntCounterVec::new(opts, &["result"])?);
        for result in ["queued", "stored", "refused", "given_up", "failed"] {
            results.add(result, 0);
        }
        registry.register(Box::new(results.0.clone()))?;
        Ok(results)
    }

    fn add(&self, result: &str, count: u64) {
        self.0.with_label_values(&[result]).inc_by(count);
    }
}

impl Records for ResultCounters {
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>) {
        self.add("stored", records.map(|_| 1).sum());
    }

    fn dead_lettered(&self, _: &Record<'_>, _: &str) {
        self.add("refused", 1);
    }
}
