//! Takes NetFlow, IPFIX and sFlow from every device: the parts of `sotp-netflow`.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

mod app;
pub mod applications;
pub mod capture;
pub mod collector;
pub mod commands;
pub mod config;
pub mod decode;
pub mod duplicates;
mod flags;
pub mod flow;
pub mod fuzz;
pub mod inspect;
pub mod intake;
mod key;
pub mod knowledge;
pub mod loss;
mod metrics;
pub mod names;
pub mod networks;
mod numbers;
mod pages;
pub mod reverse;
pub mod session;
pub mod sinks;
mod state;
pub mod systems;
pub mod tables;
mod template;
pub mod totals;

pub use app::Service;
