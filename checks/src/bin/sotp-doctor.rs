//! `sotp-doctor grafana`: looks at a Grafana as its pages would, and says what is at fault and what to do.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use sotp_checks::grafana::{Grafana, Who};
use sotp_checks::panels::{self, Wanted};

/// Look at what is installed, and say what is at fault.
#[derive(Debug, Parser)]
#[command(name = "sotp-doctor", version)]
struct Flags {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Ask every query of the dashboards through a Grafana; look at its version, data sources, the SOTP app, and that no write passes it.
    Grafana(Asked),
}

#[derive(Debug, Parser)]
struct Asked {
    /// Its address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    url: String,
    /// A user of Grafana; without one and without a token the visitor is anonymous.
    #[arg(long, requires = "password_file")]
    user: Option<String>,
    /// A file with that user's password.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// A file with the token of a service account.
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    token_file: Option<PathBuf>,
    /// The folder of the dashboards.
    #[arg(long, value_name = "FOLDER", default_value = "dashboards")]
    dashboards: PathBuf,
    /// Ask the panels that are empty unless this condition (such as `firing`) holds.
    #[arg(long = "while", value_name = "CONDITION")]
    condition: Option<String>,
    /// Length of the time range, in seconds.
    #[arg(long, default_value_t = 3600)]
    range: u64,
    /// Interval between two scrapes, in seconds.
    #[arg(long, default_value_t = 15)]
    scrape_interval: u64,
}

impl Asked {
    fn who(&self) -> anyhow::Result<Who> {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            anyhow::Ok(text.trim_end().to_owned())
        };
        Ok(match (&self.user, &self.password_file, &self.token_file) {
            (Some(user), Some(file), _) => Who::User(user.clone(), read(file)?),
            (_, _, Some(file)) => Who::Token(read(file)?),
            _ => Who::Anonymous,
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let What::Grafana(asked) = Flags::parse().what;
    let grafana = Grafana::new(&asked.url, asked.who()?)?;
    let verdicts = grafana.itself().await?;
    for verdict in &verdicts {
        println!("{verdict}");
    }
    let wanted = Wanted {
        condition: asked.condition.clone(),
        variables: std::collections::BTreeMap::new(),
        range: asked.range.max(60),
        scrape: asked.scrape_interval.max(1),
        within: Duration::ZERO,
    };
    let outcome = panels::run(&asked.dashboards, &grafana, &wanted).await?;
    println!("{outcome}");
    let good = outcome.empty.is_empty() && verdicts.iter().all(|verdict| verdict.good);
    Ok(ExitCode::from(u8::from(!good)))
}
