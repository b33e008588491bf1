//! The live web configuration: what a handshake and a request meet first.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use rustls::ServerConfig;

use super::auth::Auth;
use super::rate::Bucket;
use super::tls;
use crate::ConfigError;
use crate::web_config::WebConfig;

/// Digest of everything that decides which client certificates verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trust([u8; 32]);

impl Trust {
    pub(crate) fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

/// One loaded web configuration.
#[derive(Default)]
pub(crate) struct LoadedWebConfig {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Which client certificates are verified; `None` when none are.
    pub(crate) trust: Option<Trust>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) auth: Option<Arc<Auth>>,
    pub(crate) bucket: Option<Arc<Bucket>>,
}

/// The one in force; connections take it once for the handshake, requests once each.
pub(crate) type LiveWebConfig = Arc<ArcSwap<LoadedWebConfig>>;

impl LoadedWebConfig {
    /// What `before` protects with and this does not.
    pub(crate) fn lacks(&self, before: &Self) -> Option<&'static str> {
        if before.tls.is_some() && self.tls.is_none() {
            Some("TLS")
        } else if before.auth.is_some() && self.auth.is_none() {
            Some("the passwords of basic_auth_users")
        } else if before.trust.is_some() && self.trust.is_none() {
            Some("the verification of client certificates")
        } else {
            None
        }
    }

    /// Builds what the configuration says, reading its files. The bucket of the one before stays when its limit does.
    pub(crate) fn build(
        config: &WebConfig,
        path: &Path,
        before: Option<&Self>,
    ) -> Result<Self, ConfigError> {
        let tls = config.tls.as_ref().map(tls::build).transpose();
        let tls = tls.map_err(|error| ConfigError::new(path, crate::chain(&error)))?;
        let (tls, trust) = tls.map_or((None, None), |(tls, trust)| (Some(tls), trust));
        let same = |limit| {
            before
                .and_then(|web_config| web_config.bucket.clone())
                .filter(|bucket| bucket.limit() == limit)
        };
        Ok(Self {
            tls,
            trust,
            headers: config.headers.clone(),
            auth: (!config.users.is_empty()).then(|| Auth::new(&config.users)),
            bucket: config
                .rate_limit
                .map(|limit| same(limit).unwrap_or_else(|| Arc::new(Bucket::new(limit)))),
        })
    }
}
