//! Tomorrow's traffic from the history in Prometheus, with its own error beside it: the parts of `sotp-forecast`.
//!
//! History comes as one value for each quarter of an hour ([`history`]), is cleaned of what must not be learnt ([`clean`]), and is learnt by
//! models behind one trait ([`model`]), the best of which is chosen by back-test ([`backtest`]) and gets a band calibrated on its own errors
//! ([`band`]). What does not beat the better of the two naive forecasts is not told.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

mod anomaly;
mod app;
pub mod backtest;
pub mod band;
pub mod calendar;
pub mod capacity;
pub mod clean;
mod config;
pub mod fit;
mod flags;
pub mod history;
mod metrics;
pub mod model;
mod peers;
mod state;
mod store;
mod watch;

pub use app::Service;

/// Seconds of a slot: one value of a series.
pub const SLOT: i64 = 900;
/// Slots of a day.
pub const DAY: usize = 96;
/// Slots of a week.
pub const WEEK: usize = 7 * DAY;
