//! The local stack: our services, Prometheus, Alertmanager and, where found, Grafana, Loki and Tempo.

use std::process::ExitCode;

/// Flags of `sotp-lab stack`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Starts the stack and stays until it is interrupted.
pub(crate) fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this build has no stack launcher")
}
