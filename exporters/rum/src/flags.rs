//! The flags of its own.

/// It has none beside those that every service has.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Flags {}
