//! The `access:` section of a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grafana::Grafana;
use super::keys::{Keys, Origin};
use super::policy::{Policy, Rule, Verbs};
use super::token::Expected;
use super::{Access, Role, Verb};

/// The `access:` section as it is written. Without it nobody is known, and every verb is refused.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// The Grafana whose users are believed; without it no token is.
    grafana: Option<GrafanaConfig>,
    /// Roles of users of the web configuration.
    web_users: BTreeMap<String, Role>,
    /// Role of whoever asks from this machine itself, without a proof; nobody unless given. For a machine of one person.
    #[serde(skip_serializing_if = "Option::is_none")]
    loopback: Option<Role>,
    /// Roles of client certificates, by their subject in the form of RFC 4514 or by an alternative name such as `dns:…` or `uri:…`.
    certificates: BTreeMap<String, Role>,
    /// Which role may do what to which device groups.
    rules: Vec<RuleConfig>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GrafanaConfig {
    /// Where its keys are fetched.
    url: String,
    /// What its tokens say they are from: its `root_url`; without it, `url`.
    issuer: Option<String>,
    /// Whom its tokens are for: an organisation.
    #[serde(default = "first_organisation")]
    audience: String,
    /// Authorities that its certificate must lead to, instead of those of the system.
    ca_file: Option<PathBuf>,
    /// Who may hand over its tokens: what it logs in with itself; everybody unless given.
    #[serde(default)]
    carried_by: Carriers,
    /// Roles of its own roles.
    #[serde(default = "usual_roles")]
    roles: BTreeMap<String, Role>,
    /// Roles of its groups.
    #[serde(default)]
    groups: BTreeMap<String, Role>,
    /// Roles of its users.
    #[serde(default)]
    users: BTreeMap<String, Role>,
}

