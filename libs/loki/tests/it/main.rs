//! Lines on their way to the strict double of Loki.
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod delivery;
mod fault;
