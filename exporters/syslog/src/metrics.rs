//! The series of the service.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use toolkit::{Collect, Encoder, Kind, Labels};

use crate::intake::Intake;
use crate::listeners::Listeners;
use crate::stream::Counts;
use crate::udp::Kernel;
use crate::webhooks::{HookCounters, WebhookCounters};

mod devices;

/// Everything that is exported.
pub struct Series {
    /// The intake with its statistics.
    pub intake: Arc<Intake>,
    /// What is listened on.
    pub listeners: Arc<Listeners>,
    /// The webhooks' counts.
    pub webhooks: Arc<WebhookCounters>,
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
        self.unfinished(out);
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

/// Shows each column, with a sample for each row.
fn families<T, R: Borrow<T>>(out: &mut Encoder, columns: &[Column<T>], rows: &[(Labels, R)]) {
    for (name, kind, help, get) in columns {
        out.family(name, *kind, help);
        for (labels, row) in rows {
            out.sample(labels, get(row.borrow()));
        }
    }
}

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
        #[rustfmt::skip]
        let columns: [Column<Kernel>; 4] = [
            ("syslog_kernel_dropped_total", Kind::Counter, "Datagrams that the kernel dropped for lack of room in the socket's buffer.", |of| of.dropped),
            ("syslog_kernel_buffer_bytes", Kind::Gauge, "What waits in the socket's buffer, with the kernel's own overhead; of several that which is nearest to its limit.", |of| of.bytes),
            ("syslog_kernel_buffer_limit_bytes", Kind::Gauge, "Where the kernel begins to drop.", |of| of.limit),
            ("syslog_own_sockets", Kind::Gauge, "Heavy senders that have a socket and a buffer of their own.", |of| of.own as u64),
        ];
        families(out, &columns, &measured);
        #[rustfmt::skip]
        let counters: [Column<Counts>; 5] = [
            column!("syslog_connections", Gauge, "Open connections.", open),
            column!("syslog_connections_accepted_total", Counter, "Connections accepted.", accepted),
            column!("syslog_connections_refused_total", Counter, "Connections refused because there were too many.", refused),
            column!("syslog_tls_handshakes_failed_total", Counter, "TLS handshakes that failed.", handshakes_failed),
            column!("syslog_proxy_headers_failed_total", Counter, "PROXY protocol headers that were wrong.", proxy_failed),
        ];
        let streams = self.listeners.counts().into_iter().enumerate();
        let streams = streams.map(|(at, (transport, counts))| {
            let labels = Labels::new([
                ("transport", transport.to_owned()),
                ("socket", at.to_string()),
            ]);
            (labels, counts)
        });
        families(out, &counters, &streams.collect::<Vec<_>>());
    }

    fn unfinished(&self, out: &mut Encoder) {
        let unfinished = &self.listeners.unfinished;
        out.family(
            "syslog_unfinished_bytes",
            Kind::Gauge,
            "Bytes that all connections together hold of messages that were begun and not ended; the bound is limits.unfinished_bytes.",
        );
        out.sample(Labels::none(), unfinished.bytes() as f64);
        out.family(
            "syslog_unfinished_cut_total",
            Kind::Counter,
            "Messages that were begun and not ended and were taken as they were, to keep syslog_unfinished_bytes within its bound.",
        );
        out.sample(Labels::none(), unfinished.cut.load(Relaxed));
    }

    fn calls(&self, out: &mut Encoder) {
        out.family(
            "syslog_configuration_restart_needed",
            Kind::Gauge,
            "1: the configuration has changes that take effect at the next start.",
        );
        let needed = self.restart_needed.load(Relaxed);
        out.sample(Labels::none(), u64::from(needed));
        let all = self.webhooks.all().into_iter();
        let all: Vec<_> = all
            .map(|(webhook, counters)| (Labels::new([("webhook", webhook)]), counters))
            .collect();
        if all.is_empty() {
            return;
        }
        #[rustfmt::skip]
        let columns: [Column<HookCounters>; 4] = [
            column!("syslog_webhook_calls_total", Counter, "Events that a webhook took.", called),
            column!("syslog_webhook_queued", Gauge, "Events that wait for a webhook.", queued),
            column!("syslog_webhook_merged_total", Counter, "Events not called because of one for the same device and kind just before.", merged),
            column!("syslog_webhook_attempts_failed_total", Counter, "Calls that failed and were tried again or given up.", failed),
        ];
        families(out, &columns, &all);
        out.family(
            "syslog_webhook_dropped_total",
            Kind::Counter,
            "Events that a webhook was not notified of, by reason.",
        );
        for (labels, counters) in &all {
            for (reason, count) in [
                ("queue_full", &counters.full),
                ("expired", &counters.expired),
                ("refused", &counters.refused),
            ] {
                out.sample(&labels.with("reason", reason), count.load(Relaxed));
            }
        }
    }
}
