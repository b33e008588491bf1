//! Syslog over TLS (RFC 5425), with certificates that are read again when they change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The files that TLS needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Certificates that a client's must descend from; none: clients need no certificate.
    pub client_ca: Option<PathBuf>,
}

type Stamps = Vec<Option<SystemTime>>;

/// TLS for one listener.
pub struct Tls {
    files: Files,
    live: Mutex<(TlsAcceptor, Stamps, Instant)>,
}

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

fn wrong(path: &Path, what: impl std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{}: {what}", path.display()),
    )
}

impl Files {
    fn stamps(&self) -> Stamps {
        let paths = [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()];
        paths
            .into_iter()
            .flatten()
            .map(|p| fs::metadata(p).and_then(|m| m.modified()).ok())
            .collect()
    }

    fn load(&self) -> io::Result<TlsAcceptor> {
        let certificates = |path: &Path| -> io::Result<Vec<CertificateDer<'static>>> {
            let pem = fs::read(path).map_err(|e| wrong(path, e))?;
            let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            all.map_err(|e| wrong(path, e)).and_then(|all| {
                if all.is_empty() {
                    Err(wrong(path, "expected certificates in PEM"))
                } else {
                    Ok(all)
                }
            })
        };
        let chain = certificates(&self.cert)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| wrong(&self.key, e))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| wrong(&self.cert, e))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = rustls::RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|e| wrong(path, e))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|e| wrong(path, e))?)
            }
        };
        let config = builder
            .with_single_cert(chain, key)
            .map_err(|e| wrong(&self.cert, e))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read or they do not fit together; the message names the file.
    pub fn new(files: Files) -> io::Result<Self> {
        let acceptor = files.load()?;
        let stamps = files.stamps();
        Ok(Self {
            files,
            live: Mutex::new((acceptor, stamps, Instant::now())),
        })
    }

    fn acceptor(&self) -> TlsAcceptor {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.2.elapsed() >= LOOK {
            live.2 = Instant::now();
            let stamps = self.files.stamps();
            if stamps != live.1 {
                match self.files.load() {
                    Ok(acceptor) => {
                        tracing::info!(cert_file = %self.files.cert.display(), "certificate read again");
                        live.0 = acceptor;
                        live.1 = stamps;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "new certificate cannot be used, the last one stays");
                    }
                }
            }
        }
        live.0.clone()
    }

    /// Does the handshake of one connection.
    ///
    /// # Errors
    /// When it fails.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        self.acceptor().accept(stream).await
    }
}
