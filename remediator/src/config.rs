//! The configuration file.

mod credentials;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::caller::{Access, AccessConfig};
use loki::{Destination, QueueSection};
use promapi::{Alertmanager, Pages, Prometheus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ssh::{HostKeys, Masker, OnUnknown};
use toolkit::config::{DurationIn, Ranged};
use toolkit::{ConfigError, Configuration, Secret, SecretFile, yaml};

use crate::platform::Platforms;
use crate::rails::Bounds;
use crate::runbook::{Level, Runbooks, files};
use crate::setup::{LevelRule, Setup};
use crate::verbs;
use crate::webhook::Senders;

use credentials::RawLogins;
pub use credentials::{Credential, Logins};

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    /// Who may send alerts (the webhook of Alertmanager); nobody unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<RawWebhook>,
    /// Who may tell of changes by people: sotp-syslog and sotp-ssh-config; nobody unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<RawEvents>,
    /// The journal; one process at a time has it.
    journal: RawJournal,
    /// Numbers that runbooks prove things with.
    #[serde(skip_serializing_if = "Option::is_none")]
    prometheus: Option<promapi::Section>,
    /// The Alertmanager whose silences hold repairs back.
    #[serde(skip_serializing_if = "Option::is_none")]
    alertmanager: Option<promapi::Section>,
    /// The sotp-snmp by way of which devices are asked before a repair; they are not asked unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    snmp: Option<promapi::Section>,
    /// The sotp-ssh-config whose archive knows the way back of a configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh_config: Option<promapi::Section>,
    /// Runbooks of your own; one of a built-in one's name takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    runbooks: Option<RawFolder>,
    /// How far they may go; the last that names a job holds, and without any everything observes.
    levels: Vec<RawLevel>,
    /// Times that a runbook has to have helped before `auto` acts without an approval.
    successes_before_auto: u32,
    /// Guard rails.
    rails: RawRails,
    /// How long a plan waits for an approval.
    approval_within: DurationIn<1_000, DAY>,
    /// A change of a port by a person counts when it is not longer before the alert.
    person_within: DurationIn<0, DAY>,
    /// Time from one look at whether it helped to the next.
    verify_every: DurationIn<10, 60_000>,
    /// How long SNMP may take to say so too, by a sample in Prometheus from after the repair; 0: it is not asked.
    snmp_proof_within: DurationIn<0, 3_600_000>,
    /// Whether a device that can is made to take a change back by itself unless it is confirmed after the proof.
    commit_confirm: bool,
    /// How devices are reached.
    ssh: RawSsh,
    /// Who may decide, run commands and stop everything (docs/access.md); nobody unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<AccessConfig>,
    /// Where every change is recorded before it is made (docs/audit.md); needed with `access`.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<RawFolder>,
    /// Every step of a job and every answer on the console as a line, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    loki: Option<loki::Section>,
    /// Where lines wait.
    queue: QueueSection,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            webhook: None,
            events: None,
            journal: RawJournal::default(),
            prometheus: None,
            alertmanager: None,
            snmp: None,
            ssh_config: None,
            runbooks: None,
            levels: Vec::new(),
            successes_before_auto: 3,
            rails: RawRails::default(),
            approval_within: DurationIn::from_millis(900_000),
            person_within: DurationIn::from_millis(300_000),
            verify_every: DurationIn::from_millis(500),
            snmp_proof_within: DurationIn::from_millis(0),
            commit_confirm: true,
            ssh: RawSsh::default(),
            access: None,
            audit: None,
            loki: None,
            queue: QueueSection::default(),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawWebhook {
    /// File with the token that it sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token_file: Option<PathBuf>,
    /// File with the secret with which a contact point of Grafana signs, with the timestamp header `X-Grafana-Alerting-Timestamp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    grafana_secret_file: Option<PathBuf>,
    /// Subjects of its client certificates.
    certificates: Vec<String>,
    /// Users of the web configuration.
    web_users: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawEvents {
    /// File with the secret that signs them.
    secret_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawFolder {
    /// The folder.
    folder: PathBuf,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawJournal {
    /// The folder.
    folder: PathBuf,
}

impl Default for RawJournal {
    fn default() -> Self {
        Self {
            folder: "journal".into(),
        }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawLevel {
    /// The runbook; every one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runbook: Option<String>,
    /// A group of the device; every device unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// How far it may go.
    level: Level,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawRails {
    /// Starts on a device within `span`.
    per_device: Ranged<u32, 1, 100_000>,
    /// Starts at a site within `span`.
    per_site: Ranged<u32, 1, 100_000>,
    /// Starts on devices of a role within `span`.
    per_role: Ranged<u32, 1, 100_000>,
    /// The time that these are counted in.
    span: DurationIn<1_000, DAY>,
    /// Starts of everything in a minute.
    per_minute: Ranged<u32, 1, 100_000>,
    /// Starts of a runbook in an hour.
    per_runbook_hour: Ranged<u32, 1, 100_000>,
    /// Share of the devices with an alert above which nothing starts.
    correlated_share: f64,
    /// So many devices with an alert are no correlated outage yet.
    correlated_least: u32,
    /// Pauses after each start on a target within a day; then people look.
    cooldown: Vec<DurationIn<1, DAY>>,
    /// Alerts of a target within `flap_span` that count as coming and going.
    flap_count: Ranged<u32, 2, 100_000>,
    /// The time that these are counted in.
    flap_span: DurationIn<1_000, DAY>,
}

impl Default for RawRails {
    fn default() -> Self {
        let bounds = Bounds::default();
        Self {
            per_device: Ranged::of(bounds.per_device.into()),
            per_site: Ranged::of(bounds.per_site.into()),
            per_role: Ranged::of(bounds.per_role.into()),
            span: DurationIn::from_millis(600_000),
            per_minute: Ranged::of(bounds.per_minute.into()),
            per_runbook_hour: Ranged::of(bounds.per_runbook_hour.into()),
            correlated_share: bounds.correlated_share,
            correlated_least: bounds.correlated_least,
            cooldown: [900_000, 3_600_000, 14_400_000]
                .map(DurationIn::from_millis)
                .to_vec(),
            flap_count: Ranged::of(bounds.flap_count.into()),
            flap_span: DurationIn::from_millis(3_600_000),
        }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawSsh {
    /// Known hosts in OpenSSH's form.
    known_hosts_file: PathBuf,
    /// What is done with a device whose key is not known: `pin` writes it down on first use. A key that has changed is always refused.
    unknown_hosts: RawUnknown,
    /// File with the key of the fingerprints that stand for secrets; one of each process unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    mask_key_file: Option<PathBuf>,
    /// Accounts by the name of the credential in the inventory; `default` for devices that name none.
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

#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
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

/// Where lines about jobs and commands go.
#[derive(Debug)]
pub struct Lines {
    /// The Loki.
    pub loki: Destination,
    /// Where they wait.
    pub queue: QueueSection,
    /// What the queue's path is relative to.
    pub base: PathBuf,
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
    /// Alertmanager.
    pub alertmanager: Option<Alertmanager>,
    /// sotp-snmp.
    pub snmp: Option<Pages>,
    /// sotp-ssh-config.
    pub ssh_config: Option<Pages>,
    /// What the engine goes by.
    pub setup: Arc<Setup>,
    /// How devices are reached.
    pub reach: Arc<Reach>,
    /// Who may change something; nobody while it is `None`.
    pub editing: Option<Editing>,
    /// Where lines go.
    pub lines: Option<Lines>,
    files: Vec<PathBuf>,
    raw: Raw,
}

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

type Checked<T> = Result<T, (String, String)>;

fn bounds(raw: &RawRails) -> Checked<Bounds> {
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
    Ok(Bounds {
        per_device: raw.per_device.get(),
        per_site: raw.per_site.get(),
        per_role: raw.per_role.get(),
        span: *raw.span,
        per_minute: raw.per_minute.get(),
        per_runbook_hour: raw.per_runbook_hour.get(),
        correlated_share: raw.correlated_share,
        correlated_least: raw.correlated_least,
        cooldown: raw.cooldown.iter().map(|pause| **pause).collect(),
        flap_count: raw.flap_count.get(),
        flap_span: *raw.flap_span,
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
            grafana: match &webhook.grafana_secret_file {
                None => None,
                Some(file) => Some(secret("webhook.grafana_secret_file", base, file).map_err(at)?),
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
        let alertmanager =
            match &raw.alertmanager {
                None => None,
                Some(section) => {
                    files_read.extend(section.files(base));
                    let client = section.alertmanager(base);
                    Some(client.map_err(|wrong| {
                        at((format!("alertmanager.{}", wrong.key), wrong.message))
                    })?)
                }
            };
        let mut pages = |path: &str, section: &Option<promapi::Section>| {
            let Some(section) = section else {
                return Ok(None);
            };
            files_read.extend(section.files(base));
            let client = section.pages(base).map(Some);
            client.map_err(|wrong| at((format!("{path}.{}", wrong.key), wrong.message)))
        };
        let snmp = pages("snmp", &raw.snmp)?;
        let ssh_config = pages("ssh_config", &raw.ssh_config)?;
        let setup = Setup {
            snmp: snmp.is_some(),
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
            approval: *raw.approval_within,
            person: *raw.person_within,
            look: *raw.verify_every,
            snmp_proof: *raw.snmp_proof_within,
            commit_confirm: raw.commit_confirm,
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
        let lines = match &raw.loki {
            None => None,
            Some(section) => Some(Lines {
                loki: section
                    .check(base)
                    .map_err(|(field, message)| at((format!("loki.{field}"), message)))?,
                queue: raw.queue.clone(),
                base: base.to_path_buf(),
            }),
        };
        if !setup.snmp_proof.is_zero() && prometheus.is_none() {
            let message = "expected prometheus beside it: that is where SNMP's answers are";
            return Err(at(("snmp_proof_within".to_owned(), message.to_owned())));
        }
        Ok(Self {
            senders,
            journal: base.join(&raw.journal.folder),
            prometheus,
            alertmanager,
            snmp,
            ssh_config,
            setup: Arc::new(setup),
            reach: Arc::new(reach),
            editing,
            lines,
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
        testkit::golden::hold(&package.join("../docs/reference/remediator.md"), &page);
    }

    #[test]
    fn what_is_out_of_bounds_is_told_with_its_place_and_what_was_expected() {
        for (text, place, expected) in [
            (
                "approval_within: 15",
                "approval_within",
                "such as 250ms, 1.5s, 1m30s or 1h",
            ),
            ("verify_every: 1ms", "verify_every", "expected 10ms to 1m"),
            (
                "rails: {cooldown: [1h, 2d]}",
                "rails.cooldown[1]",
                "expected 1ms to 24h",
            ),
            (
                "rails: {flap_count: 1}",
                "rails.flap_count",
                "expected 2 to 100000",
            ),
        ] {
            let error = Config::parse(text, Path::new("r.yaml"))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(place) && error.contains(expected),
                "{text}: {error}"
            );
        }
    }
}
