//! Asks devices over SNMP and exports what `snmp.yml` says: the parts of `sotp-snmp`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

// The agent of the tests names this crate as they do.
#[cfg(test)]
extern crate self as sotp_snmp;

#[cfg(test)]
#[path = "../tests/it/agent.rs"]
mod agent;

pub mod app;
pub mod budget;
pub mod codec;
pub mod commands;
pub mod config;
pub mod deflate;
pub mod discover;
pub mod engine;
pub mod expose;
pub mod flags;
pub mod gate;
pub mod generate;
pub mod metrics;
pub mod mib;
pub mod neighbors;
pub mod oid;
pub mod ports;
pub mod probe;
pub mod reason;
pub mod samples;
pub mod scrape;
pub mod traps;
pub mod usm;
pub mod value;
pub mod vitals;
