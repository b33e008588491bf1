//! `sotp-panels`: asks every query of the dashboards of a Prometheus and names each panel that stays empty.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use sotp_checks::panels::{self, Wanted};
use sotp_checks::prometheus::Prometheus;

/// Ask every query of the dashboards of a running Prometheus, and fail naming each panel that stays empty.
#[derive(Debug, Parser)]
#[command(name = "sotp-panels", version)]
struct Flags {
    /// Address of the Prometheus to ask.
    #[arg(long, value_name = "URL", env = "SOTP_PROMETHEUS_URL", default_value = "http://127.0.0.1:9090")]
    prometheus: String,
    /// Ask only the panels that need this condition (such as `firing`); they are left out otherwise.
    #[arg(long = "while", value_name = "CONDITION")]
    condition: Option<String>,
    /// The folder of the dashboards.
    #[arg(long, value_name = "FOLDER", default_value = "dashboards")]
    dashboards: PathBuf,
    /// The value of a variable, instead of the first that is found.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    variables: Vec<(String, String)>,
    /// Length of the time range, in seconds.
    #[arg(long, default_value_t = 300)]
    range: u64,
    /// Interval between two scrapes, in seconds.
    #[arg(long, default_value_t = 1)]
    scrape_interval: u64,
    /// How long empty panels may take to fill, in seconds.
    #[arg(long, default_value_t = 30)]
    within: u64,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let flags = Flags::parse();
    let wanted = Wanted {
        condition: flags.condition,
        variables: flags.variables.into_iter().collect(),
        range: flags.range,
        scrape: flags.scrape_interval.max(1),
        within: Duration::from_secs(flags.within),
    };
    let outcome = panels::run(&flags.dashboards, &Prometheus::new(&flags.prometheus)?, &wanted).await?;
    println!("{outcome}");
    Ok(ExitCode::from(u8::from(!outcome.empty.is_empty())))
}
