//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Verifies audit logs.
///
/// Exit status: 0 when all is well, 1 when something is wrong with the log or it cannot be read, 2 when nothing is wrong but records are
/// declared as lost, 64 for wrong usage.
#[derive(Debug, Parser)]
#[command(name = "sotp-audit", version, max_term_width = 100)]
pub(crate) struct Command {
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
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
pub(crate) struct Resume {
    /// The folder of the log.
    pub(crate) path: PathBuf,
    /// Why it is lost, for whoever verifies.
    #[arg(long)]
    pub(crate) reason: String,
    /// Who declares it.
    #[arg(long, env = "USER")]
    pub(crate) by: String,
    /// The newest record that is known, as NUMBER:HASH; repeatable. Needed where the file beside the folder is gone too.
    #[arg(long = "anchor", value_name = "NUMBER:HASH")]
    pub(crate) anchors: Vec<access::audit::Anchor>,
    /// The file in which the service notes its newest record.
    #[arg(
        long,
        value_name = "FILE",
        help = "The file in which the service notes its newest record [default: PATH.head]"
    )]
    pub(crate) head: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The folder of the log, or one file of it.
    pub(crate) path: PathBuf,
    /// The record after which the log begins, as NUMBER:HASH: its older files were moved away. Without it, it begins with record 1.
    #[arg(long, value_name = "NUMBER:HASH")]
    pub(crate) genesis: Option<access::audit::Anchor>,
    /// A record that was kept elsewhere, as NUMBER:HASH; repeatable. Only an anchor shows records missing at the end.
    #[arg(long = "anchor", value_name = "NUMBER:HASH")]
    pub(crate) anchors: Vec<access::audit::Anchor>,
    /// A file with an anchor on each line: NUMBER:HASH, or log lines of the service with seq and hash; other lines are passed over.
    #[arg(long = "anchors", value_name = "FILE")]
    pub(crate) anchors_file: Option<PathBuf>,
    /// Writes the verdict as metrics too, for the textfile collector of node_exporter; also when the log cannot be read.
    #[arg(long, value_name = "FILE")]
    pub(crate) textfile: Option<PathBuf>,
}
