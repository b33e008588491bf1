//! Asks devices over SNMP and exports what `snmp.yml` says: the parts of `sotp-snmp`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod config;
pub mod oid;
