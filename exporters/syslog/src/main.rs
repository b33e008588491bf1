//! `sotp-syslog`: receives syslog, translates it and delivers it to Loki.

use std::process::ExitCode;

fn main() -> ExitCode {
    sotp_syslog::commands::early().unwrap_or_else(toolkit::main::<sotp_syslog::app::Service>)
}
