//! Where copies of reports go.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::SecretFile;

use crate::copies::{Bucket, Copies};

use super::address::address;

/// How long putting one file may take.
const TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCopies {
    /// A folder; each report has one of its own in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<PathBuf>,
    /// A bucket of S3, or of what speaks like it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s3: Option<RawBucket>,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawBucket {
    /// Address of the server; the bucket is the first part of the path.
    url: String,
    /// The bucket.
    bucket: String,
    /// Before the name of each object, such as `sotp/`.
    #[serde(default)]
    prefix: String,
    /// The region; `us-east-1` unless given.
    #[serde(default = "region")]
    region: String,
    /// The id of the access key.
    access_key_id: String,
    /// File with the secret of the access key; it is read again when it changes.
    secret_key_file: PathBuf,
    /// PEM certificates that the server's must descend from, in place of those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
}

fn region() -> String {
    "us-east-1".to_owned()
}

impl RawCopies {
    /// Checks it; the paths of errors are those inside the section.
    pub(super) fn check(&self, base: &Path) -> Result<Copies, (String, String)> {
        let bucket = self.s3.as_ref().map(|s3| s3.check(base)).transpose();
        Ok(Copies {
            folder: self.folder.as_ref().map(|folder| base.join(folder)),
            bucket: bucket.map_err(|(key, message)| (format!("s3.{key}"), message))?,
        })
    }
}

impl RawBucket {
    fn check(&self, base: &Path) -> Result<Bucket, (String, String)> {
        let wrong = |key: &str, message: String| (key.to_owned(), message);
        let url = address(&self.url).map_err(|(_, message)| wrong("url", message))?;
        let plain = |text: &str, more: &str| {
            let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || more.contains(c);
            text.len() <= 200 && text.chars().all(good)
        };
        let expected = "expected letters, digits and '.', '_', '-'".to_owned();
        for (key, text) in [("bucket", &self.bucket), ("region", &self.region)] {
            if text.is_empty() || !plain(text, "") {
                return Err(wrong(key, expected));
            }
        }
        if !plain(&self.prefix, "/") {
            return Err(wrong("prefix", format!("{expected} and '/'")));
        }
        if self.access_key_id.is_empty() || !plain(&self.access_key_id, "") {
            return Err(wrong("access_key_id", expected));
        }
        let unreadable = |file: &Path, error: String| {
            format!("expected a readable file, {}: {error}", file.display())
        };
        let secret = SecretFile::open(base.join(&self.secret_key_file)).map_err(|error| {
            let message = unreadable(&self.secret_key_file, error.to_string());
            wrong("secret_key_file", message)
        })?;
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(TIMEOUT);
        if url.starts_with("http://") {
            // No certificate is ever looked at: do not search the system for any.
            builder = builder.tls_certs_only([]);
        }
        if let Some(file) = &self.ca_file {
            let wrong = |error: String| wrong("ca_file", unreadable(file, error));
            let pem = std::fs::read(base.join(file)).map_err(|error| wrong(error.to_string()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| wrong(error.to_string()))?;
            builder = builder.tls_certs_only(certificates);
        }
        // An error says that it was done before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Bucket {
            http: builder
                .build()
                .map_err(|error| wrong("url", error.to_string()))?,
            url,
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            secret: Arc::new(secret),
        })
    }
}
