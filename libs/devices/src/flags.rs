//! The flags of a service that follows devices.

use std::path::PathBuf;

use anyhow::Context as _;
use inventory::{Feed, Guard, InvalidSource, Source, UrlOptions};
use toolkit::{App, BadInput};

use crate::{Readiness, follow};

/// Where the devices stand when nothing else is said.
const DEFAULT: &str = "inventory.yaml";

/// Where the devices come from and how their URL is asked: the same flags at every service. A secret is in a file, never in an argument.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Devices: a file, or the http or https URL of sotp-inventory [default: inventory.yaml].
    #[arg(
        long = "inventory.source",
        env = "SOTP_INVENTORY_SOURCE",
        value_name = "PATH|URL",
        help_heading = "Inventory"
    )]
    source: Option<String>,
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
    /// PEM certificate chain with which the service shows the URL of the inventory who it is; read again when it changes.
    #[arg(
        long = "inventory.cert-file",
        env = "SOTP_INVENTORY_CERT_FILE",
        value_name = "PATH",
        requires = "key_file",
        help_heading = "Inventory"
    )]
    cert_file: Option<PathBuf>,
    /// PEM key of that certificate.
    #[arg(
        long = "inventory.key-file",
        env = "SOTP_INVENTORY_KEY_FILE",
        value_name = "PATH",
        requires = "cert_file",
        help_heading = "Inventory"
    )]
    key_file: Option<PathBuf>,
    /// Where the last good inventory of the URL is kept, so that a start succeeds while the URL does not answer.
    #[arg(
        long = "inventory.cache-file",
        env = "SOTP_INVENTORY_CACHE_FILE",
        value_name = "PATH",
        help_heading = "Inventory"
    )]
    cache_file: Option<PathBuf>,
    #[command(flatten)]
    guard: GuardFlags,
}

/// How many devices may go at once: the same flag at every service that reads an inventory.
#[derive(Debug, Clone, Copy, clap::Args)]
#[group(skip)]
pub struct GuardFlags {
    /// Share of the devices that may vanish from the inventory at once, 0 to 1: what takes more of ten or more, or all, is held back until
    /// it stands unchanged for a minute or is confirmed by POST /-/reload. 1 takes everything.
    #[arg(
        long = "inventory.shrink-limit",
        env = "SOTP_INVENTORY_SHRINK_LIMIT",
        value_name = "SHARE",
        default_value_t = Guard::DEFAULT_LIMIT,
        value_parser = share,
        help_heading = "Inventory"
    )]
    limit: f64,
}

impl Default for GuardFlags {
    fn default() -> Self {
        Self {
            limit: Guard::DEFAULT_LIMIT,
        }
    }
}

impl GuardFlags {
    /// The guard that it asks for.
    #[must_use]
    pub fn guard(self) -> Guard {
        Guard::new(self.limit)
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

impl Flags {
    /// What `--inventory.source` says, where it says something.
    #[must_use]
    pub fn given(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The source that these flags name together.
    ///
    /// # Errors
    /// There are flags for a URL, and the source is a file.
    pub fn source(&self) -> Result<Source, InvalidSource> {
        let options = UrlOptions {
            ca_file: self.ca_file.clone(),
            cert_file: self.cert_file.clone(),
            key_file: self.key_file.clone(),
            username: self.username.clone(),
            password_file: self.password_file.clone(),
            bearer_token_file: self.bearer_token_file.clone(),
            cache_file: self.cache_file.clone(),
        };
        let Ok(source) = self.given().unwrap_or(DEFAULT).parse::<Source>();
        match source {
            Source::File(_) if options != UrlOptions::default() => Err(InvalidSource::File),
            source => Ok(source.with_options(options)),
        }
    }

    /// Opens the source and reads it once.
    ///
    /// # Errors
    /// As [`Flags::source`] and [`Feed::open`], with the name of the flag.
    pub async fn open(&self) -> anyhow::Result<Feed> {
        let source = self.source().context("--inventory.source")?;
        let feed = Feed::open_guarded(source, self.guard.guard());
        feed.await.context("--inventory.source")
    }

    /// Reads the source once, for `--config.check`; answers a line on what was found good.
    ///
    /// # Errors
    /// What is wrong with the flags or the file; a URL that does not answer, or with a bad inventory.
    pub fn check(&self) -> Result<String, BadInput> {
        let bad = |error: anyhow::Error| BadInput(format!("{error:#}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| bad(error.into()))?;
        let feed = runtime.block_on(self.open()).map_err(bad)?;
        let (health, inventory) = (feed.health(), feed.current());
        match health.last_error {
            None => Ok(format!(
                "{}: inventory is good: {} devices, {} sites",
                health.source,
                inventory.devices().len(),
                inventory.sites().len()
            )),
            Some(why) => Err(BadInput(format!("--inventory.source: {why}"))),
        }
    }

    /// Opens the source and [follows](follow) it; the service is ready once there is an inventory.
    ///
    /// # Errors
    /// As [`Flags::open`].
    pub async fn follow(&self, app: &mut App) -> anyhow::Result<Feed> {
        let feed = self.open().await?;
        follow(app, &feed, Readiness::WaitsForInventory);
        Ok(feed)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn source(line: &str) -> Result<Source, InvalidSource> {
        Line::parse_from(format!("x {line}").split_whitespace())
            .flags
            .source()
    }

    #[test]
    fn a_file_and_a_url_are_told_apart_and_a_file_has_no_credentials() {
        assert_eq!(source(""), Ok(Source::File(DEFAULT.into())));
        assert_eq!(
            source("--inventory.source=net.yaml"),
            Ok(Source::File("net.yaml".into()))
        );
        let url =
            "--inventory.source=https://inventory.example.org --inventory.bearer-token-file=token";
        let Ok(Source::Url { url, options }) = source(url) else {
            panic!("{:?}", source(url));
        };
        assert_eq!(url, "https://inventory.example.org");
        assert_eq!(options.bearer_token_file, Some("token".into()));
        assert_eq!(
            source("--inventory.ca-file=ca.pem"),
            Err(InvalidSource::File)
        );
    }
}
