//! The doubles of programs that tests talk to.
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod grafana;
mod otlp;
mod roster;
