//! Notifications as lines in Loki, by way of a queue on disk: a line is in the queue before its inform is acknowledged.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use loki::{Authentication, DeadLetters, Destination, Line, Observer, Pusher, Render, State};
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use spool::{Entry, Options, Queue, Record, WhenFull};
use tokio::sync::Notify;
use toolkit::{App, OnEnd, SecretFile};

use super::Notification;

/// The queue's reader, and the name of the destination.
const READER: &str = "loki";
/// Between the fields of a record; no field can hold it, since octets with control characters are written as hexadecimal digits.
const FIELD: char = '\u{1f}';
/// Longest content of a record in bytes; a notification is at most a datagram, its values shown in hexadecimal digits.
const LONGEST: usize = 256 << 10;
/// Bytes of the file of lines that Loki refuses.
const DEAD_BYTES: u64 = 16 << 20;

/// Where lines go.
#[derive(Clone, Debug, clap::Args)]
pub struct LineFlags {
    /// Pushes a line for each trap to Loki: the full address, http://loki:3100/loki/api/v1/push.
    #[arg(
        long = "traps.loki-url",
        env = "SOTP_TRAPS_LOKI_URL",
        value_name = "URL",
        help_heading = "Traps"
    )]
    pub url: Option<String>,
    /// The tenant of these lines (X-Scope-OrgID).
    #[arg(
        long = "traps.loki-tenant",
        env = "SOTP_TRAPS_LOKI_TENANT",
        value_name = "NAME",
        help_heading = "Traps"
    )]
    pub tenant: Option<String>,
    /// A file with the token that Loki wants.
    #[arg(
        long = "traps.loki-token-file",
        env = "SOTP_TRAPS_LOKI_TOKEN_FILE",
        value_name = "FILE",
        help_heading = "Traps"
    )]
    pub token_file: Option<PathBuf>,
    /// Certificates, in PEM, that Loki's must descend from.
    #[arg(
        long = "traps.loki-ca-file",
        env = "SOTP_TRAPS_LOKI_CA_FILE",
        value_name = "FILE",
        help_heading = "Traps"
    )]
    pub ca_file: Option<PathBuf>,
    /// The folder of the queue that keeps lines until Loki has them.
    #[arg(
        long = "traps.spool-path",
        env = "SOTP_TRAPS_SPOOL_PATH",
        value_name = "DIR",
        default_value = "snmp-traps",
        help_heading = "Traps"
    )]
    pub spool: PathBuf,
    /// Bytes that the queue may use; beyond them the oldest lines are given up and counted.
    #[arg(
        long = "traps.spool-bytes",
        env = "SOTP_TRAPS_SPOOL_BYTES",
        value_name = "BYTES",
        default_value_t = 256 << 20,
        value_parser = clap::value_parser!(u64).range(16 << 20..),
        help_heading = "Traps"
    )]
    pub spool_bytes: u64,
}

/// The queue, and what became of lines.
#[derive(Clone)]
pub struct Lines {
    queue: Queue,
    counts: Counts,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Lines").finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct Counts {
    lines: IntCounterVec,
    holding: IntGauge,
}

impl Counts {
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

/// Opens the queue and begins to push; nothing when no Loki is named.
///
/// # Errors
/// The folder, the address or a file that a flag names cannot be used.
pub fn start(flags: &LineFlags, app: &mut App) -> anyhow::Result<Option<Lines>> {
    let Some(url) = &flags.url else {
        return Ok(None);
    };
    let counts = counts(app.registry())?;
    let options = Options {
        max_bytes: flags.spool_bytes,
        segment_bytes: (flags.spool_bytes / 8).min(8 << 20),
        max_record: LONGEST,
        readers: vec![READER.to_owned()],
        ..Options::default()
    };
    let (queue, recovery) = Queue::open(&flags.spool, options)
        .with_context(|| format!("--traps.spool-path {}", flags.spool.display()))?;
    tracing::info!(queued = ?recovery.queued, "queue of trap lines opened");
    let mut destination = Destination::new(READER, url);
    destination.tenant.clone_from(&flags.tenant);
    destination.ca_file.clone_from(&flags.ca_file);
    if let Some(file) = &flags.token_file {
        let token = SecretFile::open(file)
            .with_context(|| format!("--traps.loki-token-file {}", file.display()))?;
        destination.authentication = Authentication::Bearer(Arc::new(token));
    }
    let dead = Arc::new(dead_letters(&flags.spool)?);
    let lines = Lines {
        queue: queue.clone(),
        counts: counts.clone(),
    };
    let build = move || -> anyhow::Result<Pusher<Shown>> {
        Ok(Pusher::new(
            destination.clone(),
            queue.reader(READER)?,
            Shown,
            Arc::new(counts.clone()),
            Arc::clone(&dead),
        )?)
    };
    // A wrong certificate or address is a fault of the flags: say so at the start.
    build().context("--traps.loki-url")?;
    let build = Arc::new(build);
    app.spawn("trap_lines", OnEnd::Restart, move |stop| {
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
    Ok(Some(lines))
}

fn counts(registry: &Registry) -> prometheus::Result<Counts> {
    let counts = Counts {
        lines: IntCounterVec::new(
            Opts::new(
                "snmp_trap_lines_total",
                "Lines of traps, by what became of them: queued, stored in Loki, refused by it, given_up for want of room, failed.",
            ),
            &["result"],
        )?,
        holding: IntGauge::new(
            "snmp_trap_lines_held",
            "1 while Loki takes no lines of traps.",
        )?,
    };
    for result in ["queued", "stored", "refused", "given_up", "failed"] {
        counts.add(result, 0);
    }
    registry.register(Box::new(counts.lines.clone()))?;
    registry.register(Box::new(counts.holding.clone()))?;
    Ok(counts)
}

fn dead_letters(spool: &Path) -> anyhow::Result<DeadLetters> {
    let path = spool.join("refused.jsonl");
    DeadLetters::open(&path, DEAD_BYTES).with_context(|| path.display().to_string())
}

impl Lines {
    /// Puts a notification into the queue; whether it is there now.
    pub(super) fn keep(
        &self,
        notification: &Notification,
        version: &str,
        source: IpAddr,
        labels: [&str; 2],
    ) -> bool {
        let kind = if notification.inform {
            "inform"
        } else {
            "trap"
        };
        let text = format!(
            "source={source} version={version} {kind}={} {}",
            notification.name(),
            notification.text()
        );
        let payload =
            [labels[0], labels[1], version, kind, text.trim_end()].join(&String::from(FIELD));
        let received = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0));
        let entry = Entry {
            received,
            class: 0,
            when_full: WhenFull::DropOldest,
            payload: payload.as_bytes(),
        };
        let mut given_up = 0;
        let appended = self.queue.append(&[entry], &mut |_| given_up += 1);
        self.counts.add("given_up", given_up);
        let kept = appended.accepted == 1;
        self.counts.add(if kept { "queued" } else { "failed" }, 1);
        kept
    }
}

/// Makes lines of records.
struct Shown;

impl Render for Shown {
    fn render(&mut self, record: Record<'_>, line: &mut Line) {
        let text = String::from_utf8_lossy(record.payload);
        line.label("job", "snmp-traps", true);
        let fields: Vec<&str> = text.splitn(5, FIELD).collect();
        let [source, trap, version, kind, text] = fields[..] else {
            // A record of another version: kept as it is.
            line.text.push_str(&text);
            return;
        };
        line.label("source", source, false);
        line.label("trap", trap, false);
        line.metadata("version", version);
        line.metadata("kind", kind);
        line.text.push_str(text);
    }
}
