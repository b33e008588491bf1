//! From a request to a caller, and from a caller to a decision.

use std::collections::BTreeMap;

use super::policy::Policy;
use super::{Caller, Denied, Object, Role, Verb, Via};
use crate::Request;

/// The checked policy.
#[derive(Debug)]
pub struct Access {
    policy: Policy,
    web_users: BTreeMap<String, Role>,
}

impl Access {
    pub(crate) fn new(policy: Policy, web_users: BTreeMap<String, Role>) -> Self {
        Self { policy, web_users }
    }

    /// Finds out who asks.
    ///
    /// # Errors
    /// Nobody that is known, or it cannot be found out now.
    pub async fn identify(&self, request: &Request) -> Result<Caller, Denied> {
        let user = request
            .user()
            .and_then(|user| Some((user, *self.web_users.get(user)?)));
        let (user, role) = user.ok_or(Denied::Unknown {
            reason: "no_credentials",
            proxied: false,
        })?;
        Ok(Caller {
            subject: user.to_owned(),
            display: user.to_owned(),
            role,
            via: Via::WebUser,
        })
    }

    /// Finds out who asks, and lets them through when they may do `verb` to `object`.
    ///
    /// # Errors
    /// Not known, not allowed, or it cannot be found out now.
    pub async fn authorise(
        &self,
        request: &Request,
        verb: &Verb,
        object: &Object<'_>,
    ) -> Result<Caller, Denied> {
        let caller = self.identify(request).await?;
        self.permits(&caller, verb, object)?;
        Ok(caller)
    }

    /// Decides for a caller that is known already: for requests about several objects.
    ///
    /// # Errors
    /// Not allowed.
    pub fn permits(&self, caller: &Caller, verb: &Verb, object: &Object<'_>) -> Result<(), Denied> {
        self.policy.permits(caller.role, verb, object)
    }
}
