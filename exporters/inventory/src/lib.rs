//! Answers for the devices of the network: the parts of `sotp-inventory`.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

mod api;
mod app;
mod config;
mod flags;
pub mod formats;
mod metrics;
mod reply;
mod sd;
mod store;
mod sync;

pub use app::Service;
