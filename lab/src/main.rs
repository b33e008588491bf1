//! A real network of routers in namespaces, the local stack and its demo.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod certificates;
mod cli;
mod credentials;
mod demo;
mod doctor;
mod files;
mod icmp;
mod inside;
mod interrupt;
mod kernel;
mod lab;
mod line;
mod node;
mod sensors;
mod stack;
mod supervise;
mod topology;
mod traffic;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
