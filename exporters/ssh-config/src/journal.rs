//! A line in Loki for each change, by way of a queue on disk: a core Logs panel shows them, an annotation query marks them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use loki::{Authentication, DeadLetters, Destination, Line, Observer, Pusher, Render, State};
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use serde::{Deserialize, Serialize};
use spool::{Entry, Options, Queue, Record, WhenFull};
use tokio::sync::Notify;
use toolkit::{App, OnEnd, prometheus};

use crate::config::Loki;

/// The queue's reader, and the name of the destination.
const READER: &str = "loki";
/// Most bytes of a difference in a line; the rest is in the archive.
const MOST_DIFF: usize = 64 << 10;
/// Bytes of the queue; beyond them the oldest lines are given up and counted.
const QUEUE: u64 = 64 << 20;
/// Bytes of the file of lines that Loki refuses.
const DEAD: u64 = 16 << 20;

/// What happened.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct News {
    pub(crate) device: String,
    pub(crate) site: String,
    pub(crate) role: String,
    /// Empty when nobody knows.
    pub(crate) user: String,
    pub(crate) trigger: String,
    pub(crate) commit: String,
    pub(crate) added: usize,
    pub(crate) removed: usize,
    pub(crate) diff: String,
}

/// The queue of lines.
#[derive(Clone)]
pub(crate) struct Journal {
    queue: Queue,
    counts: Counts,
}

#[derive(Clone, Debug)]
struct Counts {
    lines: IntCounterVec,
    holding: IntGauge,
}

impl Counts {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counts = Self {
            lines: IntCounterVec::new(
                Opts::new(
                    "sshconfig_event_lines_total",
                    "Lines about changes, by what became of them: queued, stored in Loki, refused by it, given_up for want of room, failed.",
                ),
                &["result"],
            )?,
            holding: IntGauge::new(
                "sshconfig_event_lines_held",
                "1 while Loki takes no lines about changes.",
            )?,
        };
        for result in ["queued", "stored", "refused", "given_up", "failed"] {
            counts.add(result, 0);
        }
        registry.register(Box::new(counts.lines.clone()))?;
        registry.register(Box::new(counts.holding.clone()))?;
        Ok(counts)
    }

    fn add(&self, result: &str, count: u64) {
        self.lines.with_label_values(&[result]).inc_by(count);
    }
}

impl Observer for Counts {
    fn stored(&self, records: &mut dyn Iterator<Item = &Record<'_>>) {
        self.add("stored", records.map(|_| 1).sum());
    }

    fn parked(&self, _: &Record<'_>, _: &str) {
        self.add("refused", 1);
    }

    fn answered(&self, _: &str, _: Duration, _: usize, _: usize) {}

    fn state(&self, state: State<'_>) {
        self.holding
            .set(i64::from(!matches!(state, State::Delivering)));
    }

    fn streams(&self, _: usize, _: u64, _: u64) {}
}

impl Journal {
    /// Opens the queue in `data` and begins to push.
    ///
    /// # Errors
    /// The folder, the address or a file that the configuration names cannot be used.
    pub(crate) fn start(settings: &Loki, data: &Path, app: &mut App) -> anyhow::Result<Self> {
        let counts = Counts::new(app.registry())?;
        let folder = data.join("events");
        let options = Options {
            max_bytes: QUEUE,
            segment_bytes: QUEUE / 8,
            max_record: 4 * MOST_DIFF,
            readers: vec![READER.to_owned()],
            ..Options::default()
        };
        let (queue, recovery) =
            Queue::open(&folder, options).with_context(|| folder.display().to_string())?;
        tracing::info!(queued = ?recovery.queued, "queue of events opened");
        let mut destination = Destination::new(READER, &settings.url);
        destination.tenant.clone_from(&settings.tenant);
        destination.ca_file.clone_from(&settings.ca_file);
        if let Some(token) = &settings.token {
            destination.authentication = Authentication::Bearer(Arc::clone(token));
        }
        let refused = folder.join("refused.jsonl");
        let dead =
            DeadLetters::open(&refused, DEAD).with_context(|| refused.display().to_string())?;
        let dead = Arc::new(dead);
        let journal = Self {
            queue: queue.clone(),
            counts: counts.clone(),
        };
        let build = move || -> anyhow::Result<Pusher<Shown>> {
            let (counts, dead) = (Arc::new(counts.clone()), Arc::clone(&dead));
            Ok(Pusher::new(
                destination.clone(),
                queue.reader(READER)?,
                Shown,
                counts,
                dead,
            )?)
        };
        // A wrong certificate or address is a fault of the configuration: say so at the start.
        build().context("loki")?;
        let build = Arc::new(build);
        app.spawn("event_lines", OnEnd::Restart, move |stop| {
            let build = Arc::clone(&build);
            async move {
                let mut pusher = build()?;
                let notify = Arc::new(Notify::new());
                let told = Arc::clone(&notify);
                let watcher = tokio::spawn(async move {
                    stop.requested().await;
                    told.notify_one();
                });
                let result = pusher.run(&notify).await;
                watcher.abort();
                Ok(result?)
            }
        });
        Ok(journal)
    }

    /// Puts a line about a change into the queue.
    pub(crate) fn tell(&self, news: &News) {
        let mut news = news.clone();
        if news.diff.len() > MOST_DIFF {
            let end = (0..=MOST_DIFF)
                .rev()
                .find(|end| news.diff.is_char_boundary(*end));
            news.diff.truncate(end.unwrap_or(0));
            news.diff.push_str("\n… the rest is in the archive\n");
        }
        let Ok(payload) = serde_json::to_vec(&news) else {
            return;
        };
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let entry = Entry {
            received: u64::try_from(since.as_nanos()).unwrap_or(0),
            class: 0,
            when_full: WhenFull::DropOldest,
            payload: &payload,
        };
        let mut given_up = 0;
        let appended = self.queue.append(&[entry], &mut |_| given_up += 1);
        self.counts.add("given_up", given_up);
        self.counts.add(
            if appended.accepted == 1 {
                "queued"
            } else {
                "failed"
            },
            1,
        );
    }
}

/// Makes lines of records.
struct Shown;

impl Render for Shown {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        line.label("job", "ssh-config", true);
        line.label("event", "configuration_change", false);
        let Ok(news) = serde_json::from_slice::<News>(record.payload) else {
            // A record of another version: kept as it is.
            line.text.push_str(&String::from_utf8_lossy(record.payload));
            return;
        };
        for (name, value) in [
            ("device", &news.device),
            ("site", &news.site),
            ("role", &news.role),
        ] {
            if !value.is_empty() {
                line.label(name, value, false);
            }
        }
        for (name, value) in [
            ("user", &news.user),
            ("trigger", &news.trigger),
            ("commit", &news.commit),
        ] {
            if !value.is_empty() {
                line.metadata(name, value);
            }
        }
        let user = if news.user.is_empty() {
            "Somebody"
        } else {
            &news.user
        };
        line.text.push_str(&format!(
            "{user} changed the configuration of {} (+{} -{})\n{}",
            news.device, news.added, news.removed, news.diff
        ));
    }
}
