//! Who else is told of each change: the section `webhook`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::{ClientFiles, SecretFile, SecretUrl};

/// The section `webhook`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    /// Where to post, such as `http://remediator:19095/api/v1/events/syslog`.
    #[schemars(with = "String")]
    url: SecretUrl,
    /// File with the secret that signs what is posted.
    secret_file: PathBuf,
    /// PEM certificates that the server's must descend from, in place of those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    /// Certificate chain of the client, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cert_file: Option<PathBuf>,
    /// Key of the client, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
}

impl Section {
    /// The checked section; paths are relative to `folder`.
    ///
    /// # Errors
    /// The field, and what was expected.
    pub(super) fn check(&self, folder: &Path) -> Result<Webhook, (&'static str, String)> {
        let url = self.url.reveal();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let found = format!("expected an http or https address, found {}", self.url);
            return Err(("url", found));
        }
        let file = folder.join(&self.secret_file);
        let secret = SecretFile::open(&file)
            .map_err(|error| ("secret_file", format!("{}: {error}", file.display())))?;
        let files = [&self.ca_file, &self.cert_file, &self.key_file];
        let files = ClientFiles::below(folder, files)
            .map_err(|expected| ("cert_file", expected.to_owned()))?;
        Ok(Webhook {
            url: self.url.clone(),
            secret: Arc::new(secret),
            files,
        })
    }
}

/// Who is told.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    /// Where to post.
    pub(crate) url: SecretUrl,
    /// What signs it.
    pub(crate) secret: Arc<SecretFile>,
    /// Certificates of the client.
    pub(crate) files: ClientFiles,
}
