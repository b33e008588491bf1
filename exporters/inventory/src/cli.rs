//! The flags of its own, and what is done about them before the service lives.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::FalseyValueParser;
use inventory::Inventory;

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

#[derive(Parser)]
struct All {
    #[command(flatten)]
    toolkit: toolkit::Flags,
    #[command(flatten)]
    own: Flags,
}

/// The end of a run that needs no service: the schema, or an inventory that is wrong.
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
    if toolkit.config_print_default {
        return None;
    }
    match check(&own.source) {
        Ok(line) if toolkit.config_check => {
            let _ = writeln!(std::io::stdout(), "{line}");
            None
        }
        Ok(_) => None,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            Some(ExitCode::from(USAGE))
        }
    }
}

/// Reads the whole inventory; answers what there is in it.
fn check(path: &std::path::Path) -> anyhow::Result<String> {
    let inventory = Inventory::read(path)?;
    let (devices, sites) = (inventory.devices().len(), inventory.sites().len());
    Ok(format!(
        "{}: inventory is good: {devices} devices, {sites} sites",
        path.display()
    ))
}
