//! The `access:` section of a configuration.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::policy::{Policy, Rule, Verbs};
use super::{Access, Role, Verb};

/// The `access:` section as it is written. Without it nobody is known, and every verb is refused.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Users of the web configuration and their roles.
    pub(crate) web_users: BTreeMap<String, Role>,
    /// Client certificates and their roles.
    pub(crate) certificates: Vec<CertificateConfig>,
    /// Which role may do what to which device groups.
    pub(crate) rules: Vec<RuleConfig>,
}

/// A client certificate, known by its subject or by one of its alternative names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CertificateConfig {
    pub(crate) subject: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) role: Option<Role>,
}

/// A rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleConfig {
    pub(crate) verbs: Vec<String>,
    pub(crate) role: Role,
    pub(crate) device_groups: Option<BTreeSet<String>>,
}

/// Why an `access:` section is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct AccessError {
    /// Path inside the section: `rules[1].verbs[0]`.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl AccessConfig {
    /// Checks the section for a service that knows these verbs.
    ///
    /// # Errors
    /// The first thing that is wrong: a rule for a verb that the service does not have, two roles for one certificate …
    pub fn check(self, verbs: &[Verb]) -> Result<Access, AccessError> {
        let mut rules = Vec::new();
        for (at, rule) in self.rules.into_iter().enumerate() {
            for (nth, name) in rule.verbs.iter().enumerate() {
                let holds = Verbs::parse(name);
                if !verbs.iter().any(|verb| holds.holds(verb.name())) {
                    return Err(AccessError {
                        path: format!("rules[{at}].verbs[{nth}]"),
                        message: format!("expected a verb of this service, found {name:?}"),
                    });
                }
                rules.push(Rule {
                    verbs: holds,
                    role: rule.role,
                    groups: rule.device_groups.clone(),
                });
            }
        }
        Ok(Access::new(Policy { rules }, self.web_users))
    }
}
