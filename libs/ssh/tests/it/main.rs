//! Sessions with devices of the farm.

#![allow(clippy::unwrap_used, reason = "tests")]

mod changes;
mod drivers;
mod recordings;
mod sessions;
mod timers;
