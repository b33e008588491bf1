//! What the program does beside the service: `sotp-snmp generate` and `sotp-snmp discover`.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

pub mod discover;
pub mod generate;

/// Exit status of bad usage or bad input (sysexits.h, EX_USAGE).
const BAD_INPUT: u8 = 64;

/// The arguments behind the name of a subcommand, or the status to exit with.
fn arguments<Args: Parser>(
    name: &str,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Args, ExitCode> {
    Args::try_parse_from(std::iter::once(OsString::from(name)).chain(args)).map_err(|error| {
        let bad = error.use_stderr();
        let _ = error.print();
        ExitCode::from(if bad { BAD_INPUT } else { 0 })
    })
}
