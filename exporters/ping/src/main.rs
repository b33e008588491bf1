//! `sotp-ping`: pings every device of the inventory.

fn main() -> std::process::ExitCode {
    sotp_ping::commands::main()
}
