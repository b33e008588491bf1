//! What goes wrong between us and a device.

use std::path::PathBuf;
use std::time::Duration;

/// Why a session could not be opened or a command not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The TCP connection failed.
    #[error("no connection to {target}")]
    Connect {
        /// Host and port.
        target: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A wait had its bound.
    #[error("{what} took longer than {after:?}")]
    Timeout {
        /// What was waited for: `connect`, `login`, `prompt`, `echo` or `answer`.
        what: &'static str,
        /// The bound.
        after: Duration,
    },
    /// Both sides have no algorithm in common.
    #[error(
        "no common {kind} algorithm: the device offers {theirs}; its profile here may have to be compat or ancient"
    )]
    Algorithms {
        /// `kex`, `key`, `cipher`, `mac` or `compression`.
        kind: &'static str,
        /// What the device offers, with commas.
        theirs: String,
    },
    /// The host key is not among the known ones.
    #[error("host key {fingerprint} of {host} is not known")]
    UnknownHostKey {
        /// Host as in `known_hosts`.
        host: String,
        /// `SHA256:…`.
        fingerprint: String,
    },
    /// Another host key is known for this host, or this one was revoked.
    #[error("host key of {host} has changed to {fingerprint}: refused")]
    HostKeyChanged {
        /// Host as in `known_hosts`.
        host: String,
        /// `SHA256:…` of the key that was shown.
        fingerprint: String,
    },
    /// The list of known host keys cannot be read or written.
    #[error("known hosts {path}")]
    KnownHosts {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The jump host in front of the device could not be used.
    #[error("jump host {host}")]
    Jump {
        /// Its host and port.
        host: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// The device refused the login.
    #[error("the device refused the login of {user} (tried: {tried})")]
    Login {
        /// The account.
        user: String,
        /// Methods, with commas.
        tried: String,
    },
    /// No prompt was recognised after the login.
    #[error("no prompt recognised; the last line was {last:?}")]
    Prompt {
        /// The last line, at most 60 characters.
        last: String,
    },
    /// The device did not echo the command, so that its answer cannot be told from other text.
    #[error("the command was not echoed within {after:?}")]
    Echo {
        /// The bound.
        after: Duration,
    },
    /// Privileged mode could not be entered.
    #[error("privileged mode was refused")]
    Privilege,
    /// The device closed the session.
    #[error("the device closed the session while {during}")]
    Closed {
        /// What was going on.
        during: &'static str,
    },
    /// An answer is larger than allowed.
    #[error("an answer larger than {most} bytes")]
    TooLarge {
        /// The bound.
        most: usize,
    },
    /// The command cannot be sent to a command line.
    #[error("the command holds control characters, a line end, or more than {most} bytes")]
    Command {
        /// Most bytes of a command.
        most: usize,
    },
    /// The driver has no data for what was asked.
    #[error("the driver of {platform} has no {what}")]
    Unsupported {
        /// The platform.
        platform: String,
        /// What is missing.
        what: &'static str,
    },
    /// The protocol broke.
    #[error("SSH protocol")]
    Protocol(#[source] russh::Error),
}

impl Error {
    /// The kind of failure, from a closed list: fit for a label.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Timeout { .. } => "timeout",
            Self::Algorithms { .. } => "algorithm",
            Self::UnknownHostKey { .. } => "host_key_unknown",
            Self::HostKeyChanged { .. } => "host_key_changed",
            Self::KnownHosts { .. } => "known_hosts",
            Self::Jump { .. } => "jump_host",
            Self::Login { .. } => "login",
            Self::Prompt { .. } => "prompt",
            Self::Echo { .. } => "echo",
            Self::Privilege => "privilege",
            Self::Closed { .. } => "closed",
            Self::TooLarge { .. } => "too_large",
            Self::Command { .. } => "command",
            Self::Unsupported { .. } => "unsupported",
            Self::Protocol(_) => "protocol",
        }
    }

    /// Whether an account was refused, so that trying again soon could lock it.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Login { .. } | Self::Privilege)
    }

    /// Every value of [`Error::reason`].
    pub const REASONS: [&'static str; 16] = [
        "connect",
        "timeout",
        "algorithm",
        "host_key_unknown",
        "host_key_changed",
        "known_hosts",
        "jump_host",
        "login",
        "prompt",
        "echo",
        "privilege",
        "closed",
        "too_large",
        "command",
        "unsupported",
        "protocol",
    ];
}

impl From<russh::Error> for Error {
    fn from(error: russh::Error) -> Self {
        match error {
            russh::Error::NoCommonAlgo { kind, theirs, .. } => Self::Algorithms {
                kind: match kind {
                    russh::AlgorithmKind::Kex => "kex",
                    russh::AlgorithmKind::Key => "key",
                    russh::AlgorithmKind::Cipher => "cipher",
                    russh::AlgorithmKind::Compression => "compression",
                    russh::AlgorithmKind::Mac => "mac",
                },
                theirs: listed(&theirs),
            },
            russh::Error::HUP
            | russh::Error::Disconnect
            | russh::Error::RecvError
            | russh::Error::SendError => Self::Closed { during: "talking" },
            other => Self::Protocol(other),
        }
    }
}

/// Names from the wire, bounded and printable.
fn listed(names: &[String]) -> String {
    let joined = names.join(",");
    joined
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(400)
        .collect()
}

/// Why a driver file is no driver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// No driver is called so.
    #[error("no driver for platform {0:?}")]
    Unknown(String),
    /// The file cannot be read.
    #[error("driver file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The text is not what a driver is.
    #[error(transparent)]
    Form(#[from] toolkit::ConfigError),
}
