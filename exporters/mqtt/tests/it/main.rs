//! Tests of `sotp-mqtt` against Debian's Mosquitto.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod connections;
mod golden;
mod readings;
mod support;
