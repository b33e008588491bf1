//! Flags of a service that reads the inventory from a URL.

use std::path::PathBuf;

use crate::source::{InvalidSource, Source, UrlOptions};

/// How the URL of the inventory is asked: the same flags at every service. A secret is in a file, never in an argument.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct UrlFlags {
    /// User for the URL of the inventory (basic authentication).
    #[arg(
        long = "inventory.username",
        env = "SOTP_INVENTORY_USERNAME",
        value_name = "NAME",
        requires = "password_file",
        help_heading = "Inventory"
    )]
    username: Option<String>,
    /// File with the password of that user; read again when it changes.
    #[arg(
        long = "inventory.password-file",
        env = "SOTP_INVENTORY_PASSWORD_FILE",
        value_name = "PATH",
        requires = "username",
        help_heading = "Inventory"
    )]
    password_file: Option<PathBuf>,
    /// File with a bearer token for the URL of the inventory, in place of a user; read again when it changes.
    #[arg(
        long = "inventory.bearer-token-file",
        env = "SOTP_INVENTORY_BEARER_TOKEN_FILE",
        value_name = "PATH",
        conflicts_with = "username",
        help_heading = "Inventory"
    )]
    bearer_token_file: Option<PathBuf>,
    /// PEM certificates of the authorities to trust for the URL of the inventory, in place of those of the system.
    #[arg(
        long = "inventory.ca-file",
        env = "SOTP_INVENTORY_CA_FILE",
        value_name = "PATH",
        help_heading = "Inventory"
    )]
    ca_file: Option<PathBuf>,
    /// Where the last good inventory of the URL is kept, so that a start succeeds while the URL does not answer.
    #[arg(
        long = "inventory.cache-file",
        env = "SOTP_INVENTORY_CACHE_FILE",
        value_name = "PATH",
        help_heading = "Inventory"
    )]
    cache_file: Option<PathBuf>,
}

impl UrlFlags {
    /// The source that `--inventory.source` and these flags name together.
    ///
    /// # Errors
    /// There are flags for a URL, and the source is a file.
    pub fn source(&self, text: &str) -> Result<Source, InvalidSource> {
        let options = UrlOptions {
            ca_file: self.ca_file.clone(),
            username: self.username.clone(),
            password_file: self.password_file.clone(),
            bearer_token_file: self.bearer_token_file.clone(),
            cache_file: self.cache_file.clone(),
        };
        let Ok(source) = text.parse::<Source>();
        match source {
            Source::File(_) if options != UrlOptions::default() => Err(InvalidSource::File),
            source => Ok(source.with_options(options)),
        }
    }
}
