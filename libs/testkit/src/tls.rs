//! TLS of the doubles, where a stack speaks nothing else: the files are read again at each connection, as a server does whose certificate
//! is renewed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// The files of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Its certificate chain, PEM.
    pub certificate: PathBuf,
    /// The key of it, PEM.
    pub key: PathBuf,
    /// The authority that every client's certificate must lead to, PEM; without one clients need none.
    pub clients: Option<PathBuf>,
}

/// A connection, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The connection after its handshake, as plain text where there are no files.
pub(crate) async fn accepted(
    files: Option<&Files>,
    stream: TcpStream,
) -> io::Result<Box<dyn Stream>> {
    let Some(files) = files else {
        return Ok(Box::new(stream));
    };
    let acceptor = TlsAcceptor::from(Arc::new(files.config()?));
    Ok(Box::new(acceptor.accept(stream).await?))
}

impl Files {
    fn config(&self) -> io::Result<ServerConfig> {
        crate::crypto();
        let builder = ServerConfig::builder();
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(io::Error::other)?;
                }
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
                builder.with_client_cert_verifier(verifier.map_err(io::Error::other)?)
            }
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(io::Error::other)?;
        builder
            .with_single_cert(certificates(&self.certificate)?, key)
            .map_err(io::Error::other)
    }
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(io::Error::other)
}
