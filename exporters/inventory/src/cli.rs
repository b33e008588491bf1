//! The flags of its own, and what is done about them before the service lives.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::FalseyValueParser;
use inventory::{Inventory, Source};

/// Exit code for flags or an inventory that are not right: EX_USAGE of sysexits(3).
const USAGE: u8 = 64;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Flags {
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
    /// Prints the JSON Schema of the inventory file and exits.
    #[arg(
        long = "inventory.print-schema",
        visible_alias = "print-schema",
        env = "SOTP_INVENTORY_PRINT_SCHEMA",
        value_parser = FalseyValueParser::new(),
        help_heading = "Inventory"
    )]
    print_schema: bool,
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

#[derive(Parser)]
struct All {
    #[command(flatten)]
    toolkit: toolkit::Flags,
    #[command(flatten)]
    own: Flags,
}

/// The end of a run that needs no service: the schema, or an inventory that is checked and wrong.
///
/// Flags that are wrong are left to the toolkit, which says so for every service alike.
pub(crate) fn early() -> Option<ExitCode> {
    let All { toolkit, own } = All::try_parse().ok()?;
    if own.print_schema {
        let written = std::io::stdout().write_all(inventory::json_schema().as_bytes());
        return Some(if written.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    if !toolkit.config_check || toolkit.config_print_default {
        return None;
    }
    match Inventory::read(&own.source) {
        Ok(inventory) => {
            let (devices, sites) = (inventory.devices().len(), inventory.sites().len());
            let path = own.source.display();
            let _ = writeln!(
                std::io::stdout(),
                "{path}: inventory is good: {devices} devices, {sites} sites"
            );
            None
        }
        Err(error) => Some(ExitCode::from(told(error))),
    }
}

/// Ends the process over an inventory that is wrong at the start, when nothing runs yet.
pub(crate) fn refuse(error: inventory::Error) -> ! {
    std::process::exit(told(error).into())
}

/// Says what is wrong; answers the exit code.
fn told(error: inventory::Error) -> u8 {
    let _ = writeln!(std::io::stderr(), "error: {:#}", anyhow::Error::from(error));
    USAGE
}
