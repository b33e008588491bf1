//! `sotp-inventory`: answers for the devices of the network.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

mod api;
mod app;
mod cli;
mod config;
mod formats;
mod metrics;
mod reply;
mod sd;
mod store;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::early().unwrap_or_else(toolkit::main::<app::Service>)
}
