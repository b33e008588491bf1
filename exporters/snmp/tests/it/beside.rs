//! Debian's snmp_exporter and sotp-snmp against the same agents: the same text.

mod peer;
mod shipped;
mod types;
