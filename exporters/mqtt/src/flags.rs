//! The flags of its own.

/// Its own flags.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Flags {
    #[command(flatten)]
    pub(crate) devices: devices::Flags,
}
