//! Where to push, how and how fast.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use toolkit::SecretFile;

use crate::{Format, Limits};

/// How the client shows who it is.
#[derive(Debug, Clone, Default)]
pub enum Authentication {
    /// Not at all, or by its certificate.
    #[default]
    None,
    /// User and password.
    Basic {
        /// The user.
        user: String,
        /// The file with the password.
        password: Arc<SecretFile>,
    },
    /// A token.
    Bearer(Arc<SecretFile>),
}

impl Authentication {
    /// The request with what shows who the client is, as the file of the secret is now.
    pub fn apply(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic { user, password } => {
                request.basic_auth(user, Some(password.current().reveal()))
            }
            Self::Bearer(token) => request.bearer_auth(token.current().reveal()),
        }
    }
}

/// When a batch is sent.
#[derive(Debug, Clone)]
pub struct Batching {
    /// At so many bytes of records.
    pub max_bytes: usize,
    /// At so many lines.
    pub max_lines: usize,
    /// When the oldest line has waited this long.
    pub max_age: Duration,
}

/// Pauses between attempts.
#[derive(Debug, Clone)]
pub struct Retry {
    /// The first pause; each further one is twice as long, with jitter.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The pause while the queue is held.
    pub hold: Duration,
}

/// How fast lines are sent, in bytes of text and metadata as Loki counts them. None: as fast as they are taken.
#[derive(Debug, Clone)]
pub struct Rate {
    /// Bytes per second.
    pub bytes_per_second: f64,
    /// Bytes that may be sent at once after a pause.
    pub burst_bytes: f64,
}

/// One Loki.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its name, which is also the name of the queue's reader.
    pub name: String,
    /// The full address, `http://loki:3100/loki/api/v1/push`.
    pub url: String,
    /// `X-Scope-OrgID` of lines that name no tenant of their own.
    pub tenant: Option<String>,
    /// How the client shows who it is.
    pub authentication: Authentication,
    /// Certificates that the server's must descend from; the system's when none is given.
    pub ca_file: Option<PathBuf>,
    /// Certificate chain and key of the client, PEM.
    pub identity_files: Option<(PathBuf, PathBuf)>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// How requests are encoded.
    pub format: Format,
    /// When a batch is sent.
    pub batching: Batching,
    /// Pauses between attempts.
    pub retry: Retry,
    /// How fast lines are sent.
    pub rate: Option<Rate>,
    /// How long one request may take.
    pub timeout: Duration,
    /// What Loki accepts.
    pub limits: Limits,
}

impl Destination {
    /// Whether everything is as in the other; files with secrets by their path, since a changed one is read again anyway.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }

    /// A destination with the defaults.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            tenant: None,
            authentication: Authentication::None,
            ca_file: None,
            identity_files: None,
            headers: Vec::new(),
            format: Format::Protobuf,
            batching: Batching {
                max_bytes: 1 << 20,
                max_lines: 5_000,
                max_age: Duration::from_millis(200),
            },
            retry: Retry {
                first: Duration::from_millis(500),
                longest: Duration::from_secs(30),
                hold: Duration::from_secs(30),
            },
            rate: Some(Rate {
                bytes_per_second: 3.8e6,
                burst_bytes: 5.5e6,
            }),
            timeout: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}
