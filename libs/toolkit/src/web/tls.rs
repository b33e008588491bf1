//! From the checked TLS part to a rustls configuration. The provider is always ring, named explicitly.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};

use super::client_cert::{AllowedNames, Unverified};
use super::live_config::Trust;
use crate::web_config::{ClientAuth, Source, Tls};

/// Why certificates or keys cannot be used. The text of a key is in none of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("tls_server_config.{what}: {name} cannot be read")]
    Read {
        what: &'static str,
        name: String,
        source: std::io::Error,
    },
    #[error("tls_server_config.{what}: {name}: expected {expected}")]
    Pem {
        what: &'static str,
        name: String,
        expected: &'static str,
    },
    #[error("tls_server_config: certificate and key cannot be used")]
    Pair(#[source] rustls::Error),
    #[error("tls_server_config: client CA cannot be used")]
    ClientCa(#[source] rustls::server::VerifierBuilderError),
    #[error("tls_server_config: versions or suites cannot be used")]
    Offer(#[source] rustls::Error),
}

/// Reads the files and builds the configuration of the next handshakes.
pub(crate) fn build(tls: &Tls) -> Result<(Arc<ServerConfig>, Option<Trust>), TlsError> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: tls.suites(),
        kx_groups: if tls.curves.is_empty() {
            rustls::crypto::ring::ALL_KX_GROUPS.to_vec()
        } else {
            tls.curves.clone()
        },
        ..rustls::crypto::ring::default_provider()
    });
    let chain = certificates("cert_file", &tls.cert)?;
    let key = private_key(&tls.key)?;
    // Read once, so that what verifies and what is remembered of it are the same.
    let authorities = match &tls.client_ca {
        Some(source) => certificates("client_ca_file", source)?,
        None => Vec::new(),
    };
    let trust = trust(tls, &authorities);
    let versions: Vec<&'static SupportedProtocolVersion> =
        [(12, &rustls::version::TLS12), (13, &rustls::version::TLS13)]
            .into_iter()
            .filter(|(version, _)| (tls.min_version..=tls.max_version).contains(version))
            .map(|(_, version)| version)
            .collect();
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(TlsError::Offer)?
        .with_client_cert_verifier(verifier(tls, authorities, &provider)?)
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.ignore_client_order = tls.prefer_server;
    config.alpn_protocols = if tls.http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Ok((Arc::new(config), trust))
}

/// What decides which client certificates verify, `None` when none are verified.
fn trust(tls: &Tls, authorities: &[CertificateDer<'_>]) -> Option<Trust> {
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    };
    for certificate in authorities {
        add(certificate);
    }
    add(&[]);
    for name in &tls.client_allowed_sans {
        add(name.as_bytes());
    }
    let verifies = tls.client_auth.verifies();
    verifies.then(|| Trust::new(digest.finalize().into()))
}

fn verifier(
    tls: &Tls,
    authorities: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unverified = |mandatory| {
        Arc::new(Unverified {
            mandatory,
            provider: Arc::clone(provider),
        })
    };
    let optional = match tls.client_auth {
        ClientAuth::None => return Ok(Arc::new(NoClientAuth)),
        ClientAuth::Request => return Ok(unverified(false)),
        ClientAuth::RequireAny => return Ok(unverified(true)),
        ClientAuth::VerifyIfGiven => true,
        ClientAuth::RequireAndVerify => false,
    };
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots.add(certificate).map_err(|_| TlsError::Pem {
            what: "client_ca_file",
            name: tls.client_ca.as_ref().map(name).unwrap_or_default(),
            expected: "certificates of authorities",
        })?;
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if optional {
        builder = builder.allow_unauthenticated();
    }
    let inner = builder.build().map_err(TlsError::ClientCa)?;
    if tls.client_allowed_sans.is_empty() {
        return Ok(inner);
    }
    Ok(Arc::new(AllowedNames {
        inner,
        names: tls.client_allowed_sans.clone(),
    }))
}

fn name(source: &Source) -> String {
    match source {
        Source::Inline(_) => "inline text".to_owned(),
        Source::File(path) => path.display().to_string(),
    }
}

fn pem(what: &'static str, source: &Source) -> Result<zeroize::Zeroizing<Vec<u8>>, TlsError> {
    Ok(zeroize::Zeroizing::new(match source {
        Source::Inline(text) => text.reveal().as_bytes().to_vec(),
        Source::File(path) => crate::read_secret(path).map_err(|error| TlsError::Read {
            what,
            name: name(source),
            source: error,
        })?,
    }))
}

fn certificates(
    what: &'static str,
    source: &Source,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = || TlsError::Pem {
        what,
        name: name(source),
        expected: "PEM with at least one CERTIFICATE",
    };
    let all = CertificateDer::pem_slice_iter(&pem(what, source)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| wrong())?;
    if all.is_empty() {
        Err(wrong())
    } else {
        Ok(all)
    }
}

fn private_key(source: &Source) -> Result<PrivateKeyDer<'static>, TlsError> {
    let what = "key_file";
    PrivateKeyDer::from_pem_slice(&pem(what, source)?).map_err(|_| TlsError::Pem {
        what,
        name: name(source),
        expected: "PEM with a PRIVATE KEY that has no passphrase",
    })
}
