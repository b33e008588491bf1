//! Who asks, and what they may do.
//!
//! A caller is known by the identity token that Grafana signs and forwards, by a verified client certificate or by a user of the web
//! configuration; or, where that is asked for, as whoever asks from this machine itself; and by nothing else. [`Access`] is the checked
//! policy: it finds the caller of a request, gives it a role, and decides whether the role may do a [`Verb`] to an [`Object`]. Whatever is
//! not known, not configured or cannot be found out is refused.

mod access;
mod config;
mod denied;
mod grafana;
mod keys;
mod policy;
mod series;
mod token;

pub use access::Access;
pub use config::{AccessConfig, AccessError};
pub use denied::Denied;
pub use series::register;
#[doc(hidden)]
pub use token::judged;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a caller may do, each role including the one before.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Changes what is watched, and acts.
    Operator,
    /// Changes who may do what, and approves.
    Admin,
}

impl Role {
    /// Every role, weakest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its name in configuration, audit and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a caller proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The signed token of `X-Grafana-Id`.
    GrafanaToken,
    /// A client certificate that was verified in the handshake.
    ClientCertificate,
    /// A user of the web configuration, by password.
    WebUser,
    /// From this machine itself, without a proof.
    Loopback,
    /// Nobody asked: the service itself, on its schedule.
    Service,
}

impl Via {
    /// Every way by which a request can come.
    pub const ALL: [Self; 4] = [
        Self::GrafanaToken,
        Self::ClientCertificate,
        Self::WebUser,
        Self::Loopback,
    ];

    /// Its name in audit and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GrafanaToken => "grafana_token",
            Self::ClientCertificate => "client_certificate",
            Self::WebUser => "web_user",
            Self::Loopback => "loopback",
            Self::Service => "service",
        }
    }
}

/// A person or program that is known.
///
/// `subject` is stable and unique among those who came the same way: the `sub` claim (`user:…`), the certificate subject of RFC 4514, or
/// the name of the web user. Neither text has control characters; `subject` has at most 512 bytes, `display` at most 256. Whoever compares two callers compares `via` and `subject`, never `display`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Who, for programs.
    pub subject: String,
    /// Who, for people: the login or name. It can change, and two people may have the same.
    pub display: String,
    /// What they may do.
    pub role: Role,
    /// How they are known.
    pub via: Via,
}

impl Caller {
    /// Whether both are the same person or program, whatever their role and name are now.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.via == other.via && self.subject == other.subject
    }
}

/// Something that can be asked for, as a service names it: `device.change`. Services declare theirs as constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verb {
    name: &'static str,
    least: Role,
}

impl Verb {
    /// A verb and the least role that may use it where the configuration has no rule for it.
    #[must_use]
    pub const fn new(name: &'static str, least: Role) -> Self {
        Self { name, least }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The least role without a rule.
    #[must_use]
    pub const fn least(&self) -> Role {
        self.least
    }
}

/// Reading the audit log, which every service that records has.
pub static AUDIT_READ: Verb = Verb::new("audit.read", Role::Operator);

/// What a verb is done to.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// `device`, `site`, `group` …
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The device groups it belongs to; empty for what belongs to none. A change from one group to another is authorised twice, with
    /// the groups before and with those after.
    pub groups: &'a [String],
}
