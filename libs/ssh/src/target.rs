//! Where a device listens, and how long each step towards its prompt may take.

use std::fmt;
use std::time::Duration;

use crate::{Jump, Profile};

/// Where a device listens and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Target {
    /// IP address or DNS name, also the name under which its host key is known.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Which algorithms it is offered.
    pub profile: Profile,
    /// Bounds of the waits before the first command.
    pub times: Times,
    /// A host that is logged in on, through which it is reached.
    pub jump: Option<Jump>,
}

/// Bounds of the waits before the first command.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// TCP connection and key exchange.
    pub connect: Duration,
    /// Login, and the opening of the shell.
    pub login: Duration,
    /// From the open shell to the prompt.
    pub prompt: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            login: Duration::from_secs(20),
            prompt: Duration::from_secs(15),
        }
    }
}

impl Target {
    /// A device with the algorithms and bounds that most have.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            profile: Profile::default(),
            times: Times::default(),
            jump: None,
        }
    }

    pub(crate) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}
