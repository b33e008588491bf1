//! The configuration file: who may change the inventory, and where changes are kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::caller::{Access, AccessConfig, Role, Verb};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::DurationIn;
use toolkit::{ConfigError, Configuration, yaml};

/// Everything that can be asked for, with the least role where no rule names it.
pub(crate) mod verbs {
    use super::{Role, Verb};

    /// Of one kind of entry.
    pub(crate) struct Of {
        pub(crate) add: Verb,
        pub(crate) change: Verb,
        pub(crate) delete: Verb,
    }

    macro_rules! of {
        ($name:ident, $one:literal, $least:expr) => {
            pub(crate) const $name: Of = Of {
                add: Verb::new(concat!($one, ".add"), $least),
                change: Verb::new(concat!($one, ".change"), $least),
                delete: Verb::new(concat!($one, ".delete"), $least),
            };
        };
    }

    of!(DEVICE, "device", Role::Operator);
    of!(SITE, "site", Role::Operator);
    of!(GROUP, "group", Role::Admin);
    of!(CREDENTIAL, "credential", Role::Admin);
    pub(crate) const IMPORT: Verb = Verb::new("inventory.import", Role::Operator);
    pub(crate) const RESTORE: Verb = Verb::new("inventory.restore", Role::Admin);
    pub(crate) const PULL: Verb = Verb::new("remote.pull", Role::Admin);
    pub(crate) const PUSH: Verb = Verb::new("remote.push", Role::Admin);
    pub(crate) const RESOLVE: Verb = Verb::new("conflict.resolve", Role::Admin);

    // What the service takes over by itself: nobody asks for it, so that no rule names it.
    pub(crate) const BY_HAND: Verb = Verb::new("inventory.edit_by_hand", Role::Admin);
    pub(crate) const TAKE_OVER: Verb = Verb::new("branch.take_over", Role::Admin);

    pub(crate) const ALL: &[Verb] = &[
        DEVICE.add,
        DEVICE.change,
        DEVICE.delete,
        SITE.add,
        SITE.change,
        SITE.delete,
        GROUP.add,
        GROUP.change,
        GROUP.delete,
        CREDENTIAL.add,
        CREDENTIAL.change,
        CREDENTIAL.delete,
        IMPORT,
        RESTORE,
        PULL,
        PUSH,
        RESOLVE,
    ];
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    /// Who may change what (docs/access.md); nobody unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<AccessConfig>,
    /// Where every change is recorded before it is made (docs/audit.md); needed with `access`.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<RawAudit>,
    /// The git repository in the folder of the inventory.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<RawStore>,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawAudit {
    /// Folder of the audit log.
    folder: PathBuf,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawStore {
    /// The branch that is the history, `main` unless given.
    branch: String,
    /// Another repository that changes are pushed to and pulled from.
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<Remote>,
}

impl Default for RawStore {
    fn default() -> Self {
        Self {
            branch: "main".to_owned(),
            remote: None,
        }
    }
}

/// Another repository that changes are pushed to and pulled from.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remote {
    /// `https://`, `ssh://`, `file:///` or a path; without a password in it.
    pub(crate) url: String,
    /// The branch there, `main` unless given.
    #[serde(default = "main_branch")]
    pub(crate) branch: String,
    /// How often it is pulled from and pushed to without being asked, and pushed to soon after each change; only on request unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sync_interval: Option<DurationIn<1_000, 86_400_000>>,
}

impl Remote {
    /// The branch `main` there, on request only.
    #[cfg(test)]
    pub(crate) fn of(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            branch: main_branch(),
            sync_interval: None,
        }
    }

    /// See [`Remote::sync_interval`]; `None` when only on request.
    pub(crate) fn every(&self) -> Option<Duration> {
        self.sync_interval.map(|interval| *interval)
    }
}

fn main_branch() -> String {
    "main".to_owned()
}

/// The checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Who may change what; `None` while nobody may.
    pub(crate) editing: Option<Editing>,
    raw: Raw,
}

