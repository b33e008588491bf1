//! `sotp-rum`: what users' browsers measure of web pages.

fn main() -> std::process::ExitCode {
    toolkit::main::<sotp_rum::Service>()
}
