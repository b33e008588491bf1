//! The sections of a service's configuration that say where lines go and where they wait.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::Duration;
use toolkit::{ClientFiles, SecretFile};

use crate::{Authentication, Destination, Format, Rate};

/// What is wrong with a section: the path inside it, and what was expected.
pub type Wrong = (String, String);

/// One Loki as it is written in a configuration file. Relative paths are relative to the file; durations are `500ms`, `1.5s`, `15m`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its name in labels, and that of the queue's reader: letters, digits, `-` and `_`.
    #[serde(default = "usual_name")]
    pub name: String,
    /// The full address, `http://loki:3100/loki/api/v1/push`.
    pub url: String,
    /// `X-Scope-OrgID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// A user with a password in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// A file with a token, in place of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<PathBuf>,
    /// PEM certificates that the server's must descend from, in place of those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Certificate chain of the client, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// Key of the client, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// `protobuf` (the default) or `json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// A batch is sent at so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_bytes: Option<usize>,
    /// A batch is sent at so many lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_lines: Option<usize>,
    /// A batch is sent when its oldest line has waited so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_age: Option<Duration>,
    /// Bytes a second; 0: as fast as they are taken. Else 3.8 MB/s, under Loki's default limit of 4 MB/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<f64>,
    /// Bytes at once after a pause; else those of 1.4 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst_bytes: Option<f64>,
    /// Streams in use within half an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_streams: Option<usize>,
    /// Longest line in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_line_bytes: Option<usize>,
    /// How long one request may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// The pause while nothing is taken until somebody acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_retry: Option<Duration>,
}

/// A user with a password in a file.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user.
    pub username: String,
    /// The file with the password; read again when it changes.
    pub password_file: PathBuf,
}

/// The queue on disk of a service that writes lines of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSection {
    /// The folder.
    pub path: PathBuf,
    /// Bytes that it may use, from 16 MiB; beyond them the oldest lines are given up and counted.
    pub max_bytes: u64,
}

impl Default for QueueSection {
    fn default() -> Self {
        Self {
            path: PathBuf::from("data/lines"),
            max_bytes: 256 << 20,
        }
    }
}

fn usual_name() -> String {
    "loki".to_owned()
}

impl Section {
    /// The section with nothing but an address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            name: usual_name(),
            url: url.into(),
            ..Self::default()
        }
    }

    /// Checks the section; relative paths are relative to `base`.
    ///
    /// # Errors
    /// The first thing that is wrong; files with secrets are read.
    pub fn check(&self, base: &Path) -> Result<Destination, Wrong> {
        let wrong = |field: &str, message: &str| (field.to_owned(), message.to_owned());
        if !(self.url.starts_with("http://") || self.url.starts_with("https://")) {
            let message = format!("expected an http or https address, found {:?}", self.url);
            return Err(wrong("url", &message));
        }
        let mut to = Destination::new(&self.name, &self.url);
        to.tenant.clone_from(&self.tenant);
        to.authentication = Authentication::open(
            self.basic_auth.as_ref(),
            self.bearer_token_file.as_deref(),
            base,
        )?;
        let files = [&self.ca_file, &self.cert_file, &self.key_file];
        let files =
            ClientFiles::below(base, files).map_err(|message| wrong("cert_file", message))?;
        (to.ca_file, to.identity_files) = (files.authority, files.identity);
        to.format = match self.format.as_deref() {
            None | Some("protobuf") => Format::Protobuf,
            Some("json") => Format::Json,
            Some(other) => {
                let message = format!("expected protobuf or json, found {other:?}");
                return Err(wrong("format", &message));
            }
        };
        to.batching.max_bytes = self.batch_bytes.unwrap_or(to.batching.max_bytes);
        to.batching.max_lines = self.batch_lines.unwrap_or(to.batching.max_lines);
        let or = |given: Option<Duration>, usual| given.map_or(usual, |given| *given);
        to.batching.max_age = or(self.batch_age, to.batching.max_age);
        to.timeout = or(self.timeout, to.timeout);
        to.retry.hold = or(self.hold_retry, to.retry.hold);
        let rate = self.bytes_per_second.unwrap_or(3.8e6);
        if rate < 0.0 || !rate.is_finite() {
            return Err(wrong("bytes_per_second", "expected 0 (no limit) or more"));
        }
        to.rate = (rate > 0.0).then(|| Rate {
            bytes_per_second: rate,
            burst_bytes: self.burst_bytes.unwrap_or(rate * 1.4).max(1.0),
        });
        to.limits.streams = self.max_streams.unwrap_or(to.limits.streams);
        to.limits.line_bytes = self.max_line_bytes.unwrap_or(to.limits.line_bytes);
        Ok(to)
    }
}

