//! Where an inventory comes from.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The path that `sotp-inventory` answers the whole inventory at.
const PATH: &str = "/api/v1/inventory";

/// A file, or the inventory service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of this host.
    File(PathBuf),
    /// An `http` or `https` URL of the inventory service.
    Url {
        /// The URL as it was given; with an empty path, `/api/v1/inventory` is asked.
        url: String,
        /// How it is asked.
        options: UrlOptions,
    },
}

/// How a URL is asked. Every file is read again when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlOptions {
    /// PEM certificates of the authorities to trust; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// Certificate chain of the client, PEM; with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// Key of the client, PEM; with `cert_file`.
    pub key_file: Option<PathBuf>,
    /// User for basic authentication.
    pub username: Option<String>,
    /// File with the password of `username`.
    pub password_file: Option<PathBuf>,
    /// File with a bearer token; not together with `username`.
    pub bearer_token_file: Option<PathBuf>,
    /// Where the last good inventory is kept, so that a start succeeds while the service is down.
    pub cache_file: Option<PathBuf>,
}

impl FromStr for Source {
    type Err = Infallible;

    /// A URL when it begins with `http://` or `https://`, else a path.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let url = text.starts_with("http://") || text.starts_with("https://");
        Ok(if url {
            Self::Url {
                url: text.to_owned(),
                options: UrlOptions::default(),
            }
        } else {
            Self::File(text.into())
        })
    }
}

impl fmt::Display for Source {
    /// The path, or the URL without user information and query, where secrets would stand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url { url, .. } => match reqwest::Url::parse(url) {
                Ok(mut url) => {
                    let _ = (url.set_username(""), url.set_password(None));
                    url.set_query(None);
                    url.fmt(f)
                }
                Err(_) => f.write_str("(not a URL)"),
            },
        }
    }
}

impl Source {
    /// The same source, asked with `options`; a file stays as it is.
    #[must_use]
    pub fn with_options(self, options: UrlOptions) -> Self {
        match self {
            Self::Url { url, .. } => Self::Url { url, options },
            file @ Self::File(_) => file,
        }
    }
}

/// A source that cannot work, whatever the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSource {
    /// Not a URL.
    #[error("not a URL; expected one like http://127.0.0.1:19870")]
    Url,
    /// A user or password in the URL, where other users of the host can read it.
    #[error("the URL holds a user or a password; expected the username option and a password file")]
    Secret,
    /// Options of a URL for a file.
    #[error("a file, but there is a user, a token, an authority or a cache for it; expected a URL")]
    File,
    /// Options that exclude or need each other.
    #[error(
        "options that do not fit; expected a username with a password file, or a bearer token file, or neither; and a certificate with its key, or neither"
    )]
    Options,
}

/// The URL that is asked.
pub(crate) fn endpoint(url: &str, options: &UrlOptions) -> Result<reqwest::Url, InvalidSource> {
    let mut url = reqwest::Url::parse(url).map_err(|_| InvalidSource::Url)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidSource::Secret);
    }
    let basic = (options.username.is_some(), options.password_file.is_some());
    if basic.0 != basic.1
        || (basic.0 && options.bearer_token_file.is_some())
        || options.cert_file.is_some() != options.key_file.is_some()
    {
        return Err(InvalidSource::Options);
    }
    if url.path() == "/" {
        url.set_path(PATH);
    }
    Ok(url)
}
