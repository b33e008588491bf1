//! Pings every device each second and exports round trip, loss and reason.
//!
//! ```text
//! inventory ─► targets ─► commands ─► engine (own thread: sockets, timers, accounting) ─► counters ─► /metrics
//!                 ▲
//! DNS ─► resolve ─┘
//! ```
//!
//! [`echo`] reads what comes from the network and [`accounting`] counts it; both are free of side effects. The engine
//! owns the sockets and the time.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod accounting;
pub mod app;
pub mod clock;
pub mod commands;
pub mod compat;
pub mod config;
pub mod counters;
pub mod echo;
pub mod engine;
pub mod flags;
pub mod metrics;
pub mod mos;
pub mod path;
pub mod probe;
pub mod reason;
pub mod resolve;
pub mod targets;
pub mod wheel;
