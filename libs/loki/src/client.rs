//! The HTTP client of one destination.

use std::time::Duration;

use reqwest::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};

use toolkit::{ClientFiles, ClientFilesError, Renewing};

use crate::{Authentication, Destination, Format, Verdict, classify};

/// Why a client cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A certificate or key file cannot be read or is not one, or the client cannot be set up.
    #[error(transparent)]
    Files(#[from] ClientFilesError),
    /// An address or header is not well-formed.
    #[error("{what} is not well-formed: {detail}")]
    Malformed {
        /// Which.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// The answer to one request.
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    /// Status code, or what kept one from coming: `timeout`, `connect`, `broken`.
    pub(crate) code: String,
    /// The beginning of the body, or the error.
    pub(crate) detail: String,
}

/// Longest part of an answer's body that is read.
const DETAIL: usize = 2_048;

pub(crate) struct Client {
    http: Renewing<reqwest::Client>,
    url: reqwest::Url,
    authentication: Authentication,
    format: Format,
}

fn malformed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> ClientError {
    move |detail| ClientError::Malformed {
        what,
        detail: detail.to_string(),
    }
}

/// The HTTP client with everything that a destination says of its connections; its certificates are renewed with their files.
///
/// # Errors
/// A file or a header of it cannot be used.
pub fn http(destination: &Destination) -> Result<Renewing<reqwest::Client>, ClientError> {
    let url = reqwest::Url::parse(&destination.url).map_err(malformed("the address"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &destination.headers {
        let name = HeaderName::try_from(name).map_err(malformed("a header name"))?;
        headers.insert(
            name,
            HeaderValue::try_from(value).map_err(malformed("a header value"))?,
        );
    }
    let files = ClientFiles {
        authority: destination.ca_file.clone(),
        identity: destination.identity_files.clone(),
    };
    let timeout = destination.timeout;
    let plain = url.scheme() == "http";
    Ok(Renewing::new(files, move |certificates| {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("sotp/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers.clone())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .timeout(timeout)
            .http1_only();
        if plain {
            // No certificate is ever looked at: do not search the system for any.
            builder = builder.tls_certs_only([]);
        }
        certificates.client(builder).build()
    })?)
}

impl Client {
    pub(crate) fn new(destination: &Destination) -> Result<Self, ClientError> {
        let http = http(destination)?;
        let url = reqwest::Url::parse(&destination.url).map_err(malformed("the address"))?;
        Ok(Self {
            http,
            url,
            authentication: destination.authentication.clone(),
            format: destination.format,
        })
    }

    /// Sends one request.
    pub(crate) async fn send(&self, body: Vec<u8>, tenant: Option<&str>) -> Answer {
        let mut request = self.http.current().post(self.url.clone()).body(body);
        request = match self.format {
            Format::Protobuf => request.header(CONTENT_TYPE, "application/x-protobuf"),
            Format::Json => request
                .header(CONTENT_TYPE, "application/json")
                .header(CONTENT_ENCODING, "gzip"),
        };
        if let Some(tenant) = tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        request = self.authentication.apply(request);
        match request.send().await {
            Ok(response) => read_answer(response).await,
            Err(error) => {
                let code = if error.is_timeout() {
                    "timeout"
                } else if error.is_connect() {
                    "connect"
                } else {
                    "broken"
                };
                Answer {
                    verdict: Verdict::Retry(None),
                    code: code.to_owned(),
                    detail: chain(&error),
                }
            }
        }
    }
}

async fn read_answer(mut response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while body.len() < DETAIL {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(DETAIL);
    let detail = String::from_utf8_lossy(&body).trim().to_owned();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|v| v.to_str().ok());
    Answer {
        verdict: classify(status, retry_after, &detail),
        code: status.to_string(),
        detail,
    }
}

/// The error with its causes, without the address: it may carry a password.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    std::error::Error::source(error).map_or_else(|| "no answer".to_owned(), toolkit::chain)
}
