//! The series of the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use loki::DeadLetters;
use toolkit::{Buckets, Collect, Encoder, Kind, Labels};

use crate::intake::{Intake, now};
use crate::listeners::Listeners;
use crate::stream::Counts;
use crate::udp::Kernel;
use crate::watch::{BOUNDS, Pushes, Watch};
use crate::webhooks::{Tallies, Tally};

mod devices;

/// Everything that is exported.
pub struct Series {
    /// The intake with its books.
    pub intake: Arc<Intake>,
    /// What is listened on.
    pub listeners: Arc<Listeners>,
    /// The destinations.
    pub watches: Vec<Arc<Watch>>,
    /// The dead-letter file.
    pub dead: Arc<DeadLetters>,
    /// The webhooks' counts.
    pub webhooks: Arc<Tallies>,
    /// Whether the configuration has changes that wait for the next start.
    pub restart_needed: Arc<AtomicBool>,
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
        self.calls(out);
    }
}

/// A column of numbers that are read without a lock.
macro_rules! column {
    ($name:literal, $kind:ident, $help:literal, $field:ident) => {
        ($name, Kind::$kind, $help, |of| of.$field.load(Relaxed))
    };
}
pub(crate) use column;

impl Series {
    fn kernel(&self, out: &mut Encoder) {
        let listeners = self.listeners.udp();
        let measured: Vec<(Labels, Kernel)> = listeners
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
        for (labels, kernel) in &measured {
            out.sample(labels, kernel.dropped);
        }
        out.family(
            "syslog_kernel_buffer_bytes",
            Kind::Gauge,
            "What waits in the socket's buffer, with the kernel's own overhead; of several that which is nearest to its limit.",
        );
        for (labels, kernel) in &measured {
            out.sample(labels, kernel.bytes);
        }
        out.family(
            "syslog_kernel_buffer_limit_bytes",
            Kind::Gauge,
            "Where the kernel begins to drop.",
        );
        for (labels, kernel) in &measured {
            out.sample(labels, kernel.limit);
        }
        out.family(
            "syslog_own_sockets",
            Kind::Gauge,
            "Loud senders that have a socket and a buffer of their own.",
        );
        for (labels, kernel) in &measured {
            out.sample(labels, kernel.own);
        }
        #[rustfmt::skip]
        let counters: [Column<Counts>; 5] = [
            column!("syslog_connections", Gauge, "Open connections.", open),
            column!("syslog_connections_accepted_total", Counter, "Connections accepted.", accepted),
            column!("syslog_connections_refused_total", Counter, "Connections refused because there were too many.", refused),
            column!("syslog_tls_handshakes_failed_total", Counter, "TLS handshakes that failed.", handshakes_failed),
            column!("syslog_proxy_headers_failed_total", Counter, "PROXY protocol headers that were wrong.", proxy_failed),
        ];
        let streams = self.listeners.counts();
        for (name, kind, help, get) in counters {
            out.family(name, kind, help);
            for (at, (transport, counts)) in streams.iter().enumerate() {
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

    fn calls(&self, out: &mut Encoder) {
        out.family(
            "syslog_configuration_restart_needed",
            Kind::Gauge,
            "1: the configuration has changes that take effect at the next start.",
        );
        let needed = self.restart_needed.load(Relaxed);
        out.sample(Labels::none(), u64::from(needed));
        let all = self.webhooks.all();
        if all.is_empty() {
            return;
        }
        #[rustfmt::skip]
        let columns: [Column<Tally>; 4] = [
            column!("syslog_webhook_calls_total", Counter, "Events that a webhook took.", called),
            column!("syslog_webhook_queued", Gauge, "Events that wait for a webhook.", queued),
            column!("syslog_webhook_merged_total", Counter, "Events not called because of one for the same device and kind just before.", merged),
            column!("syslog_webhook_attempts_failed_total", Counter, "Calls that failed and were tried again or given up.", failed),
        ];
        for (name, kind, help, get) in columns {
            out.family(name, kind, help);
            for (webhook, tally) in &all {
                out.sample(&Labels::new([("webhook", webhook)]), get(tally));
            }
        }
        out.family(
            "syslog_webhook_dropped_total",
            Kind::Counter,
            "Events that a webhook was not told, by reason.",
        );
        for (webhook, tally) in &all {
            let labels = Labels::new([("webhook", webhook)]);
            for (reason, count) in [
                ("queue_full", &tally.full),
                ("expired", &tally.expired),
                ("refused", &tally.refused),
            ] {
                out.sample(&labels.with("reason", reason), count.load(Relaxed));
            }
        }
    }
}
