//! A real network of routers in namespaces, the local stack and its demo.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cli;
mod demo;
mod doctor;
mod lab;
mod stack;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
