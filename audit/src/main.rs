//! Verifies the audit logs of SOTP services.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod check;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Verifies audit logs.
///
/// Exit status: 0 when all is well, 1 when something is wrong with the log or it cannot be read, 64 for wrong usage.
#[derive(Debug, Parser)]
#[command(name = "sotp-audit", version, max_term_width = 100)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Finds every record that was changed, dropped, inserted or reordered, and names it.
    Verify(Verify),
    /// Prints number and hash of the newest record, to be kept elsewhere.
    Head {
        /// The folder of the log.
        path: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// The folder of the log, or one file of it.
    path: PathBuf,
    /// A record that was kept elsewhere, as NUMBER:HASH; repeatable. Only an anchor shows records missing at the end.
    #[arg(long = "anchor", value_name = "NUMBER:HASH")]
    anchors: Vec<access::audit::Anchor>,
    /// A file with an anchor on each line: NUMBER:HASH, or log lines of the service with seq and hash; other lines are passed over.
    #[arg(long = "anchors", value_name = "FILE")]
    anchors_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let command = Command::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { 64 } else { 0 });
    });
    let done = match command.what {
        What::Verify(verify) => {
            check::verify(&verify.path, verify.anchors, verify.anchors_file.as_deref())
        }
        What::Head { path } => check::head(&path),
    };
    done.unwrap_or_else(|error| {
        eprintln!("sotp-audit: {error:#}");
        ExitCode::FAILURE
    })
}
