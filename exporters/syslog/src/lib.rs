//! The parts of `sotp-syslog`: receiving, reading and translating syslog in front of Loki.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod header;
pub mod text;
pub mod translate;
