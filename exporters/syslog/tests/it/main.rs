//! The real binary under load, changed while it runs, taken over by another, and beside real senders.
#![allow(clippy::unwrap_used, reason = "a failed test should say where")]

mod forms;
mod full;
mod golden;
mod handover;
mod heavy;
mod load;
mod outputs;
mod recipes;
mod reload;
mod senders;
mod service;
mod unfinished;
mod ways;
mod world;
