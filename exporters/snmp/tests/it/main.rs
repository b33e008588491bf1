//! The real binary against agents of the test, net-snmp, FRR, and beside Debian's snmp_exporter.
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod agent;
mod beside;
mod bounds;
mod created;
mod discover;
mod fixtures;
mod frugal;
mod generate;
mod golden;
mod http;
mod quirks;
mod reasons;
mod routers;
mod strict;
mod traps;
mod v3;
mod vault;
