//! `sotp-cluster`: the all-in-one overlay on a cluster of this machine.

use std::process::ExitCode;

use clap::Parser;
use sotp_checks::{cluster, root};

/// Make a cluster with k3d or kind, put everything on it, and show Grafana.
#[derive(Debug, Parser)]
#[command(name = "sotp-cluster", version)]
struct Flags {}

fn main() -> anyhow::Result<ExitCode> {
    Flags::parse();
    let missing = cluster::missing();
    let (Some(maker), true) = (cluster::Maker::found(), missing.is_empty()) else {
        eprintln!("no cluster can be made: install {}", missing.join(" and "));
        return Ok(ExitCode::from(69));
    };
    cluster::up(&root(), maker)?;
    Ok(ExitCode::SUCCESS)
}
