//! What the program does beside the service: `sotp-snmp generate`.

pub mod generate;
