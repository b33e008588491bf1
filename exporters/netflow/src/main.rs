//! `sotp-netflow`: takes NetFlow, IPFIX and sFlow from every device.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(first) if first == "inspect" => sotp_netflow::commands::inspect::run(args),
        Some(first) if first == "replay" => sotp_netflow::commands::replay::run(args),
        _ => toolkit::main::<sotp_netflow::Service>(),
    }
}
