//! `sotp-ssh-config`: archives the configurations of devices.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Hundreds of configurations are in memory for a moment; kept in a heap for each thread, that would add up.
    netio::memory::bound_heaps(2, 64 * 1024);
    let mut args = std::env::args_os().skip(1);
    let first = args.next();
    if first.as_ref().is_some_and(|first| first == "record") {
        return sotp_ssh_config::record(args);
    }
    if first.is_some_and(|first| first == "test-rules") {
        return sotp_ssh_config::test_rules(args);
    }
    toolkit::main::<sotp_ssh_config::Service>()
}
