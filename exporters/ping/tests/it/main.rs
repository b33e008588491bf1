//! The real binary, in network namespaces that the tests make, without any privilege.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bounds;
mod command;
mod compat;
mod exact;
mod golden;
mod load;
mod names;
mod native;
mod network;
mod once;
mod path;
mod probe;
mod responder;
mod rhythm;
mod secured;
mod service;
