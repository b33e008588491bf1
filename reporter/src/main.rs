//! `sotp-reporter`: the availability of a month as PDF, CSV and mail.

fn main() -> std::process::ExitCode {
    sotp_reporter::commands::main()
}
