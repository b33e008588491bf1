//! What the program does beside the service: `sotp-netflow inspect` and `sotp-netflow replay`.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

pub mod inspect;
pub mod replay;

/// Exit status of bad usage or bad input (sysexits.h, EX_USAGE).
const BAD_INPUT: u8 = 64;
/// Largest capture that is read.
const LONGEST_FILE: u64 = 4 << 30;

/// Runs a command with the arguments behind `name`.
fn run<Args: Parser>(
    name: &str,
    args: impl IntoIterator<Item = OsString>,
    command: impl FnOnce(&Args) -> anyhow::Result<()>,
) -> ExitCode {
    let args = match Args::try_parse_from(std::iter::once(OsString::from(name)).chain(args)) {
        Ok(args) => args,
        Err(error) => {
            let bad = error.use_stderr();
            let _ = error.print();
            return ExitCode::from(if bad { BAD_INPUT } else { 0 });
        }
    };
    match command(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    use anyhow::Context as _;
    let length = std::fs::metadata(path)
        .with_context(|| path.display().to_string())?
        .len();
    anyhow::ensure!(
        length <= LONGEST_FILE,
        "{}: longer than 4 GiB",
        path.display()
    );
    std::fs::read(path).with_context(|| path.display().to_string())
}
