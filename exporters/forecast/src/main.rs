//! `sotp-forecast`: tomorrow's traffic, with its own error beside it.

fn main() -> std::process::ExitCode {
    toolkit::main::<sotp_forecast::Service>()
}
