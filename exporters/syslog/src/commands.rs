//! What is done on the command line without the service: `convert`, `explain` and `replay`.

mod convert;
mod explain;
mod replay;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

pub use explain::explanation;

/// Works on lines, configurations and dead letters without the service.
#[derive(Debug, Parser)]
#[command(name = "sotp-syslog", disable_version_flag = true)]
enum Command {
    /// Say what lines of syslog are taken for: device, time, severity, event, sentence, fields.
    ///
    /// Lines are read from standard input, one per line, as the device sends them: with or without <PRI>, of any
    /// vendor. Nothing is sent anywhere. The times that it shows are in UTC.
    #[command(after_help = "\
Examples:
  echo '<189>44: r1: *Nov 14 08:30:56.699 UTC: %SYS-5-CONFIG_I: Configured from console by op' | sotp-syslog explain
  sotp-syslog explain --json < /var/log/network.log | jq -r 'select(.event == \"unknown\") | .message'")]
    Explain {
        /// Write one JSON object per line instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Turn a configuration of Promtail (YAML) or Alloy into ours, and say what could not be carried over.
    ///
    /// The configuration goes to standard output, the notes to standard error. Nothing is changed.
    #[command(after_help = "\
Examples:
  sotp-syslog convert /etc/promtail/config.yml > syslog.yaml
  sotp-syslog convert /etc/alloy/config.alloy > syslog.yaml && sotp-syslog --config.file=syslog.yaml --config.check")]
    Convert {
        /// The configuration of Promtail or Alloy.
        file: PathBuf,
    },
    /// Send dead letters to their destination again.
    ///
    /// Every line keeps the time stamp that it was given when it was received, so that a line which is already stored
    /// is not stored twice. What is refused again is written to FILE.refused with the reason.
    #[command(after_help = "\
Example:
  mv dead-letters.jsonl old.jsonl && sotp-syslog replay --config.file=syslog.yaml old.jsonl")]
    Replay {
        /// The configuration with the destination.
        #[arg(long = "config.file", env = "SOTP_CONFIG_FILE", value_name = "PATH")]
        config: PathBuf,
        #[command(flatten)]
        devices: Box<devices::Flags>,
        /// The dead-letter file, best moved away first.
        file: PathBuf,
    },
}

/// The end of a run that needs no service.
#[must_use]
pub fn early() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    let first = arguments.get(1).map_or("", String::as_str);
    if !matches!(first, "convert" | "explain" | "replay") {
        return crate::handover::early(&arguments);
    }
    let result = match Command::parse() {
        Command::Convert { file } => convert::convert(&file),
        Command::Explain { json } => explain::explain(json),
        Command::Replay {
            config,
            devices,
            file,
        } => replay::replay(&config, &devices, &file),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    })
}
