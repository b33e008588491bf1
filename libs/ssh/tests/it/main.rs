//! Sessions with devices of the farm.

#![allow(clippy::unwrap_used, reason = "tests")]

mod drivers;
mod sessions;
