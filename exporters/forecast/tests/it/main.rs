//! The real program beside a real Prometheus over demonstration history.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod flood;
mod future;
mod golden;
mod made;
mod truth;
mod world;
