//! The configuration file.

mod credentials;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::caller::{Access, AccessConfig};
use promapi::Prometheus;
use serde::{Deserialize, Serialize};
use ssh::{HostKeys, Masker, OnUnknown};
use toolkit::{ConfigError, Configuration, Secret, SecretFile, yaml};

use crate::platform::Platforms;
use crate::rails::Bounds;
use crate::runbook::{Level, Runbooks, files};
use crate::setup::{LevelRule, Setup};
use crate::verbs;
use crate::webhook::Senders;

use credentials::RawLogins;
pub use credentials::{Credential, Logins};

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<RawWebhook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<RawEvents>,
    journal: RawJournal,
    #[serde(skip_serializing_if = "Option::is_none")]
    prometheus: Option<promapi::Section>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runbooks: Option<RawFolder>,
    levels: Vec<RawLevel>,
    successes_before_auto: u32,
    rails: RawRails,
    approval_within: String,
    person_within: String,
    verify_every: String,
    ssh: RawSsh,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<AccessConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<RawFolder>,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            webhook: None,
            events: None,
            journal: RawJournal::default(),
            prometheus: None,
            runbooks: None,
            levels: Vec::new(),
            successes_before_auto: 3,
            rails: RawRails::default(),
            approval_within: "15m".to_owned(),
            person_within: "5m".to_owned(),
            verify_every: "500ms".to_owned(),
            ssh: RawSsh::default(),
            access: None,
            audit: None,
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RawWebhook {
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token_file: Option<PathBuf>,
    certificates: Vec<String>,
    web_users: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawEvents {
    secret_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawFolder {
    folder: PathBuf,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawJournal {
    folder: PathBuf,
}

impl Default for RawJournal {
    fn default() -> Self {
        Self {
            folder: "journal".into(),
        }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawLevel {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runbook: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    level: Level,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RawRails {
    per_device: u32,
    per_site: u32,
    per_role: u32,
    span: String,
    per_minute: u32,
    per_runbook_hour: u32,
    correlated_share: f64,
    correlated_least: u32,
    cooldown: Vec<String>,
    flap_count: u32,
    flap_span: String,
}

impl Default for RawRails {
    fn default() -> Self {
        let bounds = Bounds::default();
        Self {
            per_device: bounds.per_device,
            per_site: bounds.per_site,
            per_role: bounds.per_role,
            span: "10m".to_owned(),
            per_minute: bounds.per_minute,
            per_runbook_hour: bounds.per_runbook_hour,
            correlated_share: bounds.correlated_share,
            correlated_least: bounds.correlated_least,
            cooldown: ["15m", "1h", "4h"].map(ToOwned::to_owned).to_vec(),
            flap_count: bounds.flap_count,
            flap_span: "1h".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RawSsh {
    known_hosts_file: PathBuf,
    unknown_hosts: RawUnknown,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask_key_file: Option<PathBuf>,
    credentials: std::collections::BTreeMap<String, RawLogins>,
}

impl Default for RawSsh {
    fn default() -> Self {
        Self {
            known_hosts_file: "known_hosts".into(),
            unknown_hosts: RawUnknown::Refuse,
            mask_key_file: None,
            credentials: std::collections::BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum RawUnknown {
    Refuse,
    Pin,
}

/// How devices are reached.
#[derive(Debug)]
pub struct Reach {
    /// The trusted host keys.
    pub keys: Arc<HostKeys>,
    /// Logins by the name of the credential.
    pub logins: std::collections::BTreeMap<String, Logins>,
    /// Hides secrets in output.
    pub masker: Masker,
}

/// Who may change something, and where it is recorded.
#[derive(Debug)]
pub struct Editing {
    /// The policy.
    pub access: Arc<Access>,
    /// Folder of the audit log.
    pub audit: PathBuf,
}

/// The checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Who may send alerts and changes.
    pub senders: Senders,
    /// Folder of the journal.
    pub journal: PathBuf,
    /// Prometheus.
    pub prometheus: Option<Prometheus>,
    /// What the engine goes by.
    pub setup: Arc<Setup>,
    /// How devices are reached.
    pub reach: Arc<Reach>,
    /// Who may change something; nobody while it is `None`.
    pub editing: Option<Editing>,
    files: Vec<PathBuf>,
    raw: Raw,
}

type Checked<T> = Result<T, (String, String)>;

fn time(path: &str, text: &str, least: Duration, most: Duration) -> Checked<Duration> {
    toolkit::duration(text)
        .ok()
        .filter(|time| (least..=most).contains(time))
        .ok_or_else(|| {
            (
                path.to_owned(),
                format!(
                    "expected a duration from {} to {}, found {text:?}",
                    shown(least),
                    shown(most)
                ),
            )
        })
}

fn shown(time: Duration) -> String {
    match time.as_millis() {
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn bounds(raw: &RawRails) -> Checked<Bounds> {
    for (path, count) in [
        ("rails.per_device", raw.per_device),
        ("rails.per_site", raw.per_site),
        ("rails.per_role", raw.per_role),
        ("rails.per_minute", raw.per_minute),
        ("rails.per_runbook_hour", raw.per_runbook_hour),
    ] {
        if !(1..=100_000).contains(&count) {
            return Err((
                path.to_owned(),
                format!("expected 1 to 100000, found {count}"),
            ));
        }
    }
    if raw.flap_count < 2 {
        return Err((
            "rails.flap_count".to_owned(),
            "expected 2 or more".to_owned(),
        ));
    }
    if !(0.0..=1.0).contains(&raw.correlated_share) {
        return Err((
            "rails.correlated_share".to_owned(),
            "expected a share from 0 to 1".to_owned(),
        ));
    }
    if raw.cooldown.is_empty() || raw.cooldown.len() > 1_000 {
        return Err((
            "rails.cooldown".to_owned(),
            "expected 1 to 1000 durations".to_owned(),
        ));
    }
    let pauses = raw.cooldown.iter().enumerate();
    Ok(Bounds {
        per_device: raw.per_device,
        per_site: raw.per_site,
        per_role: raw.per_role,
        span: time("rails.span", &raw.span, SECOND, 24 * HOUR)?,
        per_minute: raw.per_minute,
        per_runbook_hour: raw.per_runbook_hour,
        correlated_share: raw.correlated_share,
        correlated_least: raw.correlated_least,
        cooldown: pauses
            .map(|(index, text)| time(&format!("rails.cooldown[{index}]"), text, MS, 24 * HOUR))
            .collect::<Checked<_>>()?,
        flap_count: raw.flap_count,
        flap_span: time("rails.flap_span", &raw.flap_span, SECOND, 24 * HOUR)?,
    })
}

fn secret(path: &str, base: &Path, file: &Path) -> Checked<Arc<SecretFile>> {
    SecretFile::open(base.join(file))
        .map(Arc::new)
        .map_err(|error| {
            (
                path.to_owned(),
                format!("expected a readable file, {}: {error}", file.display()),
            )
        })
}

impl Config {
    /// Reads and checks it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::parse(text, origin)?;
        let base = origin.parent().unwrap_or(Path::new("."));
        let at = |(path, message): (String, String)| ConfigError::at(text, origin, path, message);
        let platforms = Platforms::built_in()?;
        let mut files_read = Vec::new();
        let mut runbooks = Runbooks::built_in(&platforms)?;
        if let Some(section) = &raw.runbooks {
            let folder = base.join(&section.folder);
            files_read.extend(files(&folder)?);
            runbooks = runbooks.with_folder(&folder, &platforms)?;
        }
        for (index, level) in raw.levels.iter().enumerate() {
            if let Some(name) = &level.runbook
                && runbooks.get(name).is_none()
            {
                let known: Vec<&str> = runbooks.iter().map(|runbook| &*runbook.name).collect();
                let message = format!(
                    "there is no runbook {name:?}; expected one of {}",
                    known.join(", ")
                );
                return Err(at((format!("levels[{index}].runbook"), message)));
            }
        }
        let webhook = raw.webhook.clone().unwrap_or_default();
        let senders = Senders {
            token: match &webhook.bearer_token_file {
                None => None,
                Some(file) => Some(secret("webhook.bearer_token_file", base, file).map_err(at)?),
            },
            certificates: webhook.certificates,
            web_users: webhook.web_users,
            events: match &raw.events {
                None => None,
                Some(section) => {
                    Some(secret("events.secret_file", base, &section.secret_file).map_err(at)?)
                }
            },
        };
        let prometheus =
            match &raw.prometheus {
                None => None,
                Some(section) => {
                    files_read.extend(section.files(base));
                    let client = section.client(base);
                    Some(client.map_err(|wrong| {
                        at((format!("prometheus.{}", wrong.key), wrong.message))
                    })?)
                }
            };
        let setup = Setup {
            levels: raw
                .levels
                .iter()
                .map(|rule| LevelRule {
                    runbook: rule.runbook.clone(),
                    group: rule.group.clone(),
                    level: rule.level,
                })
                .collect(),
            successes: raw.successes_before_auto,
            bounds: bounds(&raw.rails).map_err(at)?,
            approval: time("approval_within", &raw.approval_within, SECOND, 24 * HOUR)
                .map_err(at)?,
            person: time(
                "person_within",
                &raw.person_within,
                Duration::ZERO,
                24 * HOUR,
            )
            .map_err(at)?,
            look: time("verify_every", &raw.verify_every, 10 * MS, 60 * SECOND).map_err(at)?,
            own_users: raw
                .ssh
                .credentials
                .values()
                .map(|logins| logins.repair.user.clone())
                .collect(),
            platforms,
            runbooks,
        };
        let mut logins = std::collections::BTreeMap::new();
        for (name, one) in &raw.ssh.credentials {
            let checked = one
                .check(&format!("ssh.credentials.{name}"), base)
                .map_err(at)?;
            logins.insert(name.clone(), checked);
        }
        let mask = match &raw.ssh.mask_key_file {
            Some(file) => secret("ssh.mask_key_file", base, file)
                .map_err(at)?
                .current(),
            // Fingerprints of one process can be compared with each other, which is all that the output of a job needs.
            None => Secret::new(crate::job::new_id(0) + &crate::job::new_id(0)),
        };
        let reach = Reach {
            keys: Arc::new(HostKeys::new(
                base.join(&raw.ssh.known_hosts_file),
                match raw.ssh.unknown_hosts {
                    RawUnknown::Refuse => OnUnknown::Refuse,
                    RawUnknown::Pin => OnUnknown::Pin,
                },
            )),
            logins,
            masker: Masker::new(&mask),
        };
        let editing = match (raw.access.clone(), &raw.audit) {
            (None, None) => None,
            (None, Some(_)) => {
                let message = "expected access beside it: without it nothing is changed";
                return Err(at(("audit".to_owned(), message.to_owned())));
            }
            (Some(_), None) => {
                let message =
                    "expected audit.folder beside it: every change is recorded before it is made";
                return Err(at(("access".to_owned(), message.to_owned())));
            }
            (Some(access), Some(audit)) => {
                let access = access.relative_to(origin).check(verbs::ALL);
                let access = access
                    .map_err(|error| at((format!("access.{}", error.path), error.message)))?;
                Some(Editing {
                    access: Arc::new(access),
                    audit: base.join(&audit.folder),
                })
            }
        };
        Ok(Self {
            senders,
            journal: base.join(&raw.journal.folder),
            prometheus,
            setup: Arc::new(setup),
            reach: Arc::new(reach),
            editing,
            files: files_read,
            raw,
        })
    }
}

impl Configuration for Config {
    const DEFAULT: &'static str = include_str!("../default.yaml");

    fn masked(&self) -> String {
        // JSON is YAML; secrets stand in files of which it has the names only.
        serde_json::to_string_pretty(&self.raw).unwrap_or_default() + "\n"
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }
}
