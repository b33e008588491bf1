//! The configuration files that the launcher writes for the programs of others.
//!
//! Only keys that the oldest supported version knows (Debian's Prometheus 2.42, Alertmanager 0.25), and
//! only listeners on loopback, but for the port that devices send their messages to.

use std::time::Duration;

pub(crate) mod alertmanager;
pub(crate) mod grafana;
pub(crate) mod loki;
pub(crate) mod ping;
pub(crate) mod prometheus;
pub(crate) mod syslog;
pub(crate) mod tempo;

/// A string as a YAML double-quoted scalar (YAML 1.2 §5.7: every JSON string is one).
fn quoted(text: impl AsRef<str>) -> String {
    serde_json::Value::from(text.as_ref()).to_string()
}

/// A duration as Prometheus and its kin read it; whole milliseconds.
fn duration(time: Duration) -> String {
    match time.as_millis() {
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}
