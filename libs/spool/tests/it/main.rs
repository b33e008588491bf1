//! The queue as its users see it: against a model, with failing storage, and killed under load.
#![allow(clippy::unwrap_used, reason = "a failed test should say where")]

mod basics;
mod damage;
mod faults;
mod kill;
mod memory;
mod model;
