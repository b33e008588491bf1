//! The series of the service.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use loki::{DeadLetters, Observer, State};
use spool::Record;
use toolkit::{Buckets, Collect, Encoder, Kind, Labels};

use crate::books::{Account, Dropped, PARKED};
use crate::intake::{Intake, now};
use crate::record::{self, Transport};
use crate::render::SEVERITIES;
use crate::stream::Counts;
use crate::udp::Listener;

/// Upper bounds of the push latency in seconds.
const BOUNDS: [f64; 12] = [
    0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

#[derive(Debug, Default)]
struct Pushes {
    codes: HashMap<String, u64>,
    counts: [u64; BOUNDS.len() + 1],
    seconds: f64,
    bytes: u64,
    lines: u64,
    state: &'static str,
    reason: String,
    streams: (usize, u64, u64),
}

/// What is known of one destination; books what becomes of messages there.
pub struct Watch {
    intake: Arc<Intake>,
    index: usize,
    pushes: Mutex<Pushes>,
}

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

    fn lock(&self) -> std::sync::MutexGuard<'_, Pushes> {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self, record: &Record<'_>) -> Arc<Account> {
        self.intake.books.account(record::device(record.payload))
    }
}

impl Observer for Watch {
    fn stored(&self, record: &Record<'_>) {
        let _booking = self.intake.books.booking();
        let account = self.account(record);
        account.outlets[self.index].queued.fetch_sub(1, Relaxed);
        account.outlets[self.index].delivered.fetch_add(1, Relaxed);
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
        if code == "204" {
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

/// Everything that is exported.
pub struct Series {
    /// The intake with its books.
    pub intake: Arc<Intake>,
    /// The UDP sockets.
    pub udp: Vec<Arc<Listener>>,
    /// Connections by transport.
    pub streams: Vec<(&'static str, Arc<Counts>)>,
    /// The destinations.
    pub watches: Vec<Arc<Watch>>,
    /// The dead-letter file.
    pub dead: Arc<DeadLetters>,
    /// When a device counts as silent.
    pub silent_after: Duration,
    /// When the service started, nanoseconds since 1970.
    pub started: u64,
}

/// Name, kind, help and how to read a number of `T`.
type Column<T> = (&'static str, Kind, &'static str, fn(&T) -> u64);

fn signed(value: i64) -> f64 {
    value as f64
}

impl Collect for Series {
    fn collect(&self, out: &mut Encoder) {
        self.devices(out);
        self.kernel(out);
        self.queue(out);
        self.destinations(out);
    }
}

impl Series {
    fn labels(&self, account: &Account) -> Labels {
        let inventory = self.intake.feed.current();
        match inventory.device(&account.device) {
            Some(device) => Labels::new([
                ("device", &*account.device),
                ("site", &*device.site),
                ("role", &*device.role),
            ]),
            None => Labels::new([
                (
                    "device",
                    if account.device.is_empty() {
                        "unknown"
                    } else {
                        &*account.device
                    },
                ),
                ("site", ""),
                ("role", ""),
            ]),
        }
    }

    fn devices(&self, out: &mut Encoder) {
        let books = &self.intake.books;
        let _audit = books.audit();
        let accounts: Vec<(Labels, Arc<Account>)> = books
            .all()
            .into_iter()
            .map(|a| (self.labels(&a), a))
            .collect();
        let load = |value: &AtomicU64| value.load(Relaxed);
        out.family(
            "syslog_messages_received_total",
            Kind::Counter,
            "Messages received, by way.",
        );
        for (labels, account) in &accounts {
            for transport in Transport::ALL {
                let count = load(&account.received[transport as usize]);
                if count > 0 {
                    out.sample(&labels.with("transport", transport.name()), count);
                }
            }
        }
        let plain: [Column<Account>; 6] = [
            (
                "syslog_received_bytes_total",
                Kind::Counter,
                "Bytes received.",
                |a| a.bytes.load(Relaxed),
            ),
            (
                "syslog_messages_recovered_total",
                Kind::Counter,
                "Messages found in the queue at the start.",
                |a| a.recovered.load(Relaxed),
            ),
            (
                "syslog_messages_truncated_total",
                Kind::Counter,
                "Messages that were longer than the limit and were cut.",
                |a| a.truncated.load(Relaxed),
            ),
            (
                "syslog_messages_raw_total",
                Kind::Counter,
                "Messages of which no header was recognised; they are kept whole.",
                |a| a.raw.load(Relaxed),
            ),
            (
                "syslog_messages_unknown_total",
                Kind::Counter,
                "Messages that no rule translates.",
                |a| a.unknown.load(Relaxed),
            ),
            (
                "syslog_lost_before_us_total",
                Kind::Counter,
                "Messages that the device counted and that did not arrive.",
                |a| a.path_lost.load(Relaxed),
            ),
        ];
        for (name, kind, help, get) in plain {
            out.family(name, kind, help);
            for (labels, account) in &accounts {
                out.sample(labels, get(account));
            }
        }
        out.family(
            "syslog_messages_dropped_total",
            Kind::Counter,
            "Messages not taken, by reason.",
        );
        for (labels, account) in &accounts {
            for reason in Dropped::ALL {
                let count = load(&account.dropped[reason as usize]);
                if count > 0 {
                    out.sample(&labels.with("reason", reason.name()), count);
                }
            }
        }
        out.family(
            "syslog_messages_by_severity_total",
            Kind::Counter,
            "Messages by severity.",
        );
        for (labels, account) in &accounts {
            for (severity, count) in SEVERITIES.iter().zip(&account.severities) {
                if load(count) > 0 {
                    out.sample(&labels.with("severity", severity), load(count));
                }
            }
        }
        out.family(
            "network_event_total",
            Kind::Counter,
            "Translated messages by kind of event.",
        );
        for (labels, account) in &accounts {
            for (event, count) in account
                .events
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
            {
                out.sample(&labels.with("event", event), *count);
            }
        }
        for (at, (name, kind, help)) in [
            (
                "syslog_messages_delivered_total",
                Kind::Counter,
                "Messages stored by the destination.",
            ),
            (
                "syslog_messages_queued",
                Kind::Gauge,
                "Messages that wait for the destination.",
            ),
            (
                "syslog_messages_evicted_total",
                Kind::Counter,
                "Messages given up before the destination took them, for room or age.",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            out.family(name, kind, help);
            for (labels, account) in &accounts {
                for (destination, outlet) in books.destinations.iter().zip(&account.outlets) {
                    let labels = labels.with("destination", destination);
                    match at {
                        0 => out.sample(&labels, load(&outlet.delivered)),
                        1 => out.sample(&labels, signed(outlet.queued.load(Relaxed))),
                        _ => out.sample(&labels, load(&outlet.evicted)),
                    }
                }
            }
        }
        out.family(
            "syslog_messages_dead_lettered_total",
            Kind::Counter,
            "Messages in the dead-letter file, by reason.",
        );
        for (labels, account) in &accounts {
            for (destination, outlet) in books.destinations.iter().zip(&account.outlets) {
                for (reason, count) in PARKED.iter().zip(&outlet.parked) {
                    if load(count) > 0 {
                        out.sample(
                            &labels
                                .with("destination", destination)
                                .with("reason", reason),
                            load(count),
                        );
                    }
                }
            }
        }
        out.family(
            "syslog_device_clock_skew_seconds",
            Kind::Gauge,
            "The device's clock minus ours at its last message.",
        );
        for (labels, account) in &accounts {
            let skew = account.skew.load(Relaxed);
            if skew != i64::MIN && !account.device.is_empty() {
                out.sample(labels, signed(skew) / 1_000.0);
            }
        }
        self.silent(out, &accounts);
    }

    fn silent(&self, out: &mut Encoder, accounts: &[(Labels, Arc<Account>)]) {
        let last: HashMap<&str, u64> = accounts
            .iter()
            .map(|(_, a)| (a.device.as_str(), a.last.load(Relaxed)))
            .collect();
        let (now, limit) = (
            now(),
            u64::try_from(self.silent_after.as_nanos()).unwrap_or(u64::MAX),
        );
        let inventory = self.intake.feed.current();
        let devices = || inventory.devices().iter().filter(|d| d.syslog.is_some());
        let labels = |d: &inventory::Device| {
            Labels::new([("device", &*d.name), ("site", &*d.site), ("role", &*d.role)])
        };
        out.family(
            "syslog_last_message_timestamp_seconds",
            Kind::Gauge,
            "When the device's last message was received.",
        );
        for device in devices() {
            if let Some(last) = last.get(&*device.name).filter(|l| **l > 0) {
                out.sample(&labels(device), *last as f64 / 1e9);
            }
        }
        out.family(
            "syslog_device_silent",
            Kind::Gauge,
            "1: a device that should send syslog has been silent for too long.",
        );
        for device in devices() {
            let since = last
                .get(&*device.name)
                .copied()
                .unwrap_or(0)
                .max(self.started);
            out.sample(
                &labels(device),
                u64::from(now.saturating_sub(since) > limit),
            );
        }
    }

    fn kernel(&self, out: &mut Encoder) {
        let measured: Vec<(Labels, (u64, u64, u64))> = self
            .udp
            .iter()
            .enumerate()
            .map(|(at, l)| {
                (
                    Labels::new([
                        ("listener", l.address().to_string()),
                        ("socket", at.to_string()),
                    ]),
                    l.kernel(),
                )
            })
            .collect();
        out.family(
            "syslog_kernel_dropped_total",
            Kind::Counter,
            "Datagrams that the kernel dropped for want of room in the socket's buffer.",
        );
        for (labels, (dropped, _, _)) in &measured {
            out.sample(labels, *dropped);
        }
        out.family(
            "syslog_kernel_buffer_bytes",
            Kind::Gauge,
            "What waits in the socket's buffer, with the kernel's own overhead.",
        );
        for (labels, (_, level, _)) in &measured {
            out.sample(labels, *level);
        }
        out.family(
            "syslog_kernel_buffer_limit_bytes",
            Kind::Gauge,
            "Where the kernel begins to drop.",
        );
        for (labels, (_, _, limit)) in &measured {
            out.sample(labels, *limit);
        }
        let counters: [Column<Counts>; 5] = [
            (
                "syslog_connections",
                Kind::Gauge,
                "Open connections.",
                |c| c.open.load(Relaxed),
            ),
            (
                "syslog_connections_accepted_total",
                Kind::Counter,
                "Connections accepted.",
                |c| c.accepted.load(Relaxed),
            ),
            (
                "syslog_connections_refused_total",
                Kind::Counter,
                "Connections refused because there were too many.",
                |c| c.refused.load(Relaxed),
            ),
            (
                "syslog_tls_handshakes_failed_total",
                Kind::Counter,
                "TLS handshakes that failed.",
                |c| c.handshakes_failed.load(Relaxed),
            ),
            (
                "syslog_proxy_headers_failed_total",
                Kind::Counter,
                "PROXY protocol headers that were wrong.",
                |c| c.proxy_failed.load(Relaxed),
            ),
        ];
        for (name, kind, help, get) in counters {
            out.family(name, kind, help);
            for (at, (transport, counts)) in self.streams.iter().enumerate() {
                let labels = Labels::new([
                    ("transport", (*transport).to_owned()),
                    ("socket", at.to_string()),
                ]);
                out.sample(&labels, get(counts));
            }
        }
    }

    fn queue(&self, out: &mut Encoder) {
        let stats = self.intake.queue.stats();
        let none = Labels::none();
        for (name, kind, help, value) in [
            (
                "syslog_spool_bytes",
                Kind::Gauge,
                "Bytes that the queue takes on disk.",
                stats.bytes,
            ),
            (
                "syslog_spool_limit_bytes",
                Kind::Gauge,
                "Bytes that the queue may take.",
                self.intake.max_bytes,
            ),
            (
                "syslog_spool_unsynced_messages",
                Kind::Gauge,
                "Messages that would not survive a loss of power.",
                stats.next.saturating_sub(stats.durable),
            ),
            (
                "syslog_spool_damaged_total",
                Kind::Counter,
                "Messages of the queue that were found damaged.",
                stats.damaged,
            ),
            (
                "syslog_spool_errors_total",
                Kind::Counter,
                "Operations that the storage refused.",
                stats.storage_errors,
            ),
            (
                "syslog_clock_steps_total",
                Kind::Counter,
                "Times our clock was set back and stamps began anew.",
                stats.clock_steps,
            ),
            (
                "syslog_dead_letter_bytes",
                Kind::Gauge,
                "Bytes of the dead-letter file.",
                self.dead.bytes(),
            ),
        ] {
            out.family(name, kind, help);
            out.sample(none, value);
        }
        out.family(
            "syslog_spool_messages",
            Kind::Gauge,
            "Messages that wait in the queue for the destination.",
        );
        for (destination, queued) in self.intake.books.destinations.iter().zip(&stats.queued) {
            out.sample(&Labels::new([("destination", destination)]), *queued);
        }
        out.family(
            "syslog_spool_oldest_age_seconds",
            Kind::Gauge,
            "Age of the oldest message that waits.",
        );
        for (destination, oldest) in self.intake.books.destinations.iter().zip(&stats.oldest) {
            let age = oldest.map_or(0.0, |o| now().saturating_sub(o) as f64 / 1e9);
            out.sample(&Labels::new([("destination", destination)]), age);
        }
    }

    fn destinations(&self, out: &mut Encoder) {
        let buckets = Buckets::new(&BOUNDS);
        let label = |watch: &Watch| {
            Labels::new([("destination", &self.intake.books.destinations[watch.index])])
        };
        out.family(
            "syslog_pushes_total",
            Kind::Counter,
            "Push requests by status code, or by what kept an answer from coming.",
        );
        for watch in &self.watches {
            let pushes = watch.lock();
            let mut codes: Vec<_> = pushes.codes.iter().collect();
            codes.sort();
            for (code, count) in codes {
                out.sample(&label(watch).with("code", code), *count);
            }
        }
        out.family(
            "syslog_push_duration_seconds",
            Kind::Histogram,
            "How long a push took.",
        );
        for watch in &self.watches {
            let pushes = watch.lock();
            let mut sum = 0;
            let counts: Vec<u64> = pushes
                .counts
                .iter()
                .map(|c| {
                    sum += c;
                    sum
                })
                .collect();
            out.histogram(&label(watch), &buckets, &counts, pushes.seconds);
        }
        out.family(
            "syslog_push_held",
            Kind::Gauge,
            "1: nothing is delivered until somebody acts; the reason is a label.",
        );
        for watch in &self.watches {
            let pushes = watch.lock();
            let held = pushes.state == "holding";
            out.sample(
                &label(watch).with("reason", if held { &pushes.reason } else { "" }),
                u64::from(held),
            );
        }
        let numbers: [Column<Pushes>; 5] = [
            (
                "syslog_push_bytes_total",
                Kind::Counter,
                "Bytes of push requests.",
                |p| p.bytes,
            ),
            (
                "syslog_push_lines_total",
                Kind::Counter,
                "Lines in pushes that were answered with success.",
                |p| p.lines,
            ),
            (
                "syslog_streams",
                Kind::Gauge,
                "Streams in use within half an hour.",
                |p| p.streams.0 as u64,
            ),
            (
                "syslog_lines_restamped_total",
                Kind::Counter,
                "Lines whose stamp Loki would have refused and that carry a newer one.",
                |p| p.streams.1,
            ),
            (
                "syslog_lines_coarsened_total",
                Kind::Counter,
                "Lines in a coarse stream because the budget of streams was used up.",
                |p| p.streams.2,
            ),
        ];
        for (name, kind, help, get) in numbers {
            out.family(name, kind, help);
            for watch in &self.watches {
                out.sample(&label(watch), get(&watch.lock()));
            }
        }
    }
}
