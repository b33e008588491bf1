//! The certificates with which spans are sent: OpenTelemetry's variables for them, which its own library does not read over HTTP.

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError};
use reqwest::blocking;

use super::export::variable;
use crate::{ClientCertificates, ClientFiles, Renewing};

/// Longest time of one request where no variable says another, as OpenTelemetry has it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of the collector that shows who it is, by the certificate that its files hold now.
#[derive(Debug)]
pub(super) struct Client(Renewing<blocking::Client>);

impl Client {
    /// The client that the environment asks for; `None` when it names no file.
    ///
    /// # Errors
    /// A certificate without its key, gRPC, or a file that is not what it should be.
    pub(super) fn from_environment() -> anyhow::Result<Option<Self>> {
        let file = |kind: &str| named(kind).map(PathBuf::from);
        let files = ClientFiles {
            authority: file("CERTIFICATE"),
            identity: match (file("CLIENT_CERTIFICATE"), file("CLIENT_KEY")) {
                (Some(certificate), Some(key)) => Some((certificate, key)),
                (None, None) => None,
                _ => bail!(
                    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: expected OTEL_EXPORTER_OTLP_CLIENT_KEY with it"
                ),
            },
        };
        if files == ClientFiles::default() {
            return Ok(None);
        }
        if named("PROTOCOL").as_deref() == Some("grpc") {
            bail!(
                "OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf where files of certificates are named"
            );
        }
        let timeout = named("TIMEOUT")
            .and_then(|ms| ms.parse().ok())
            .map_or(TIMEOUT, Duration::from_millis);
        let build = move |certificates: ClientCertificates| {
            let mut builder = blocking::Client::builder().timeout(timeout);
            if let Some(authority) = certificates.authority {
                builder = builder.tls_certs_only(authority);
            }
            if let Some(identity) = certificates.identity {
                builder = builder.identity(identity);
            }
            builder.build()
        };
        // A blocking client is made where no runtime is.
        let made = std::thread::spawn(move || Renewing::new(files, build)).join();
        let client =
            made.map_err(|_| anyhow!("the thread that makes the client of spans ended"))?;
        Ok(Some(Self(
            client.context("OTEL_EXPORTER_OTLP_*CERTIFICATE")?,
        )))
    }
}

impl HttpClient for Client {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: http::Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move { self.0.current().send_bytes(request).await })
    }
}

/// A variable of the exporter, that of traces before that of everything.
fn named(kind: &str) -> Option<String> {
    ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"]
        .into_iter()
        .find_map(|prefix| variable(&format!("{prefix}{kind}")))
}
