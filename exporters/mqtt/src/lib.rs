//! Readings of sensors from MQTT brokers: the parts of `sotp-mqtt`.
//!
//! ```text
//! broker ─► connection (rumqttc) ─► intake: topic ─► rules (data) ─► samples ─► readings ─► /metrics
//!                                          └────► owners (inventory): device, site, role
//! ```

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

pub mod announced;
mod app;
mod broker;
pub mod commands;
mod config;
mod flags;
pub mod intake;
mod metrics;
mod owners;
mod path;
pub mod readings;
pub mod rules;
mod session;
pub mod topic;

pub use app::Service;
