//! The parts of `sotp-syslog`: receiving, reading and translating syslog in front of Loki.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod app;
pub mod commands;
pub mod config;
pub mod convert;
pub mod copy;
pub mod flags;
pub mod framing;
pub mod fuzz;
pub mod handover;
pub mod header;
pub mod intake;
pub mod listeners;
pub mod metrics;
pub mod names;
pub mod proxy;
pub mod record;
pub mod render;
pub mod statistics;
pub mod stream;
pub mod text;
pub mod tls;
pub mod translate;
pub mod udp;
pub mod webhooks;
