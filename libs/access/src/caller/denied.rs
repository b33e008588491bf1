//! Refusals.

use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use toolkit::Response;

use super::Role;
use crate::Problem;

/// Why a request is not let in. The caller is told its kind; the exact reason is for the log and the metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody that is known asks.
    #[error("the caller is not known: {reason}")]
    Unknown {
        /// One of a fixed set.
        reason: &'static str,
        /// The request came through Grafana, which would turn a 401 into a 400.
        proxied: bool,
    },
    /// The caller is known and may not.
    #[error("{verb} needs the role {needed}, and a rule for what it is done to")]
    Forbidden {
        /// What was asked for.
        verb: &'static str,
        /// The least role with which any rule lets it through.
        needed: Role,
    },
    /// It cannot be found out now: the keys of Grafana cannot be had.
    #[error("the caller cannot be verified now")]
    Unavailable,
}

impl Denied {
    /// Nobody that is known, through Grafana.
    pub(crate) fn proxied(reason: &'static str) -> Self {
        Self::Unknown {
            reason,
            proxied: true,
        }
    }

    /// Nobody that is known, asking directly.
    pub(crate) fn direct(reason: &'static str) -> Self {
        Self::Unknown {
            reason,
            proxied: false,
        }
    }

    /// Its reason in metrics and logs, one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unknown { reason, .. } => reason,
            Self::Forbidden { .. } => "forbidden",
            Self::Unavailable => "keys_unavailable",
        }
    }

    /// 401 or 403, or 503 while it cannot be found out.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unknown { proxied: false, .. } => StatusCode::UNAUTHORIZED,
            Self::Unknown { proxied: true, .. } | Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The refusal as a problem, to which a service may add members.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let problem = Problem::new(self.status());
        match self {
            Self::Unknown { .. } => problem.kind("/problems/caller-unknown", "Caller not known").detail(
                "expected the identity that Grafana forwards, a client certificate or a user that the access section names",
            ),
            Self::Forbidden { .. } => problem
                .kind("/problems/forbidden", "Not allowed")
                .detail(self.to_string()),
            Self::Unavailable => problem
                .kind("/problems/caller-unverifiable", "Caller cannot be verified now")
                .detail("the signing keys of Grafana cannot be read; try again"),
        }
    }

    /// The refusal as a response.
    #[must_use]
    pub fn response(&self) -> Response {
        let mut answer = self.problem().response();
        let headers = answer.headers_mut();
        match self {
            Self::Unknown { proxied: false, .. } => {
                let ask = HeaderValue::from_static("Basic realm=\"SOTP\", charset=\"UTF-8\"");
                headers.insert(WWW_AUTHENTICATE, ask);
            }
            Self::Unavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
            }
            _ => {}
        }
        answer
    }
}
