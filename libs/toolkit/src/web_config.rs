//! `web-config.yml`: TLS, client certificates, basic authentication, response headers and rate limit.
//!
//! The format is that of Prometheus' exporter-toolkit
//! (<https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>), read strictly: an unknown key or a value that
//! rustls cannot honour is an error, never ignored. Parsing touches no file; [`WebConfig::files`] names those it refers to.

mod access;
mod raw;
mod tls;

use std::path::{Path, PathBuf};

use http::{HeaderName, HeaderValue};

use crate::ConfigError;

pub use access::{RateLimit, User};
pub use tls::{ClientAuth, Source, Tls};

/// A checked web configuration.
#[derive(Debug, Clone, Default)]
pub struct WebConfig {
    /// TLS; without it the server speaks plain HTTP.
    pub tls: Option<Tls>,
    /// Fields added to every response.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Users; when there is one, every request must name one.
    pub users: Vec<User>,
    /// Limit over all requests together.
    pub rate_limit: Option<RateLimit>,
}

/// Parses and checks a web configuration. `origin` is the file it came from; relative paths are relative to its folder.
///
/// # Errors
/// The first mistake, with file, line, path and what was expected.
pub fn parse(text: &str, origin: &Path) -> Result<WebConfig, ConfigError> {
    let raw: raw::WebConfig = crate::yaml::parse(text, origin)?;
    raw.check(origin)
        .map_err(|(path, message)| ConfigError::at(text, origin, path, message))
}

/// Whether the file says nothing: it is empty, or all of it is comment.
pub(crate) fn is_empty(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---" || line == "{}")
}

impl WebConfig {
    /// Files whose content belongs to it.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let Some(tls) = &self.tls else {
            return Vec::new();
        };
        let sources = [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()];
        let paths = sources
            .into_iter()
            .flatten()
            .filter_map(|source| match source {
                Source::File(path) => Some(path.clone()),
                Source::Inline(_) => None,
            });
        paths.collect()
    }
}