/// What editing needs.
#[derive(Debug)]
pub(crate) struct Editing {
    pub(crate) access: Arc<Access>,
    /// Folder of the audit log.
    pub(crate) audit: PathBuf,
    pub(crate) branch: String,
    pub(crate) remote: Option<Remote>,
}

impl Config {
    /// Reads and checks it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::parse(text, origin).map_err(|mut error| {
            error.message.push_str(
                "; here stand access, audit and store, devices belong into --inventory.source",
            );
            error
        })?;
        let at = |path: &str, message: &str| ConfigError::at(text, origin, path, message);
        let folder = origin.parent().unwrap_or(Path::new("."));
        let store = raw.store.clone().unwrap_or_default();
        if !branch(&store.branch) {
            return Err(at("store.branch", "expected the name of a branch"));
        }
        if let Some(remote) = &store.remote {
            if !branch(&remote.branch) {
                return Err(at("store.remote.branch", "expected the name of a branch"));
            }
            let known = ["https://", "ssh://", "file:///", "/"];
            if !known.iter().any(|begin| remote.url.starts_with(begin)) {
                let message = "expected https://, ssh://, file:/// or an absolute path";
                return Err(at("store.remote.url", message));
            }
            let secret = remote.url.split_once("://").is_some_and(|(_, rest)| {
                let host = rest.split('/').next().unwrap_or_default();
                host.split_once('@')
                    .is_some_and(|(user, _)| user.contains(':'))
            });
            if secret {
                let message = "expected no password in the URL; git's credential helpers keep it";
                return Err(at("store.remote.url", message));
            }
        }
        let editing = match (raw.access.clone(), &raw.audit) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(at(
                    "audit",
                    "expected access beside it: without it nothing is changed",
                ));
            }
            (Some(_), None) => {
                return Err(at(
                    "access",
                    "expected audit.folder beside it: every change is recorded before it is made",
                ));
            }
            (Some(access), Some(audit)) => {
                let access = access.relative_to(origin).check(verbs::ALL);
                let access = access
                    .map_err(|error| at(&format!("access.{}", error.path), &error.message))?;
                Some(Editing {
                    access: Arc::new(access),
                    audit: folder.join(&audit.folder),
                    branch: store.branch,
                    remote: store.remote,
                })
            }
        };
        Ok(Self { editing, raw })
    }
}

impl Configuration for Config {
    const DEFAULT: &'static str = "\
# Without this file, and without `access` in it, nobody can change the inventory through the service.
# The devices stand in the file that --inventory.source names.
#
# Who may change it (docs/access.md):
# access:
#   grafana: {url: http://127.0.0.1:3000}
#   web_users: {alice: operator}
#
# Where every change is recorded before it is made; needed with `access`:
# audit: {folder: audit}
#
# The git repository in the folder of the inventory:
# store:
#   branch: main
#   remote: {url: 'https://git.example.net/network.git', branch: main, sync_interval: 1m}
{}
";

    fn masked(&self) -> String {
        // JSON is YAML; nothing in it is secret.
        let json = serde_json::to_string_pretty(&self.raw).unwrap_or_default();
        format!("# the devices are at /api/v1/inventory\n{json}\n")
    }
}

/// A branch name of the plain kind.
fn branch(name: &str) -> bool {
    let charset = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 128
        && name.chars().all(charset)
        && !name.contains("..")
        && !name.contains("//")
        && !name.ends_with(['/', '.'])
        && !name.ends_with(".lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_reference_page_is_written_from_the_code() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let series = std::fs::read_to_string(package.join("tests/golden/metrics.txt")).unwrap();
        let page = toolkit::reference::page::<crate::app::Service>(
            Some(&toolkit::config::Keys::of(&Raw::default())),
            &[("Series", &series)],
        );
        testkit::golden::hold(&package.join("../../docs/reference/inventory.md"), &page);
    }
}
