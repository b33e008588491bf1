//! `sotp-sizing`: what networks need, from what the benchmarks measured on this machine.

use std::path::PathBuf;

use clap::Parser;
use sotp_checks::{root, sizing};

/// Take what `make bench` measured for what docs/sizing.md is computed from, and compute it.
#[derive(Debug, Parser)]
#[command(name = "sotp-sizing", version)]
struct Flags {
    /// Where the benchmarks wrote.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    bench: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let root = root();
    sizing::take(&root, &root.join(Flags::parse().bench))?;
    sizing::write(&root)
}
