//! `sotp-tests`: runs what `cargo test --no-run` built, several tests at a time. Part of `make test`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Run the tests that cargo built, several at a time; those that checks/tests.toml names run alone or one of a group at a time.
#[derive(Debug, Parser)]
#[command(name = "sotp-tests", version)]
struct Flags {
    /// What `cargo test --no-run --message-format=json-render-diagnostics` wrote.
    built: PathBuf,
    /// Only tests with this in their package and name.
    #[arg(default_value = "")]
    only: String,
    /// How many at once, and up to three times as many while the processors have little to do [default: three for each processor]
    #[arg(long, value_name = "NUMBER")]
    at_once: Option<usize>,
    /// Lines `SECONDS PHASE` of what came before, for the report.
    #[arg(long, value_name = "FILE")]
    phases: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let flags = Flags::parse();
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let at_once = flags.at_once.unwrap_or(3 * processors);
    let passed =
        sotp_checks::runner::main(&flags.built, flags.phases.as_deref(), at_once, &flags.only)?;
    Ok(ExitCode::from(u8::from(!passed)))
}
