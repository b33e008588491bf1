//! `sotp-remediator`: repairs what it is allowed to repair.

use std::process::ExitCode;

use sotp_remediator::{Service, commands};

fn main() -> ExitCode {
    commands::early()
        .unwrap_or_else(|| toolkit::main_from::<Service>(commands::arguments(), |_| {}))
}
