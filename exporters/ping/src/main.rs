//! `sotp-ping`: pings every device of the inventory.

fn main() -> std::process::ExitCode {
    toolkit::main::<sotp_ping::app::Ping>()
}
