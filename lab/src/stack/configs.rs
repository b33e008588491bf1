//! The configuration files that the launcher writes for the programs of others.
//!
//! Only keys that the oldest supported version knows (Debian's Prometheus 2.42, Alertmanager 0.25), and
//! only listeners on loopback, but for the port that devices send their messages to.

pub(crate) mod alertmanager;
pub(crate) mod gate;
pub(crate) mod grafana;
pub(crate) mod loki;
pub(crate) mod template;
pub(crate) mod tempo;

/// A string as a YAML double-quoted scalar (YAML 1.2 §5.7: every JSON string is one).
pub(crate) fn quoted(text: impl AsRef<str>) -> String {
    serde_json::Value::from(text.as_ref()).to_string()
}
