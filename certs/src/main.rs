//! `sotp-certs`: gives each part of the stack a certificate of this machine's own authority, and renews it.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test may end where it stands")
)]

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    cli::run(&cli::Arguments::parse())
}
