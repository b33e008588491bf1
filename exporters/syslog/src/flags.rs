//! The flags of its own.

use std::path::PathBuf;

/// Its own flags.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would be the text of --help")]
    pub devices: devices::Flags,

    /// Unix socket over which a new process takes the sockets of the running one, so that an upgrade loses nothing.
    #[arg(
        long = "handover.socket",
        env = "SOTP_HANDOVER_SOCKET",
        value_name = "PATH",
        help_heading = "Life"
    )]
    pub handover_socket: Option<PathBuf>,
}
