//! The flags of its own.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use inventory::Source;

#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// File with the devices: YAML, or its JSON form. It is followed; a change is live within two seconds.
    #[arg(
        long = "inventory.source",
        env = "SOTP_INVENTORY_SOURCE",
        value_name = "PATH",
        default_value = "inventory.yaml",
        value_parser = path,
        help_heading = "Inventory"
    )]
    pub(crate) source: PathBuf,
    #[command(flatten)]
    pub(crate) guard: devices::GuardFlags,
    /// Where the inventory is edited, asks for the password of a web user also for discovery (/sd/), metrics and health, which anybody may
    /// read else.
    #[arg(
        long = "inventory.lock-reading",
        env = "SOTP_INVENTORY_LOCK_READING",
        value_parser = FalseyValueParser::new(),
        help_heading = "Inventory"
    )]
    pub(crate) lock_reading: bool,
    /// Prints the JSON Schema of the inventory file and exits.
    #[arg(
        long = "inventory.print-schema",
        visible_alias = "print-schema",
        env = "SOTP_INVENTORY_PRINT_SCHEMA",
        value_parser = FalseyValueParser::new(),
        help_heading = "Inventory"
    )]
    pub(crate) print_schema: bool,
}

/// A path; the other services take a URL in this flag too, and this one is what answers there.
fn path(text: &str) -> Result<PathBuf, String> {
    match text.parse::<Source>() {
        Ok(Source::File(path)) => Ok(path),
        _ => {
            Err("expected the path of a file; this service is what others follow by URL".to_owned())
        }
    }
}
