//! The flags of `sotp-panels`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use sotp_checks::panels::Wanted;

/// Ask every query of the dashboards of a running Prometheus, and fail naming each panel that stays empty.
#[derive(Debug, Parser)]
#[command(name = "sotp-panels", version)]
pub(crate) struct Flags {
    /// Address of the Prometheus to ask.
    #[arg(
        long,
        value_name = "URL",
        env = "SOTP_PROMETHEUS_URL",
        default_value = "http://127.0.0.1:9090"
    )]
    pub(crate) prometheus: String,
    /// Ask only the panels that need this condition (such as `firing`); they are left out otherwise.
    #[arg(long = "while", value_name = "CONDITION")]
    condition: Option<String>,
    /// The folder of the dashboards.
    #[arg(long, value_name = "FOLDER", default_value = "dashboards")]
    pub(crate) dashboards: PathBuf,
    /// The value of a variable, instead of each that is found in turn; may be given several times.
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

impl Flags {
    /// What these flags ask for.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            condition: self.condition.clone(),
            variables: self.variables.iter().cloned().collect(),
            range: self.range,
            scrape: self.scrape_interval.max(1),
            within: Duration::from_secs(self.within),
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
