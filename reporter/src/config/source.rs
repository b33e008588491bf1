//! Servers that are read from beside Prometheus.

use std::path::{Path, PathBuf};

use loki::{BasicAuth, Section, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::Duration;

use super::address::address;

/// A server that is read from. Relative paths begin at the configuration's folder.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    /// Address of the server, such as `http://loki:3100`, without a path of its interface.
    url: String,
    /// `X-Scope-OrgID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// A user with a password in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    basic_auth: Option<BasicAuth>,
    /// A file with a token, in place of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bearer_token_file: Option<PathBuf>,
    /// PEM certificates that the server's must descend from, in place of those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    /// Certificate chain of the client, PEM; with `key_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cert_file: Option<PathBuf>,
    /// Key of the client, PEM; with `cert_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    /// How long one question may take; 30s unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
}

impl RawSource {
    /// Checks it; the paths of errors are those inside the section.
    pub(super) fn check(&self, base: &Path) -> Result<Source, (String, String)> {
        let url = address(&self.url).map_err(|(_, message)| ("url".to_owned(), message))?;
        let mut section = Section::new(url);
        section.tenant.clone_from(&self.tenant);
        section.basic_auth.clone_from(&self.basic_auth);
        section
            .bearer_token_file
            .clone_from(&self.bearer_token_file);
        section.ca_file.clone_from(&self.ca_file);
        section.cert_file.clone_from(&self.cert_file);
        section.key_file.clone_from(&self.key_file);
        section.timeout = Some(self.timeout.unwrap_or(Duration::from_secs(30)));
        let to = section.check(base)?;
        Source::new(&to).map_err(|error| ("url".to_owned(), toolkit::chain(&error)))
    }

    /// The files that it names, but for secrets, which are read again by themselves.
    pub(super) fn files(&self, base: &Path) -> Vec<PathBuf> {
        [&self.ca_file, &self.cert_file, &self.key_file]
            .into_iter()
            .flatten()
            .map(|file| base.join(file))
            .collect()
    }
}
