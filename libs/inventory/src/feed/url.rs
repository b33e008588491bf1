//! The inventory service, asked with `If-None-Match`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH};
use reqwest::{Certificate, Client, Identity, Response, StatusCode, Url, redirect};

use super::{CHECKED, Seen, chain, parse};
use crate::model::MAX_BYTES;
use crate::problem::Error;
use crate::source::{InvalidSource, UrlOptions, endpoint};

const CONNECT: Duration = Duration::from_secs(2);
const WHOLE: Duration = Duration::from_secs(10);
/// Most bytes of a certificate, password or token file.
const MAX_FILE: u64 = 1024 * 1024;

pub(super) struct Reader {
    url: Url,
    options: UrlOptions,
    /// The client, and the authorities and the certificate it was made with.
    client: Option<([Vec<u8>; 2], Client)>,
    etag: Option<HeaderValue>,
}

impl Reader {
    pub(super) fn new(url: &str, options: UrlOptions) -> Result<Self, InvalidSource> {
        Ok(Self {
            url: endpoint(url, &options)?,
            options,
            client: None,
            etag: None,
        })
    }

    pub(super) async fn look(&mut self) -> Result<Seen, Error> {
        let client = self.client().await?;
        let mut request = client
            .get(self.url.clone())
            .header(ACCEPT, "application/json");
        if let (Some(user), Some(path)) = (&self.options.username, &self.options.password_file) {
            request = request.basic_auth(user, Some(secret(path).await?));
        }
        if let Some(path) = &self.options.bearer_token_file {
            request = request.bearer_auth(secret(path).await?);
        }
        if let Some(etag) = &self.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await.map_err(|error| self.failed(error))?;
        match response.status() {
            StatusCode::NOT_MODIFIED if self.etag.is_some() => return Ok(Seen::Same),
            StatusCode::OK => {}
            status => return Err(self.refused(format!("the answer is {status}; expected 200 OK"))),
        }
        let etag = response.headers().get(ETAG).cloned();
        let checked = response
            .headers()
            .get(CHECKED)
            .is_some_and(|value| value == "true");
        let body = self.body(response).await?;
        let inventory = parse(body, self.url.to_string()).await?;
        self.etag = etag;
        let inventory = Box::new(inventory);
        Ok(if checked {
            Seen::Checked(inventory)
        } else {
            Seen::New(inventory)
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(Error::TooLarge {
                    origin: self.url.to_string(),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The client, made anew when a file of certificates has other content.
    async fn client(&mut self) -> Result<Client, Error> {
        let authorities = match &self.options.ca_file {
            Some(path) => small(path).await?,
            None => Vec::new(),
        };
        let mut own = Vec::new();
        let identity = [&self.options.cert_file, &self.options.key_file];
        for path in identity.into_iter().flatten() {
            own.extend(small(path).await?);
            own.push(b'\n');
        }
        let files = [authorities, own];
        if let Some((known, client)) = &self.client
            && *known == files
        {
            return Ok(client.clone());
        }
        // Another library of the process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .redirect(redirect::Policy::none());
        if let Some(path) = &self.options.ca_file {
            let certificates = Certificate::from_pem_bundle(&files[0])
                .ok()
                .filter(|list| !list.is_empty());
            let expected = || self.refused(format!("{} holds no PEM certificate", path.display()));
            builder = builder.tls_certs_only(certificates.ok_or_else(expected)?);
        } else if self.url.scheme() == "http" {
            // The authorities of the system are not needed, and a small image may have none.
            builder = builder.tls_certs_only([]);
        }
        if let Some(path) = &self.options.cert_file {
            let expected = |_| {
                let path = path.display();
                self.refused(format!("{path}: expected a certificate and its key in PEM"))
            };
            builder = builder.identity(Identity::from_pem(&files[1]).map_err(expected)?);
        }
        let client = builder.build().map_err(|error| self.failed(error))?;
        self.client = Some((files, client.clone()));
        Ok(client)
    }

    fn failed(&self, error: reqwest::Error) -> Error {
        self.refused(chain(&error.without_url()))
    }

    fn refused(&self, reason: String) -> Error {
        Error::Fetch {
            url: self.url.to_string(),
            reason,
        }
    }
}

async fn small(path: &Path) -> Result<Vec<u8>, Error> {
    let owned: PathBuf = path.to_owned();
    let failed = |source| Error::Read {
        path: owned.display().to_string(),
        source,
    };
    let size = tokio::fs::metadata(path).await.map_err(failed)?.len();
    if size > MAX_FILE {
        return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
    }
    tokio::fs::read(path).await.map_err(failed)
}

/// The first line of a secret file.
async fn secret(path: &Path) -> Result<String, Error> {
    let bytes = small(path).await?;
    let text = String::from_utf8(bytes).map_err(|_| Error::NotText {
        origin: path.display().to_string(),
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
