//! The series.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, UNIX_EPOCH};

use toolkit::{Collect, Encoder, Kind, Labels};

use crate::broker::Status;
use crate::intake::{Intake, lock};
use crate::session::Reason;

/// Families of the service itself, which no rule can write.
pub(crate) const OWN: [&str; 12] = [
    "mqtt_connected",
    "mqtt_connections_total",
    "mqtt_connection_failures_total",
    "mqtt_refused_subscriptions",
    "mqtt_messages_total",
    "mqtt_refused_values_total",
    "mqtt_over_budget_values_total",
    "mqtt_announced_entities",
    "mqtt_series",
    "mqtt_series_limit",
    "mqtt_device_messages_total",
    "mqtt_device_last_message_timestamp_seconds",
];

/// How each broker does, by name.
pub(crate) type Brokers = Arc<Mutex<BTreeMap<Arc<str>, Arc<Status>>>>;

/// Everything that `/metrics` shows.
pub(crate) struct Series {
    pub(crate) intake: Arc<Mutex<Intake>>,
    pub(crate) brokers: Brokers,
}

impl Collect for Series {
    fn collect(&self, out: &mut Encoder) {
        self.brokers(out);
        let mut intake = lock(&self.intake);
        intake.readings.sweep(Instant::now());
        messages(&intake, out);
        readings(&intake, out);
    }
}

impl Series {
    fn brokers(&self, out: &mut Encoder) {
        let brokers = self
            .brokers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut family = |name: &str, kind, help: &str, value: &dyn Fn(&Status) -> u64| {
            out.family(name, kind, help);
            for (broker, status) in &brokers {
                out.sample(&Labels::new([("broker", broker)]), value(status));
            }
        };
        family(
            "mqtt_connected",
            Kind::Gauge,
            "Whether the broker is connected",
            &|s| u64::from(s.connected.load(Relaxed)),
        );
        family(
            "mqtt_connections_total",
            Kind::Counter,
            "Connections to the broker that came about",
            &|s| s.connections.load(Relaxed),
        );
        family(
            "mqtt_refused_subscriptions",
            Kind::Gauge,
            "Topic filters that the broker did not grant; the log names them",
            &|s| s.refused.load(Relaxed),
        );
        out.family(
            "mqtt_connection_failures_total",
            Kind::Counter,
            "Connections to the broker that did not come about or ended, by reason",
        );
        for (broker, status) in &brokers {
            for (reason, count) in Reason::ALL.iter().zip(&status.failures) {
                let labels = Labels::new([("broker", &**broker), ("reason", reason.as_str())]);
                out.sample(&labels, count.load(Relaxed));
            }
        }
    }
}

fn messages(intake: &Intake, out: &mut Encoder) {
    out.family(
        "mqtt_messages_total",
        Kind::Counter,
        "Messages, each by how it ended",
    );
    for (broker, outcome, count) in intake.messages() {
        out.sample(
            &Labels::new([("broker", broker), ("result", outcome.as_str())]),
            count,
        );
    }
    out.family(
        "mqtt_refused_values_total",
        Kind::Counter,
        "Values that became no series, by reason; budget means that there was no room for another series",
    );
    for (reason, count) in intake.refused() {
        out.sample(&Labels::new([("reason", reason.as_str())]), count);
    }
    out.family(
        "mqtt_over_budget_values_total",
        Kind::Counter,
        "Values and entities for which there was no room, by topic; other beyond the first 20 topics",
    );
    for (topic, count) in intake.over_budget() {
        out.sample(&Labels::new([("topic", topic)]), count);
    }
    out.family(
        "mqtt_announced_entities",
        Kind::Gauge,
        "Entities that have announced themselves (Home Assistant's discovery)",
    );
    out.sample(Labels::none(), intake.announced.len());
    let (bounds, (known, unknown)) = (intake.readings.bounds(), intake.readings.count());
    let mut pair = |name: &str, help: &str, (known, unknown): (usize, usize)| {
        out.family(name, Kind::Gauge, help);
        out.sample(&Labels::new([("devices", "known")]), known);
        out.sample(&Labels::new([("devices", "unknown")]), unknown);
    };
    pair(
        "mqtt_series",
        "Series of readings, of devices of the inventory and of topics that no device publishes",
        (known, unknown),
    );
    pair(
        "mqtt_series_limit",
        "Most series of readings",
        (bounds.known, bounds.unknown),
    );
    out.family(
        "mqtt_device_messages_total",
        Kind::Counter,
        "Messages of topics that the inventory says the device publishes; not those that the broker had kept",
    );
    for (labels, published) in intake.published() {
        out.sample(labels, published.messages);
    }
    out.family(
        "mqtt_device_last_message_timestamp_seconds",
        Kind::Gauge,
        "When the last of these messages came, Unix time; none since the start: no sample",
    );
    for (labels, published) in intake.published() {
        if let Some(since) = published
            .last
            .and_then(|last| last.duration_since(UNIX_EPOCH).ok())
        {
            out.sample(labels, since.as_secs_f64());
        }
    }
}

fn readings(intake: &Intake, out: &mut Encoder) {
    let metrics = intake.rules().metrics();
    intake.readings.each(|name, all| {
        let Some(metric) = metrics.get(name) else {
            return;
        };
        let kind = if metric.counter {
            Kind::Counter
        } else {
            Kind::Gauge
        };
        out.family(name, kind, &metric.help);
        for (device, own, value) in all {
            out.sample_with(device, own, value);
        }
    });
}
