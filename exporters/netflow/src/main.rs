//! `sotp-netflow`: takes NetFlow, IPFIX and sFlow from every device.

fn main() -> std::process::ExitCode {
    toolkit::main::<sotp_netflow::Service>()
}
