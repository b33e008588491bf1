//! TLS in Go's names and rustls' terms.

use std::path::PathBuf;

use rustls::SupportedCipherSuite;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::{cipher_suite as suites, kx_group};

use crate::Secret;

/// Where PEM text comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Inside the web configuration.
    Inline(Secret),
    /// A file, read again when it changes.
    File(PathBuf),
}

/// What is asked of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate.
    None,
    /// A certificate is asked for and not needed; which one does not matter.
    Request,
    /// Any certificate, verified by nobody.
    RequireAny,
    /// A certificate that is given must verify.
    VerifyIfGiven,
    /// A certificate that verifies.
    RequireAndVerify,
}

impl ClientAuth {
    /// Whether certificates are checked against the client CA.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

/// The checked TLS part.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Certificate chain.
    pub cert: Source,
    /// Private key.
    pub key: Source,
    /// Certificates that client certificates must lead to.
    pub client_ca: Option<Source>,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Subject alternative names of which a client certificate must have one; empty for any.
    pub client_allowed_sans: Vec<String>,
    /// 12 or 13.
    pub min_version: u8,
    /// 12 or 13.
    pub max_version: u8,
    /// Offered suites in order; empty for all. Without one of TLS 1.3 all of TLS 1.3 stay, as with Go.
    pub cipher_suites: Vec<SupportedCipherSuite>,
    /// Key exchange groups in order; empty for all.
    pub curves: Vec<&'static dyn SupportedKxGroup>,
    /// The order of the server decides, not that of the client.
    pub prefer_server: bool,
    /// HTTP/2 is offered.
    pub http2: bool,
}

impl Tls {
    /// The suites to offer, of the versions to offer.
    #[must_use]
    pub fn suites(&self) -> Vec<SupportedCipherSuite> {
        let all = rustls::crypto::ring::ALL_CIPHER_SUITES;
        let is_13 = |suite: &SupportedCipherSuite| suite.tls13().is_some();
        let listed = &self.cipher_suites;
        let chosen: Vec<_> = if listed.is_empty() {
            all.to_vec()
        } else if listed.iter().any(is_13) {
            listed.clone()
        } else {
            all.iter()
                .copied()
                .filter(is_13)
                .chain(listed.iter().copied())
                .collect()
        };
        let wanted = |suite: &SupportedCipherSuite| {
            if is_13(suite) {
                self.max_version >= 13
            } else {
                self.min_version <= 12
            }
        };
        chosen.into_iter().filter(wanted).collect()
    }

    pub(super) fn offers_something(&self) -> bool {
        !self.suites().is_empty()
    }
}

/// `TLS12` or `TLS13`.
pub(super) fn version(name: &str) -> Result<u8, String> {
    match name {
        "TLS12" => Ok(12),
        "TLS13" => Ok(13),
        "TLS10" | "TLS11" => Err(format!(
            "expected TLS12 or TLS13, {name} is not offered: RFC 8996 withdrew it"
        )),
        other => Err(format!("expected TLS12 or TLS13, found {other:?}")),
    }
}

/// A suite by the name that Go gives it.
pub(super) fn suite(name: &str) -> Result<SupportedCipherSuite, String> {
    Ok(match name {
        "TLS_AES_128_GCM_SHA256" => suites::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_256_GCM_SHA384" => suites::TLS13_AES_256_GCM_SHA384,
        "TLS_CHACHA20_POLY1305_SHA256" => suites::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => {
            suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        }
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => {
            suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        }
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"
        | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => {
            suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => {
            suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
        other => {
            return Err(format!(
                "expected an ECDHE suite with AES-GCM or ChaCha20-Poly1305, or one of TLS 1.3, by its standard name, found {other:?}"
            ));
        }
    })
}

/// A key exchange group by the name that Go gives it.
pub(super) fn curve(name: &str) -> Result<&'static dyn SupportedKxGroup, String> {
    match name {
        "X25519" => Ok(kx_group::X25519),
        "CurveP256" => Ok(kx_group::SECP256R1),
        "CurveP384" => Ok(kx_group::SECP384R1),
        other => Err(format!(
            "expected X25519, CurveP256 or CurveP384, found {other:?}"
        )),
    }
}