/// Who may hand over tokens: what Grafana itself logs in with. Empty for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Carriers {
    /// Users of the web configuration.
    pub(crate) web_users: BTreeSet<String>,
    /// Client certificates, by subject or alternative name.
    pub(crate) certificates: BTreeSet<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleConfig {
    /// What may be done: names of verbs, several as `name.*`, or `*`.
    verbs: Vec<String>,
    /// The least role that may.
    role: Role,
    /// Only to devices in one of these groups; to all unless given.
    device_groups: Option<BTreeSet<String>>,
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

impl AccessError {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

fn first_organisation() -> String {
    "org:1".to_owned()
}

/// Grafana's basic roles, and what stands beside each.
fn usual_roles() -> BTreeMap<String, Role> {
    BASIC_ROLES
        .iter()
        .filter_map(|(name, role)| Some(((*name).to_owned(), (*role)?)))
        .collect()
}

/// `None` is a role without rights, which nothing is made of unless the configuration says so.
const BASIC_ROLES: [(&str, Option<Role>); 4] = [
    ("Viewer", Some(Role::Viewer)),
    ("Editor", Some(Role::Operator)),
    ("Admin", Some(Role::Admin)),
    ("None", None),
];

impl AccessConfig {
    /// Makes relative paths relative to the folder of the configuration file.
    #[must_use]
    pub fn relative_to(mut self, origin: &Path) -> Self {
        if let Some(path) = self.grafana.as_mut().and_then(|it| it.ca_file.as_mut()) {
            *path = origin.parent().unwrap_or(Path::new("")).join(&*path);
        }
        self
    }

    /// Checks the section for a service that knows these verbs.
    ///
    /// # Errors
    /// The first thing that is wrong: a rule for a verb that the service does not have, a credential that is a person and Grafana at
    /// once, an address that is none …
    pub fn check(self, verbs: &[Verb]) -> Result<Access, AccessError> {
        for (section, names) in [
            ("web_users", self.web_users.keys()),
            ("certificates", self.certificates.keys()),
        ] {
            for name in names {
                tame(name).map_err(|message| {
                    AccessError::new(toolkit::yaml::join(section, name), message)
                })?;
            }
        }
        let grafana = self.grafana.map(GrafanaConfig::check).transpose()?;
        if let Some(carriers) = grafana.as_ref().map(Grafana::carriers) {
            // A request of Grafana without a token must not get the rights of Grafana's own login.
            let carries = "expected a login of its own: this one carries the tokens of Grafana, and has no role itself";
            if let Some(name) = carriers
                .web_users
                .iter()
                .find(|it| self.web_users.contains_key(*it))
            {
                return Err(AccessError::new(
                    toolkit::yaml::join("web_users", name),
                    carries,
                ));
            }
            if let Some(name) = carriers
                .certificates
                .iter()
                .find(|it| self.certificates.contains_key(*it))
            {
                return Err(AccessError::new(
                    toolkit::yaml::join("certificates", name),
                    carries,
                ));
            }
        }
        let mut rules = Vec::new();
        for (at, rule) in self.rules.into_iter().enumerate() {
            if rule.verbs.is_empty() {
                return Err(AccessError::new(
                    format!("rules[{at}].verbs"),
                    "expected at least one verb",
                ));
            }
            for (nth, name) in rule.verbs.iter().enumerate() {
                let holds = Verbs::parse(name);
                // Every service that records has those of the log.
                let mut all = verbs.iter().chain([&super::AUDIT_READ]);
                if !all.any(|verb| holds.holds(verb.name())) {
                    let known: Vec<_> = verbs.iter().map(Verb::name).collect();
                    return Err(AccessError::new(
                        format!("rules[{at}].verbs[{nth}]"),
                        format!(
                            "expected one of {}, several as `name.*`, or `*`; found {name:?}",
                            known.join(", ")
                        ),
                    ));
                }
                rules.push(Rule {
                    verbs: holds,
                    role: rule.role,
                    groups: rule.device_groups.clone(),
                });
            }
        }
        Ok(Access {
            grafana,
            web_users: self.web_users,
            certificates: self.certificates,
            loopback: self.loopback,
            policy: Policy { rules },
        })
    }
}

impl GrafanaConfig {
    fn check(self) -> Result<Grafana, AccessError> {
        let bad =
            |path: &str, message: String| AccessError::new(format!("grafana.{path}"), message);
        let url = address(&self.url).map_err(|message| bad("url", message))?;
        let issuer = self.issuer.as_deref().unwrap_or(&self.url);
        let issuer = address(issuer).map_err(|message| bad("issuer", message))?;
        for name in self.roles.keys() {
            if !BASIC_ROLES.iter().any(|(known, _)| known == name) {
                let message = format!("expected Viewer, Editor, Admin or None, found {name:?}");
                return Err(AccessError::new(
                    toolkit::yaml::join("grafana.roles", name),
                    message,
                ));
            }
        }
        for (section, names) in [("groups", &self.groups), ("users", &self.users)] {
            for name in names.keys() {
                let path = || toolkit::yaml::join(&format!("grafana.{section}"), name);
                tame(name).map_err(|message| AccessError::new(path(), message))?;
            }
        }
        if self.audience.is_empty() {
            return Err(bad(
                "audience",
                "expected an organisation such as org:1".to_owned(),
            ));
        }
        let mut keys = url;
        let folder = keys.path().trim_end_matches('/').to_owned();
        keys.set_path(&format!("{folder}/api/signing-keys/keys"));
        Ok(Grafana {
            keys: Keys::of(Origin {
                url: keys,
                ca_file: self.ca_file,
            }),
            expected: Expected {
                issuer: issuer.as_str().trim_end_matches('/').to_owned(),
                audience: self.audience,
            },
            carriers: self.carried_by,
            roles: self.roles,
            groups: self.groups,
            users: self.users,
        })
    }
}

/// An http or https address without user, query and fragment.
fn address(text: &str) -> Result<reqwest::Url, String> {
    let expected = || {
        "expected an address such as https://grafana.example.net/, without user and query"
            .to_owned()
    };
    let url: reqwest::Url = text.parse().map_err(|_| expected())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url) } else { Err(expected()) }
}

fn tame(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > 512 || name.chars().any(char::is_control) {
        return Err("expected a name of at most 512 bytes without control characters".to_owned());
    }
    Ok(())
}
