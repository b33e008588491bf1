//! The service: its engine with a device in memory, the program itself, and a real router behind it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod answers;
mod approvals;
mod bench;
mod bounds;
mod broken;
mod crash;
mod drift;
mod golden;
mod heals;
mod hosts;
mod incidents;
mod journal;
mod openapi;
mod rails;
mod room;
mod router;
mod runbooks;
#[path = "../../../exporters/inventory/tests/it/schemathesis.rs"]
mod schemathesis;
mod silences;
mod snmp_device;
mod snmp_proof;
mod streams;
mod telling;
mod timers;
