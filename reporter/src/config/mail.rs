//! How reports are sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::SecretFile;
use toolkit::config::Bytes;

/// Most recipients of a report.
const RECIPIENTS: usize = 100;

/// How the connection to the mail server is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// STARTTLS, without which nothing is sent (RFC 3207).
    Starttls,
    /// TLS from the beginning (RFC 8314).
    Tls,
    /// None: for a server on the same machine.
    None,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMail {
    /// Name of the mail server; its certificate must have it.
    server: String,
    /// Port of the mail server: 587, 465 with `tls`, 25 with `none` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// `starttls` (unless given), `tls` or `none`.
    #[serde(default = "starttls")]
    security: Security,
    /// Authorities that the certificate must lead to, PEM, in place of those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    /// The user; with `password_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// File with the password; it is read again when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    /// Who sends: `SOTP <sotp@example.net>`.
    from: String,
    /// Who gets it, 1 to 100 addresses.
    to: Vec<String>,
    /// Largest mail, 20MiB unless given; a larger one has fewer files, and at last a link only.
    #[serde(default = "max_bytes")]
    max_bytes: Bytes,
}

fn starttls() -> Security {
    Security::Starttls
}

fn max_bytes() -> Bytes {
    Bytes(20 << 20)
}

/// How reports are sent.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Name of the mail server.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept from others.
    pub security: Security,
    /// Authorities in place of those of the system.
    pub ca_file: Option<PathBuf>,
    /// User and password.
    pub login: Option<(String, Arc<SecretFile>)>,
    /// Who sends.
    pub from: Mailbox,
    /// Who gets it.
    pub to: Vec<Mailbox>,
    /// Largest mail in bytes.
    pub max_bytes: u64,
}

fn mailbox(key: &str, text: &str) -> Result<Mailbox, (String, String)> {
    text.parse().map_err(|_| {
        let expected = "expected an address such as noc@example.net or NOC <noc@example.net>";
        (key.to_owned(), format!("{expected}, found {text:?}"))
    })
}

impl RawMail {
    /// Checks it; the paths of errors are those inside the section.
    pub(super) fn check(&self, base: &Path) -> Result<Mail, (String, String)> {
        let wrong = |key: &str, message: &str| (key.to_owned(), message.to_owned());
        let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
        if self.server.is_empty() || self.server.len() > 253 || !self.server.chars().all(host) {
            return Err(wrong("server", "expected the name of a host"));
        }
        if self.to.is_empty() || self.to.len() > RECIPIENTS {
            return Err((
                "to".to_owned(),
                format!("expected 1 to {RECIPIENTS} addresses"),
            ));
        }
        let from = mailbox("from", &self.from)?;
        let to = self.to.iter().enumerate();
        let to = to
            .map(|(index, text)| mailbox(&format!("to[{index}]"), text))
            .collect::<Result<_, _>>()?;
        let login = match (&self.user, &self.password_file) {
            (None, None) => None,
            (Some(_), None) => return Err(wrong("user", "expected password_file beside it")),
            (None, Some(_)) => return Err(wrong("password_file", "expected user beside it")),
            (Some(_), Some(_)) if self.security == Security::None => {
                let message =
                    "expected starttls or tls beside a password: nobody else must read it";
                return Err(wrong("security", message));
            }
            (Some(user), Some(file)) => {
                let password = SecretFile::open(base.join(file)).map_err(|error| {
                    let message = format!("expected a readable file, {}: {error}", file.display());
                    ("password_file".to_owned(), message)
                })?;
                Some((user.clone(), Arc::new(password)))
            }
        };
        let ca_file = self.ca_file.as_ref().map(|file| base.join(file));
        if let Some(file) = &ca_file {
            std::fs::metadata(file).map_err(|error| {
                let message = format!("expected a readable file, {}: {error}", file.display());
                ("ca_file".to_owned(), message)
            })?;
        }
        if !(65_536..=1 << 30).contains(&self.max_bytes.0) {
            return Err(wrong("max_bytes", "expected 64KiB to 1GiB"));
        }
        Ok(Mail {
            server: self.server.clone(),
            port: self.port.unwrap_or(match self.security {
                Security::Starttls => 587,
                Security::Tls => 465,
                Security::None => 25,
            }),
            security: self.security,
            ca_file,
            login,
            from,
            to,
            max_bytes: self.max_bytes.0,
        })
    }
}
