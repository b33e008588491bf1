//! `sotp-syslog`: receives syslog, translates it and delivers it to Loki.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Thousands of connections hold something for a moment; kept in a heap for each thread, that would add up.
    netio::memory::bound_heaps(2, 256 * 1024);
    sotp_syslog::commands::early().unwrap_or_else(toolkit::main::<sotp_syslog::app::Service>)
}