impl Authentication {
    /// What the keys `basic_auth` and `bearer_token_file` of a section say; relative paths begin at `base`.
    ///
    /// # Errors
    /// When both are there, or a file with a secret cannot be read.
    pub fn open(
        basic: Option<&BasicAuth>,
        bearer: Option<&Path>,
        base: &Path,
    ) -> Result<Self, Wrong> {
        match (basic, bearer) {
            (None, None) => Ok(Self::None),
            (Some(basic), None) => Ok(Self::Basic {
                user: basic.username.clone(),
                password: secret("basic_auth.password_file", base, &basic.password_file)?,
            }),
            (None, Some(file)) => Ok(Self::Bearer(secret("bearer_token_file", base, file)?)),
            (Some(_), Some(_)) => {
                let message = "expected basic_auth or bearer_token_file, not both";
                Err(("basic_auth".to_owned(), message.to_owned()))
            }
        }
    }
}

fn secret(field: &str, base: &Path, file: &Path) -> Result<Arc<SecretFile>, Wrong> {
    let opened = SecretFile::open(base.join(file));
    opened.map(Arc::new).map_err(|error| {
        let message = format!("expected a readable file, {}: {error}", file.display());
        (field.to_owned(), message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str) -> Result<Destination, Wrong> {
        let section: Section = toolkit::yaml::parse(yaml, Path::new("x.yaml")).unwrap();
        section.check(Path::new("/etc/x"))
    }

    #[test]
    fn what_is_not_said_is_the_default_and_paths_are_relative_to_the_file() {
        let bare = check("url: http://loki/push").unwrap();
        assert_eq!(
            format!("{bare:?}"),
            format!("{:?}", Destination::new("loki", "http://loki/push"))
                .replace("burst_bytes: 5500000.0", "burst_bytes: 5320000.0")
        );
        let text = "{name: a, url: 'https://loki/push', ca_file: ca.pem, cert_file: /c.pem, key_file: k.pem, batch_age: 2s, \
                    bytes_per_second: 0}";
        let full = check(text).unwrap();
        assert_eq!(full.ca_file, Some("/etc/x/ca.pem".into()));
        let identity = ("/c.pem".into(), "/etc/x/k.pem".into());
        assert_eq!(full.identity_files, Some(identity));
        assert_eq!(full.batching.max_age, *Duration::from_secs(2));
        assert!(full.rate.is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (rest, field, expected) in [
            (
                "basic_auth: {username: a, password_file: none}",
                "basic_auth.password_file",
                "expected a readable file, none",
            ),
            (
                "bearer_token_file: none",
                "bearer_token_file",
                "expected a readable file",
            ),
            (
                "cert_file: c.pem",
                "cert_file",
                "expected cert_file and key_file together",
            ),
            (
                "format: xml",
                "format",
                "expected protobuf or json, found \"xml\"",
            ),
            (
                "bytes_per_second: -1",
                "bytes_per_second",
                "expected 0 (no limit) or more",
            ),
        ] {
            let (path, message) = check(&format!("{{url: 'http://x', {rest}}}")).unwrap_err();
            assert_eq!(path, field);
            assert!(message.contains(expected), "{message}");
        }
        assert_eq!(check("url: loki").unwrap_err().0, "url");
        let text = "{url: 'http://x', timeout: soon}";
        let read = toolkit::yaml::parse::<Section>(text, Path::new("x.yaml"));
        let error = read.unwrap_err().to_string();
        assert!(
            error.contains("timeout: expected a duration such as 250ms"),
            "{error}"
        );
    }
}
