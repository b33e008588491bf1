//! The lab and the stack together, as one show.

use std::process::ExitCode;

/// Flags of `sotp-lab demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Starts both and stays until it is interrupted.
pub(crate) fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this build has no demo")
}
