//! Where Prometheus is, as it stands in a configuration file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::{ClientFiles, ClientFilesError, Renewing, SecretFile};

use crate::alertmanager::Alertmanager;
use crate::client::{Authentication, Http, Pages, Prometheus};

/// Most bytes of an answer where the section names no bound.
const MAX_BYTES: usize = 64 << 20;

/// Where Prometheus is and how the service shows who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Address of the server, `http://prometheus:9090`; a path before `/api/v1` belongs to it.
    pub url: String,
    /// How long one question may take, in seconds.
    #[serde(default = "timeout")]
    pub timeout_seconds: u32,
    /// Most bytes of one answer.
    #[serde(default = "max_bytes")]
    pub max_bytes: usize,
    /// User and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// File with a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<PathBuf>,
    /// Certificates that the server's must descend from, PEM; the system's when none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Certificate chain of the client, PEM; with `key_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// Key of the client, PEM; with `cert_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// `X-Scope-OrgID`, for Mimir and Thanos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// A user with a password in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user.
    pub username: String,
    /// File with the password.
    pub password_file: PathBuf,
}

fn timeout() -> u32 {
    10
}

fn max_bytes() -> usize {
    MAX_BYTES
}

/// What is wrong with a [`Section`]: the key, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct Wrong {
    /// The key inside the section.
    pub key: &'static str,
    /// What was expected and found.
    pub message: String,
}

fn wrong(key: &'static str, message: impl Into<String>) -> Wrong {
    Wrong {
        key,
        message: message.into(),
    }
}

impl Section {
    /// A section with an address and the defaults.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            timeout_seconds: timeout(),
            max_bytes: max_bytes(),
            basic_auth: None,
            bearer_token_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            tenant: None,
        }
    }

    /// The files that the section names, relative to `base`: a change of one is a change of the configuration.
    #[must_use]
    pub fn files(&self, base: &Path) -> Vec<PathBuf> {
        [&self.ca_file, &self.cert_file, &self.key_file]
            .into_iter()
            .flatten()
            .map(|file| base.join(file))
            .collect()
    }

    /// The client; file names are relative to `base`.
    ///
    /// # Errors
    /// The first key that is wrong, or a file that cannot be read.
    pub fn client(&self, base: &Path) -> Result<Prometheus, Wrong> {
        Ok(Prometheus::new(self.http(base)?))
    }

    /// The client of an Alertmanager at this address; file names are relative to `base`.
    ///
    /// # Errors
    /// The first key that is wrong, or a file that cannot be read.
    pub fn alertmanager(&self, base: &Path) -> Result<Alertmanager, Wrong> {
        Ok(Alertmanager::new(self.http(base)?))
    }

    /// The client of the pages of a service at this address; file names are relative to `base`.
    ///
    /// # Errors
    /// The first key that is wrong, or a file that cannot be read.
    pub fn pages(&self, base: &Path) -> Result<Pages, Wrong> {
        Ok(Pages::new(self.http(base)?))
    }

    fn http(&self, base: &Path) -> Result<Http, Wrong> {
        let url = reqwest::Url::parse(&self.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .ok_or_else(|| {
                let expected = "expected an http or https address without user and password";
                wrong("url", expected)
            })?;
        if !(1..=600).contains(&self.timeout_seconds) {
            return Err(wrong("timeout_seconds", "expected 1 to 600"));
        }
        if self.max_bytes < 1_024 {
            return Err(wrong("max_bytes", "expected at least 1024"));
        }
        let timeout = Duration::from_secs(u64::from(self.timeout_seconds));
        let mut headers = HeaderMap::new();
        if let Some(tenant) = &self.tenant {
            let value = HeaderValue::try_from(tenant)
                .map_err(|_| wrong("tenant", "expected the value of an HTTP header"))?;
            let name = reqwest::header::HeaderName::from_static("x-scope-orgid");
            headers.insert(name, value);
        }
        let files = [&self.ca_file, &self.cert_file, &self.key_file];
        let files =
            ClientFiles::below(base, files).map_err(|expected| wrong("cert_file", expected))?;
        let authentication = self.authentication(base)?;
        let plain = url.scheme() == "http";
        let client = Renewing::new(files, move |certificates| {
            let mut builder = reqwest::Client::builder()
                .user_agent(concat!("sotp/", env!("CARGO_PKG_VERSION")))
                .default_headers(headers.clone())
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(timeout.min(Duration::from_secs(5)))
                .timeout(timeout);
            if plain {
                // No certificate is ever looked at: do not search the system for any.
                builder = builder.tls_certs_only([]);
            }
            certificates.client(builder).build()
        })
        .map_err(|error| wrong(self.at_fault(&error), toolkit::chain(&error)))?;
        let mut url = url;
        url.set_query(None);
        url.set_fragment(None);
        Ok(Http {
            client,
            url: url.as_str().trim_end_matches('/').to_owned(),
            authentication,
            max_bytes: self.max_bytes,
        })
    }

    /// The key whose file an error is about.
    fn at_fault(&self, error: &ClientFilesError) -> &'static str {
        let (ClientFilesError::Read { path, .. } | ClientFilesError::Form { path, .. }) = error
        else {
            return "url";
        };
        let keys = [
            ("ca_file", &self.ca_file),
            ("cert_file", &self.cert_file),
            ("key_file", &self.key_file),
        ];
        let named = |file: &Option<PathBuf>| file.as_ref().is_some_and(|file| path.ends_with(file));
        let found = keys.into_iter().find(|(_, file)| named(file));
        found.map_or("cert_file", |(key, _)| key)
    }

    fn authentication(&self, base: &Path) -> Result<Authentication, Wrong> {
        let open = |key: &'static str, file: &Path| {
            SecretFile::open(base.join(file))
                .map(Arc::new)
                .map_err(|error| unreadable(key, file, &error))
        };
        Ok(match (&self.basic_auth, &self.bearer_token_file) {
            (None, None) => Authentication::None,
            (Some(basic), None) => Authentication::Basic {
                user: basic.username.clone(),
                password: open("basic_auth.password_file", &basic.password_file)?,
            },
            (None, Some(file)) => Authentication::Bearer(open("bearer_token_file", file)?),
            (Some(_), Some(_)) => {
                let expected = "expected basic_auth or bearer_token_file, not both";
                return Err(wrong("basic_auth", expected));
            }
        })
    }
}

fn unreadable(key: &'static str, file: &Path, error: &std::io::Error) -> Wrong {
    wrong(
        key,
        format!("expected a readable file, {}: {error}", file.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_section_is_refused_with_its_key() {
        let section = Section::new("http://127.0.0.1:9090");
        let base = Path::new(".");
        for (key, section) in [
            ("url", Section::new("prometheus:9090")),
            ("url", Section::new("http://user:secret@127.0.0.1:9090")),
            (
                "timeout_seconds",
                Section {
                    timeout_seconds: 0,
                    ..section.clone()
                },
            ),
            (
                "bearer_token_file",
                Section {
                    bearer_token_file: Some("no/such/file".into()),
                    ..section.clone()
                },
            ),
            (
                "cert_file",
                Section {
                    cert_file: Some("cert.pem".into()),
                    ..section.clone()
                },
            ),
            (
                "tenant",
                Section {
                    tenant: Some("a\nb".into()),
                    ..section.clone()
                },
            ),
        ] {
            testkit::crypto();
            assert_eq!(section.client(base).unwrap_err().key, key, "{section:?}");
        }
        assert!(section.client(base).is_ok());
    }
}
