//! Callers that a Grafana vouches for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use toolkit::Request;

use super::config::Carriers;
use super::keys::{Found, Keys};
use super::token::{Claims, Expected, Unverified};
use super::{Caller, Denied, Role, Via};

/// One Grafana, and what its users are here.
#[derive(Debug)]
pub(crate) struct Grafana {
    pub(crate) keys: Arc<Keys>,
    pub(crate) expected: Expected,
    pub(crate) carriers: Carriers,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) groups: BTreeMap<String, Role>,
    pub(crate) users: BTreeMap<String, Role>,
}

impl Grafana {
    pub(crate) fn carriers(&self) -> &Carriers {
        &self.carriers
    }

    /// The caller that the token names.
    pub(crate) async fn caller(
        &self,
        request: &Request,
        token: &str,
        now: SystemTime,
    ) -> Result<Caller, Denied> {
        if !self.carries(request) {
            return Err(Denied::proxied("token_carrier"));
        }
        let token = Unverified::parse(token).map_err(|bad| Denied::proxied(bad.0))?;
        let key = match self.keys.find(token.kid()).await {
            Found::Key(key) => key,
            Found::Unknown => return Err(Denied::proxied("token_key")),
            Found::Unavailable => return Err(Denied::Unavailable),
        };
        let claims = token
            .verify(&key, &self.expected, now)
            .map_err(|bad| Denied::proxied(bad.0))?;
        let role = self
            .role(&claims)
            .ok_or(Denied::proxied("role_not_mapped"))?;
        let shown = [claims.login, claims.name, claims.subject.clone()];
        Ok(Caller {
            display: shown
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_default(),
            subject: claims.subject,
            role,
            via: Via::GrafanaToken,
        })
    }

    /// Whether this request may hand over a token at all. Grafana gives the token of a user to every data source and plugin that it
    /// asks for them, each of which could use it here if it were believed from anybody.
    fn carries(&self, request: &Request) -> bool {
        let Carriers {
            web_users,
            certificates,
        } = &self.carriers;
        let everybody = web_users.is_empty() && certificates.is_empty();
        let by_user = || request.user().is_some_and(|user| web_users.contains(user));
        let by_certificate = || {
            request.client_certificate().is_some_and(|certificate| {
                let names = certificate.names().iter().map(String::as_str);
                std::iter::once(certificate.subject())
                    .chain(names)
                    .any(|name| certificates.contains(name))
            })
        };
        everybody || by_user() || by_certificate()
    }

    /// A user that is named decides alone, by `sub` before login; else the strongest of basic role and groups.
    fn role(&self, claims: &Claims) -> Option<Role> {
        // A login may be anything a user chose. Names with a colon are subjects, so that no login passes for one.
        let by_login = || {
            self.users
                .get(&claims.login)
                .filter(|_| !claims.login.contains(':'))
        };
        if let Some(role) = self.users.get(&claims.subject).or_else(by_login) {
            return Some(*role);
        }
        let basic = self.roles.get(&claims.role);
        let groups = claims
            .groups
            .iter()
            .filter_map(|group| self.groups.get(group));
        basic.into_iter().chain(groups).max().copied()
    }
}
