//! Debian's snmp_exporter and sotp-snmp against the same agents: the same text.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod peer;
mod shipped;
mod types;
