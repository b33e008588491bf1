//! `sotp-app`: builds the app plugin for Grafana from npm, into `target/app/dist`.

use std::process::ExitCode;

use clap::Parser;
use sotp_checks::app::{self, Part};

/// Build the app plugin for Grafana; `sotp-lab demo` and `up` then have it in Grafana.
#[derive(Debug, Parser)]
#[command(name = "sotp-app", version)]
struct Flags {
    /// Run its tests as well, and build what the tests in a browser need.
    #[arg(long)]
    test: bool,
    /// Build the page around it too, in which a browser shows it where there is no Grafana.
    #[arg(long)]
    page: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let flags = Flags::parse();
    if let Some(reason) = app::missing() {
        eprintln!("the app cannot be built: {reason}");
        return Ok(ExitCode::from(69));
    }
    let parts: &[Part] = if flags.test {
        &[Part::Plugin, Part::Tested, Part::Host]
    } else if flags.page {
        &[Part::Plugin, Part::Host]
    } else {
        &[Part::Plugin]
    };
    let app = app::build(parts)?;
    println!("{}", app.plugin().display());
    Ok(ExitCode::SUCCESS)
}
