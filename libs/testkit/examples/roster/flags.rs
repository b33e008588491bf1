//! The flags.

/// Its own flags, beside those that every service has.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) devices: devices::Flags,
    /// Value of the label job of its lines.
    #[arg(
        long = "roster.job",
        env = "SOTP_ROSTER_JOB",
        value_name = "NAME",
        default_value = "roster",
        help_heading = "Roster"
    )]
    pub(crate) job: String,
}
