//! The series of devices: the statistics, what the messages say, and who is silent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};

use toolkit::{Encoder, Kind, Labels};

use super::{Column, Series, column, families, signed};
use crate::header::SEVERITIES;
use crate::intake::now;
use crate::record::Transport;
use crate::statistics::{DEAD_LETTER_REASONS, DeviceCounters, Dropped};

impl Series {
    fn labels(&self, counters: &DeviceCounters) -> Labels {
        let inventory = self.intake.feed.current();
        match inventory.device(&counters.device) {
            Some(device) => devices::labels(device),
            None => Labels::new([
                (
                    "device",
                    if counters.device.is_empty() {
                        "unknown"
                    } else {
                        &*counters.device
                    },
                ),
                ("site", ""),
                ("role", ""),
            ]),
        }
    }

    pub(super) fn devices(&self, out: &mut Encoder) {
        let statistics = &self.intake.statistics;
        let _consistent = statistics.consistent();
        let devices: Vec<(Labels, Arc<DeviceCounters>)> = statistics
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
        for (labels, counters) in &devices {
            for transport in Transport::ALL {
                let count = load(&counters.received[transport as usize]);
                if count > 0 {
                    out.sample(&labels.with("transport", transport.name()), count);
                }
            }
        }
        #[rustfmt::skip]
        let plain: [Column<DeviceCounters>; 6] = [
            column!("syslog_received_bytes_total", Counter, "Bytes received.", bytes),
            column!("syslog_messages_recovered_total", Counter, "Messages found in the queue at the start.", recovered),
            column!("syslog_messages_truncated_total", Counter, "Messages that were longer than the limit and were cut.", truncated),
            column!("syslog_messages_raw_total", Counter, "Messages of which no header was recognised; they are kept whole.", raw),
            column!("syslog_messages_unknown_total", Counter, "Messages that no rule translates.", unknown),
            column!("syslog_lost_before_us_total", Counter, "Messages that the device counted and that did not arrive.", path_lost),
        ];
        families(out, &plain, &devices);
        out.family(
            "syslog_messages_dropped_total",
            Kind::Counter,
            "Messages not taken, by reason.",
        );
        for (labels, counters) in &devices {
            for reason in Dropped::ALL {
                let count = load(&counters.dropped[reason as usize]);
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
        for (labels, counters) in &devices {
            for (severity, count) in SEVERITIES.iter().zip(&counters.severities) {
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
        for (labels, counters) in &devices {
            for (event, count) in counters
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
            for (labels, counters) in &devices {
                for (destination, counts) in
                    statistics.destinations.iter().zip(&counters.destinations)
                {
                    let labels = labels.with("destination", destination);
                    match at {
                        0 => out.sample(&labels, load(&counts.delivered)),
                        1 => out.sample(&labels, signed(counts.queued.load(Relaxed))),
                        _ => out.sample(&labels, load(&counts.evicted)),
                    }
                }
            }
        }
        out.family(
            "syslog_messages_dead_lettered_total",
            Kind::Counter,
            "Messages in the dead-letter file, by reason.",
        );
        for (labels, counters) in &devices {
            for (destination, counts) in statistics.destinations.iter().zip(&counters.destinations)
            {
                for (reason, count) in DEAD_LETTER_REASONS.iter().zip(&counts.dead_lettered) {
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
        for (labels, counters) in &devices {
            let skew = counters.skew.load(Relaxed);
            if skew != i64::MIN && !counters.device.is_empty() {
                out.sample(labels, signed(skew) / 1_000.0);
            }
        }
        out.family(
            "syslog_device_zone_offset_seconds",
            Kind::Gauge,
            "Seconds east of the configured zone of a device's clock that names no zone, guessed from its skew.",
        );
        for (labels, counters) in &devices {
            let skew = counters.skew.load(Relaxed);
            if skew != i64::MIN && !counters.device.is_empty() {
                out.sample(labels, signed(counters.zone.offset()));
            }
        }
        self.silent(out, &devices);
    }

    fn silent(&self, out: &mut Encoder, devices: &[(Labels, Arc<DeviceCounters>)]) {
        let last: HashMap<&str, u64> = devices
            .iter()
            .map(|(_, a)| (a.device.as_str(), a.last.load(Relaxed)))
            .collect();
        let (now, limit) = (
            now(),
            u64::try_from(self.intake.config.current().silent_after.as_nanos()).unwrap_or(u64::MAX),
        );
        let inventory = self.intake.feed.current();
        let senders = || inventory.devices().iter().filter(|d| d.syslog.is_some());
        out.family(
            "syslog_last_message_timestamp_seconds",
            Kind::Gauge,
            "When the device's last message was received.",
        );
        for device in senders() {
            if let Some(last) = last.get(&*device.name).filter(|l| **l > 0) {
                out.sample(&devices::labels(device), *last as f64 / 1e9);
            }
        }
        out.family(
            "syslog_device_silent",
            Kind::Gauge,
            "1: a device that should send syslog has been silent for too long.",
        );
        for device in senders() {
            let since = last
                .get(&*device.name)
                .copied()
                .unwrap_or(0)
                .max(self.started);
            out.sample(
                &devices::labels(device),
                u64::from(now.saturating_sub(since) > limit),
            );
        }
    }
}
