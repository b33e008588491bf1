//! Repairs what it is allowed to repair: the parts of `sotp-remediator`.
//!
//! Alertmanager's webhook is stored before it is answered ([`webhook`], [`journal`]). An alert becomes a job of a [`runbook`]; the
//! [`engine`] drives it through the states of [`job`], held by the guard [`rails`]; [`decide`] looks at the device and says what it comes
//! to, and only what the platform's typed steps say reaches a device.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

pub mod api;
mod app;
pub mod clock;
pub mod commands;
pub mod config;
pub mod decide;
pub mod drift;
pub mod engine;
mod flags;
pub mod job;
pub mod journal;
pub mod lines;
pub mod metrics;
pub mod platform;
pub mod ports;
pub mod proof;
pub mod rails;
pub mod reach;
pub mod runbook;
pub mod session;
pub mod setup;
pub mod silences;
pub mod snmp;
pub mod text;
pub mod trial;
pub mod verbs;
pub mod webhook;

pub use app::Service;
pub use flags::Flags;
