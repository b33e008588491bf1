//! What users' browsers measure of web pages: the parts of `sotp-rum`.
//!
//! ```text
//! browser (Faro web SDK) ─► POST /collect ─► payload ─► web vitals ─► histograms by application, route and rating
//!                                                  └──► exceptions ─► lines to Loki (libs/loki)
//! ```
//! Nothing that tells who somebody is gets past the payload: no address, no user, no query of a URL.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

mod app;
mod collect;
mod config;
mod exception;
mod flags;
mod metrics;
pub mod payload;
mod pseudonym;
mod rate;
pub mod route;
pub mod spans;
mod statistics;
pub mod vital;

pub use app::Service;
