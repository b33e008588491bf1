//! The flags of its own: none.

/// Its own flags.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Flags {}
