//! What the process tests share: the echo service, certificates, raw clients.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use testkit::{Process, Spawn, TempDir};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Long enough for a loaded machine; nothing waits for it when all is well.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The echo example, which cargo builds with the tests.
pub(crate) fn echo() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/echo");
    assert!(
        binary.exists(),
        "{} is not built: run `cargo build -p toolkit --examples`",
        binary.display()
    );
    binary
}

pub(crate) async fn start(args: &[&str]) -> Process {
    Process::spawn(echo(), args).await.unwrap()
}

pub(crate) fn spawn(args: &[String]) -> Spawn {
    Spawn::new(echo()).args(args)
}

/// An authority, and certificates it signed.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key for this subject, valid from `begins` to `ends` in seconds from now.
    pub(crate) fn issue_for(
        &self,
        subject: &[(rcgen::DnType, &str)],
        names: Vec<rcgen::SanType>,
        (begins, ends): (i64, i64),
    ) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.subject_alt_names = names;
        let now = std::time::SystemTime::now();
        let at = |seconds: i64| {
            let far = Duration::from_secs(seconds.unsigned_abs());
            if seconds < 0 { now - far } else { now + far }
        };
        (params.not_before, params.not_after) = (at(begins).into(), at(ends).into());
        params.serial_number = Some(rcgen::SerialNumber::from(fresh()));
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Certificate and key for these subject alternative names.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        let mut params = CertificateParams::new(
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
        .unwrap();
        params.serial_number = Some(rcgen::SerialNumber::from(fresh()));
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn fresh() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Pair {
    pub(crate) fn write(&self, dir: &TempDir, name: &str) {
        dir.write(format!("{name}.crt"), &self.cert).unwrap();
        dir.write(format!("{name}.key"), &self.key).unwrap();
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }
}

/// A rustls client that trusts `authority`, with or without a certificate of its own.
pub(crate) fn client(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    own: Option<&Pair>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
        .unwrap();
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder
                .with_client_auth_cert(vec![pair.der()], key)
                .unwrap()
        }
    })
}

pub(crate) async fn connect(
    address: &str,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(config).connect(name, stream).await
}

/// Sends one request and reads one response with a `Content-Length`, keeping the connection.
pub(crate) async fn ask<S>(stream: &mut S, head: &str) -> std::io::Result<String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    stream
        .write_all(format!("{head}\r\nhost: localhost\r\n\r\n").as_bytes())
        .await?;
    stream.flush().await?;
    response(stream).await
}

pub(crate) async fn response<S: tokio::io::AsyncRead + Unpin>(
    stream: &mut S,
) -> std::io::Result<String> {
    let mut got = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&got).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Ok(text);
            }
        }
        let count = tokio::time::timeout(SOON, stream.read(&mut chunk)).await??;
        if count == 0 {
            return if got.is_empty() {
                Err(std::io::ErrorKind::UnexpectedEof.into())
            } else {
                Ok(text)
            };
        }
        got.extend_from_slice(&chunk[..count]);
    }
}
