//! What the program does beside the service: `sotp-snmp generate` and `sotp-snmp discover`.

pub mod discover;
pub mod generate;
