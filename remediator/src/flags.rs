//! The flags of its own.

use clap::builder::FalseyValueParser;

/// The flags of its own.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would be the text of --help")]
    pub devices: devices::Flags,
    /// Prints the JSON Schema of a runbook and exits.
    #[arg(
        long = "runbook.print-schema",
        env = "SOTP_RUNBOOK_PRINT_SCHEMA",
        value_parser = FalseyValueParser::new(),
        help_heading = "Runbooks"
    )]
    pub print_schema: bool,
}
