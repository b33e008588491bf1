//! What is done on the command line without the service: `convert` and `discover`.

mod convert;
mod discover;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

pub use convert::{Converted, convert};

/// Writes rules and configurations without the service.
#[derive(Debug, Parser)]
#[command(name = "sotp-mqtt", disable_version_flag = true)]
enum Command {
    /// Turn a configuration of mqtt2prometheus into ours, and say what could not be carried over.
    ///
    /// Writes mqtt.yaml, rules.yaml and, where there is a password, mqtt-password (mode 600) into a folder; files that
    /// exist are not overwritten. The notes go to standard error.
    #[command(after_help = "\
Example:
  sotp-mqtt convert mqtt2prometheus.yaml --to /etc/sotp && sotp-mqtt --config.file=/etc/sotp/mqtt.yaml --config.check")]
    Convert {
        /// The configuration of mqtt2prometheus.
        file: PathBuf,
        /// The folder.
        #[arg(long, default_value = ".", value_name = "FOLDER")]
        to: PathBuf,
    },
    /// Listen to the brokers for a while, and write rules for what is published there.
    ///
    /// Nothing is published and no session is kept. The rules go to standard output, to be read, named and put into a file
    /// of rule_files; what the configured rules take already is left out and named on standard error.
    #[command(after_help = "\
Example:
  sotp-mqtt discover --config.file=mqtt.yaml --for 5m > rules.yaml")]
    Discover {
        /// The configuration with the brokers.
        #[arg(long = "config.file", env = "SOTP_CONFIG_FILE", value_name = "PATH")]
        config: PathBuf,
        /// How long, 1s to 1h.
        #[arg(long = "for", default_value = "60s", value_name = "DURATION")]
        time: String,
        /// Which topics, as a filter of MQTT.
        #[arg(long, default_value = "#", value_name = "FILTER")]
        topics: String,
    },
}

/// The end of a run that needs no service.
#[must_use]
pub fn early() -> Option<ExitCode> {
    let first = std::env::args().nth(1).unwrap_or_default();
    if !matches!(&*first, "convert" | "discover") {
        return None;
    }
    let result = match Command::parse() {
        Command::Convert { file, to } => convert::run(&file, &to),
        Command::Discover {
            config,
            time,
            topics,
        } => discover::run(&config, &time, &topics),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    })
}
