//! `sotp-panels`: asks every query of the dashboards of a Prometheus and names each panel that stays empty.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use sotp_checks::panels;
use sotp_checks::prometheus::Prometheus;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let flags = cli::Flags::parse();
    let prometheus = Prometheus::new(&flags.prometheus)?;
    let outcome = panels::run(&flags.dashboards, &prometheus, &flags.wanted()).await?;
    println!("{outcome}");
    Ok(ExitCode::from(u8::from(!outcome.empty.is_empty())))
}
