//! Mutual TLS among the parts of the stack: an authority in the state folder, a certificate for each part, and who must show one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::services::Callers;
use anyhow::Context as _;
use certs::{Authority, Files, Part};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::configs::quoted;

/// Lifetime of a certificate; a third before its end it is renewed.
const LIFETIME: Duration = Duration::from_secs(30 * 86_400);
/// Time for a handshake.
const PATIENCE: Duration = Duration::from_secs(5);
/// The part that the launcher itself is, with its doors.
const LAUNCHER: &str = "launcher";
/// The certificates of one stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificates(PathBuf);

impl Certificates {
    /// Those of the folder, each renewed where it is due. Answers whose were.
    ///
    /// # Errors
    /// The folder cannot be written, or holds something else.
    pub(crate) fn renew(
        folder: &Path,
        parts: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> anyhow::Result<Vec<String>> {
        let authority = Authority::open(folder)?;
        let mut renewed = Vec::new();
        let names = parts.into_iter().map(|part| part.as_ref().to_owned());
        for name in names.chain([LAUNCHER.to_owned()]) {
            let part = Part {
                hosts: vec!["127.0.0.1".to_owned(), "localhost".to_owned(), name.clone()],
                group: None,
                name,
            };
            if authority.renew(&part, LIFETIME)? {
                renewed.push(part.name);
            }
        }
        Ok(renewed)
    }

    /// Those that are in this folder.
    pub(crate) fn of(folder: &Path) -> Self {
        Self(folder.to_path_buf())
    }

    /// Where they are.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// The files of a part; a service of ours by its name with or without `sotp-`.
    pub(crate) fn part(&self, name: &str) -> Files {
        Files::of(&self.0, name.trim_start_matches("sotp-"))
    }

    /// Those of the launcher.
    pub(crate) fn launcher(&self) -> Files {
        self.part(LAUNCHER)
    }

    /// `web.config.file` of a part: who calls it must show a certificate, but where people come without.
    pub(crate) fn web_config(&self, name: &str, callers: Callers) -> String {
        let files = self.part(name);
        let path = |path: &Path| quoted(path.to_string_lossy());
        let mut text = format!(
            "# Written anew at each start by `sotp-lab`.\ntls_server_config:\n  cert_file: {}\n  key_file: {}\n",
            path(&files.certificate),
            path(&files.key)
        );
        let kind = match callers {
            Callers::Parts => "RequireAndVerifyClientCert",
            Callers::People => "VerifyClientCertIfGiven",
            Callers::Browsers => "",
        };
        if !kind.is_empty() {
            text += &format!(
                "  client_ca_file: {}\n  client_auth_type: {kind}\n",
                path(&files.authority)
            );
        }
        text
    }

    /// The keys of a client's section, as they follow others within braces.
    pub(crate) fn keys(&self, name: &str) -> String {
        let files = self.part(name);
        let path = |path: &Path| quoted(path.to_string_lossy());
        format!(
            ", ca_file: {}, cert_file: {}, key_file: {}",
            path(&files.authority),
            path(&files.certificate),
            path(&files.key)
        )
    }

    /// The section `tls_config` of Prometheus and Alertmanager.
    pub(crate) fn section(&self, name: &str) -> serde_json::Value {
        let files = self.part(name);
        serde_json::json!({"ca_file": files.authority, "cert_file": files.certificate, "key_file": files.key})
    }
}

/// A connection to `127.0.0.1:port` as the part whose files these are.
///
/// # Errors
/// Nothing listens, or one of the two does not take the other.
pub(crate) async fn connect(files: &Files, port: u16) -> anyhow::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(Arc::new(config(files)?));
    let name = ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into());
    let connected = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        connector.connect(name, stream).await
    };
    Ok(tokio::time::timeout(PATIENCE, connected).await??)
}

fn config(files: &Files) -> anyhow::Result<ClientConfig> {
    super::http::provider();
    let context = |path: &Path| path.display().to_string();
    let mut roots = RootCertStore::empty();
    roots.add(
        CertificateDer::from_pem_file(&files.authority)
            .with_context(|| context(&files.authority))?,
    )?;
    let certificate = CertificateDer::from_pem_file(&files.certificate)
        .with_context(|| context(&files.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).with_context(|| context(&files.key))?;
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)?)
}
