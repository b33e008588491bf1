//! The flags of its own: none.

/// No flags beyond those of every service.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {}
