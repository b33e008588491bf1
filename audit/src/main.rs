//! Verifies the audit logs of SOTP services, and declares what is lost of them.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod check;

use std::path::PathBuf;
use std::process::ExitCode;

use access::audit;
use clap::{Parser, Subcommand};

/// Verifies audit logs.
///
/// Exit status: 0 when all is well, 1 when something is wrong with the log or it cannot be read, 2 when nothing is wrong but records are
/// declared as lost, 64 for wrong usage.
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
    /// Declares as lost what is missing or wrong, so that the service records again; what is wrong is set aside.
    Resume(Resume),
}

#[derive(Debug, clap::Args)]
struct Resume {
    /// The folder of the log.
    path: PathBuf,
    /// Why it is lost, for whoever verifies.
    #[arg(long)]
    reason: String,
    /// Who declares it.
    #[arg(long, env = "USER")]
    by: String,
    /// The newest record that is known, as NUMBER:HASH; repeatable. Needed where the file beside the folder is gone too.
    #[arg(long = "anchor", value_name = "NUMBER:HASH")]
    anchors: Vec<access::audit::Anchor>,
    /// The file in which the service notes its newest record.
    #[arg(
        long,
        value_name = "FILE",
        help = "The file in which the service notes its newest record [default: PATH.head]"
    )]
    head: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// The folder of the log, or one file of it.
    path: PathBuf,
    /// The record after which the log begins, as NUMBER:HASH: its older files were moved away. Without it, it begins with record 1.
    #[arg(long, value_name = "NUMBER:HASH")]
    genesis: Option<access::audit::Anchor>,
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
            let Verify {
                path,
                genesis,
                anchors,
                anchors_file,
            } = verify;
            check::verify(&path, genesis, anchors, anchors_file.as_deref())
        }
        What::Head { path } => check::head(&path),
        What::Resume(resume) => check::resume(&audit::Resume {
            folder: &resume.path,
            head: resume.head.as_deref(),
            anchors: &resume.anchors,
            by: &resume.by,
            reason: &resume.reason,
        }),
    };
    done.unwrap_or_else(|error| {
        eprintln!("sotp-audit: {error:#}");
        ExitCode::FAILURE
    })
}
