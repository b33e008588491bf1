//! The configuration file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::caller::{Access, AccessConfig, Role, Verb};
use inventory::Device;
use loki::{Destination, QueueSection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ssh::{Driver, Drivers, Login, OnUnknown, Output, Profile};
use toolkit::config::{DurationIn, Ranged};
use toolkit::{ConfigError, Configuration, Secret, SecretFile, yaml};

use crate::rules::Rules;
use crate::scope::Scope;
use toolkit::chain;
pub(crate) use webhook::Webhook;
use window::{RawWindow, Window};

mod webhook;
mod window;

/// Reading versions, configurations, differences and violations.
pub(crate) static READ: Verb = Verb::new("configuration.read", Role::Viewer);
/// Asking for a collection.
pub(crate) static COLLECT: Verb = Verb::new("configuration.collect", Role::Operator);

const DEFAULT: &str = include_str!("../default.yaml");
/// Bytes of the queue of lines where nothing else is said.
const QUEUE: u64 = 64 << 20;

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    /// Folder of everything that is kept.
    data: PathBuf,
    /// Time from one collection of a device to the next.
    every: DurationIn<1_000, 2_678_400_000>,
    /// Devices at a time.
    parallel: Ranged<usize, 1, 1_000>,
    /// Logins on all devices together in a minute, so that the servers that check them are not overrun.
    logins_per_minute: Ranged<u32, 1, 60_000>,
    /// Logins on one device in an hour, whatever asks for them; a few at once are let through.
    logins_per_device_hour: Ranged<u32, 1, 3_600>,
    /// Time for which a session is kept open after a collection, so that the next one needs no login.
    keep_sessions: DurationIn<0, 86_400_000>,
    /// Sessions that are kept open at a time.
    kept_sessions_most: Ranged<usize, 0, 10_000>,
    /// Times in which the schedule collects the devices that they name; the others are collected at any time.
    windows: Vec<RawWindow>,
    /// Time without an event after which a changed device is collected.
    settle: DurationIn<0, 86_400_000>,
    /// Time after the first event after which it is collected anyway.
    settle_at_most: DurationIn<0, 86_400_000>,
    /// Keys of the devices.
    host_keys: RawHostKeys,
    /// Accounts, each shown only to the devices that it is bound to.
    credentials: Vec<RawCredential>,
    /// Devices that need older algorithms; the first entry that fits.
    profiles: Vec<RawProfile>,
    /// Devices that are reached through another one; the first entry that fits.
    jump_hosts: Vec<RawJump>,
    /// Further answers that are kept with their history beside those that the drivers name.
    outputs: Vec<RawOutput>,
    /// A folder of further drivers; of one name with a built-in one it takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    drivers: Option<PathBuf>,
    /// A folder of rules, in place of the starter set.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<PathBuf>,
    /// File with the key of the fingerprints that stand for secrets; made in the data folder unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    masking_key_file: Option<PathBuf>,
    /// Another repository that every version is sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    push: Option<RawPush>,
    /// Events of sotp-syslog, which sends them to `/api/v1/events`; none is taken unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<RawEvents>,
    /// Who is told of each change, such as sotp-remediator.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<webhook::Section>,
    /// A line for each change.
    #[serde(skip_serializing_if = "Option::is_none")]
    loki: Option<loki::Section>,
    /// Where lines wait; the folder `events` below `data` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<QueueSection>,
    /// Who may read configurations and ask for a collection (docs/access.md); nobody unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<AccessConfig>,
    /// Where requests for a collection are recorded (docs/audit.md).
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<RawAudit>,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            data: "ssh-config".into(),
            every: DurationIn::from_millis(3_600_000),
            parallel: Ranged::of(30),
            logins_per_minute: Ranged::of(1_200),
            logins_per_device_hour: Ranged::of(120),
            keep_sessions: DurationIn::from_millis(0),
            kept_sessions_most: Ranged::of(200),
            windows: Vec::new(),
            settle: DurationIn::from_millis(1_000),
            settle_at_most: DurationIn::from_millis(15_000),
            host_keys: RawHostKeys::default(),
            credentials: Vec::new(),
            profiles: Vec::new(),
            jump_hosts: Vec::new(),
            outputs: Vec::new(),
            drivers: None,
            rules: None,
            masking_key_file: None,
            push: None,
            events: None,
            webhook: None,
            loki: None,
            queue: None,
            access: None,
            audit: None,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawHostKeys {
    /// Known hosts in OpenSSH's form; `known_hosts` in the data folder unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// What is done with a device whose key is not known: `pin` writes it down on first use. A key that has changed is always refused.
    on_unknown: RawUnknown,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RawUnknown {
    #[default]
    Refuse,
    Pin,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawCredential {
    /// What the inventory says in `ssh.credentials`.
    name: String,
    /// The user on the device.
    user: String,
    /// File with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    /// File with the key, OpenSSH or PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    /// File with the passphrase of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passphrase_file: Option<PathBuf>,
    /// File with the certificate of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate_file: Option<PathBuf>,
    /// File with what `enable` asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    privilege_file: Option<PathBuf>,
    #[serde(flatten)]
    scope: Scope,
    /// Whether it may be shown to every device, in place of `devices`, `sites` and `groups`.
    #[serde(default)]
    everywhere: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    /// How old the algorithms may be: `default`, `compat` or `ancient`.
    #[schemars(with = "String")]
    profile: Profile,
    #[serde(flatten)]
    scope: Scope,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawJump {
    /// The device of the inventory that is logged in on, with the account that is bound to it.
    host: String,
    #[serde(flatten)]
    scope: Scope,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawOutput {
    /// The platform whose devices are asked, by the name of its driver.
    platform: String,
    /// Its name in the archive.
    name: String,
    /// A command that only shows something.
    command: String,
    /// Lines that change by themselves, as regular expressions.
    #[serde(default)]
    drop: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawPush {
    /// A path, or an address of https or ssh without a password: git asks its own helpers and keys.
    url: String,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawEvents {
    /// File with the secret that signs them.
    secret_file: PathBuf,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawAudit {
    /// Folder of the audit log.
    folder: PathBuf,
}

/// An account and the devices that it may be shown to.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) name: String,
    pub(crate) user: String,
    password: Option<SecretFile>,
    key: Option<SecretFile>,
    passphrase: Option<SecretFile>,
    certificate: Option<SecretFile>,
    privilege: Option<SecretFile>,
    scope: Scope,
    everywhere: bool,
}

impl Credential {
    /// The account with its secrets as the files have them now.
    pub(crate) fn login(&self) -> Result<Login, String> {
        let mut login = Login::new(&self.user);
        if let Some(password) = &self.password {
            login = login.password(password.current());
        }
        if let Some(key) = &self.key {
            let passphrase = self.passphrase.as_ref().map(SecretFile::current);
            login = login.key(&key.current(), passphrase.as_ref())?;
        }
        if let Some(certificate) = &self.certificate {
            login = login.certificate(certificate.current().reveal().trim())?;
        }
        if let Some(privilege) = &self.privilege {
            login = login.privilege(privilege.current());
        }
        Ok(login)
    }
}

/// The checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Folder of everything that is kept.
    pub(crate) data: PathBuf,
    /// Time from one collection of a device to the next.
    pub(crate) every: Duration,
    /// Devices at a time.
    pub(crate) parallel: usize,
    /// Shortest time from one login to the next, on whatever device.
    pub(crate) between_logins: Duration,
    /// The same on one device, in the long run.
    pub(crate) between_device_logins: Duration,
    /// How long sessions are kept, and how many.
    pub(crate) keep_sessions: Duration,
    pub(crate) kept_sessions_most: usize,
    outputs: Vec<(String, Output)>,
    windows: Vec<Window>,
    /// Where every version is sent to.
    pub(crate) push: Option<String>,
    /// Time without an event after which a changed device is collected.
    pub(crate) settle: Duration,
    /// Time after the first event after which it is collected anyway.
    pub(crate) settle_at_most: Duration,
    pub(crate) known_hosts: PathBuf,
    pub(crate) on_unknown: OnUnknown,
    credentials: Vec<Credential>,
    profiles: Vec<RawProfile>,
    jump_hosts: Vec<RawJump>,
    pub(crate) drivers: Drivers,
    pub(crate) rules: Arc<Rules>,
    pub(crate) masking_key: Option<SecretFile>,
    pub(crate) events_secret: Option<SecretFile>,
    /// Who is told of each change.
    pub(crate) webhook: Option<Webhook>,
    /// Where lines about changes go.
    pub(crate) loki: Option<Destination>,
    /// Where they wait.
    pub(crate) queue: QueueSection,
    pub(crate) access: Option<Arc<Access>>,
    pub(crate) audit: Option<PathBuf>,
    raw: Raw,
}

impl Config {
    /// The configuration in `text`; paths are relative to the folder of `origin`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub(crate) fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::parse(text, origin)?;
        let at = |path: &str, message: String| ConfigError::at(text, origin, path, message);
        let folder = origin.parent().unwrap_or(Path::new(""));
        let secret = |path: &str, file: &Path| {
            SecretFile::open(folder.join(file))
                .map_err(|error| at(path, format!("{}: {error}", folder.join(file).display())))
        };
        let maybe = |path: &str, file: &Option<PathBuf>| {
            file.as_deref().map(|file| secret(path, file)).transpose()
        };
        let mut credentials: Vec<Credential> = Vec::new();
        for (number, own) in raw.credentials.iter().enumerate() {
            let place = |key: &str| format!("credentials[{number}].{key}");
            if credentials.iter().any(|other| other.name == own.name) {
                return Err(at(
                    &place("name"),
                    "expected a name that no other credential has".to_owned(),
                ));
            }
            if own.everywhere != own.scope.is_empty() {
                return Err(at(
                    &place("name"),
                    "expected devices, sites or groups that it may be shown to, or everywhere: true".to_owned(),
                ));
            }
            if own.password_file.is_none() && own.key_file.is_none() {
                return Err(at(
                    &place("name"),
                    "expected password_file, key_file or both".to_owned(),
                ));
            }
            let credential = Credential {
                name: own.name.clone(),
                user: own.user.clone(),
                password: maybe(&place("password_file"), &own.password_file)?,
                key: maybe(&place("key_file"), &own.key_file)?,
                passphrase: maybe(&place("passphrase_file"), &own.passphrase_file)?,
                certificate: maybe(&place("certificate_file"), &own.certificate_file)?,
                privilege: maybe(&place("privilege_file"), &own.privilege_file)?,
                scope: own.scope.clone(),
                everywhere: own.everywhere,
            };
            credential
                .login()
                .map_err(|message| at(&place("key_file"), message))?;
            credentials.push(credential);
        }
        let drivers = match &raw.drivers {
            None => Drivers::built_in().clone(),
            Some(own) => Drivers::built_in()
                .with_folder(&folder.join(own))
                .map_err(|error| at("drivers", chain(&error)))?,
        };
        let rules = match &raw.rules {
            None => Rules::starter(),
            Some(own) => {
                Rules::read(&folder.join(own)).map_err(|error| at("rules", error.to_string()))?
            }
        };
        let loki = match &raw.loki {
            None => None,
            Some(own) => Some(
                own.check(folder)
                    .map_err(|(field, message)| at(&format!("loki.{field}"), message))?,
            ),
        };
        let webhook = match &raw.webhook {
            None => None,
            Some(own) => Some(
                own.check(folder)
                    .map_err(|(field, message)| at(&format!("webhook.{field}"), message))?,
            ),
        };
        let access = match raw.access.clone() {
            None => None,
            Some(access) => {
                let checked = access.relative_to(origin).check(&[READ, COLLECT]);
                let checked = checked
                    .map_err(|error| at(&format!("access.{}", error.path), error.message))?;
                Some(Arc::new(checked))
            }
        };
        let mut windows = Vec::new();
        for (number, own) in raw.windows.iter().enumerate() {
            let wrong = |(key, message): (&str, &str)| {
                at(&format!("windows[{number}].{key}"), message.to_owned())
            };
            windows.push(Window::try_from(own).map_err(wrong)?);
        }
        let mut outputs: Vec<(String, Output)> = Vec::new();
        for (number, own) in raw.outputs.iter().enumerate() {
            let place = |key: &str| format!("outputs[{number}].{key}");
            let Some(driver) = drivers.get(&own.platform) else {
                return Err(at(
                    &place("platform"),
                    "expected a platform that has a driver".to_owned(),
                ));
            };
            let output = Output::new(&own.name, &own.command, &own.drop)
                .map_err(|message| at(&place("name"), message))?;
            let same = |other: &Output| other.name() == output.name();
            let others = outputs
                .iter()
                .filter(|(platform, _)| *platform == driver.platform());
            if own.name == "startup"
                || driver.outputs().iter().any(same)
                || others.clone().any(|(_, other)| same(other))
            {
                let expected = "expected a name that no other output of the platform has";
                return Err(at(&place("name"), expected.to_owned()));
            }
            outputs.push((driver.platform().to_owned(), output));
        }
        let push = raw.push.as_ref().map(|push| push.url.clone());
        let secret_in_it = |url: &String| {
            let account = url
                .split_once("://")
                .and_then(|(_, rest)| rest.split_once('@'));
            account.is_some_and(|(account, _)| account.contains(':')) || url.starts_with('-')
        };
        if push.as_ref().is_some_and(secret_in_it) {
            let expected = "expected an address without a password, which git's own helpers know";
            return Err(at("push.url", expected.to_owned()));
        }
        let data = folder.join(&raw.data);
        Ok(Self {
            every: *raw.every,
            parallel: raw.parallel.get(),
            between_logins: Duration::from_mins(1) / raw.logins_per_minute.get(),
            between_device_logins: Duration::from_hours(1) / raw.logins_per_device_hour.get(),
            keep_sessions: *raw.keep_sessions,
            kept_sessions_most: raw.kept_sessions_most.get(),
            outputs,
            windows,
            push,
            settle: *raw.settle,
            settle_at_most: *raw.settle_at_most,
            known_hosts: match &raw.host_keys.file {
                Some(file) => folder.join(file),
                None => data.join("known_hosts"),
            },
            on_unknown: match raw.host_keys.on_unknown {
                RawUnknown::Refuse => OnUnknown::Refuse,
                RawUnknown::Pin => OnUnknown::Pin,
            },
            credentials,
            profiles: raw.profiles.clone(),
            jump_hosts: raw.jump_hosts.clone(),
            drivers,
            rules: Arc::new(rules),
            masking_key: maybe("masking_key_file", &raw.masking_key_file)?,
            events_secret: match &raw.events {
                None => None,
                Some(events) => Some(secret("events.secret_file", &events.secret_file)?),
            },
            webhook,
            loki,
            queue: match &raw.queue {
                Some(own) => QueueSection {
                    path: folder.join(&own.path),
                    ..own.clone()
                },
                None => QueueSection {
                    path: data.join("events"),
                    max_bytes: QUEUE,
                },
            },
            access,
            audit: raw.audit.as_ref().map(|audit| folder.join(&audit.folder)),
            data,
            raw,
        })
    }

    /// The account for a device: the one that the inventory names for it, and only where it may be shown to this device.
    pub(crate) fn credential(&self, device: &Device) -> Option<&Credential> {
        let wanted = device.ssh.as_ref()?.credentials.as_ref()?;
        let named = self
            .credentials
            .iter()
            .find(|credential| *credential.name == **wanted)?;
        (named.everywhere || named.scope.holds(device)).then_some(named)
    }

    /// The answers that are kept of devices with this driver.
    pub(crate) fn outputs<'a>(&'a self, driver: &'a Driver) -> Vec<&'a Output> {
        let own = self.outputs.iter();
        let own = own.filter(|(platform, _)| platform == driver.platform());
        driver
            .outputs()
            .iter()
            .chain(own.map(|(_, output)| output))
            .collect()
    }

    /// Whether the schedule may collect a device at a time.
    pub(crate) fn is_open(&self, device: &Device, now: jiff::Timestamp) -> bool {
        let mut own = self
            .windows
            .iter()
            .filter(|own| own.is_for(device))
            .peekable();
        own.peek().is_none() || own.any(|own| own.is_open(now))
    }

    /// The device through which another one is reached. Jump hosts themselves are reached straight.
    pub(crate) fn jump_host(&self, device: &Device) -> Option<&str> {
        if self.jump_hosts.iter().any(|own| *own.host == *device.name) {
            return None;
        }
        let mut fitting = self.jump_hosts.iter().filter(|own| own.scope.holds(device));
        fitting.next().map(|own| own.host.as_str())
    }

    /// The algorithms that a device is offered.
    pub(crate) fn profile(&self, device: &Device) -> Profile {
        let mut fitting = self.profiles.iter().filter(|own| own.scope.holds(device));
        fitting.next().map_or(Profile::Default, |own| own.profile)
    }
}

impl Configuration for Config {
    const DEFAULT: &'static str = DEFAULT;

    fn masked(&self) -> String {
        // JSON is YAML; secrets are in files, of which only the paths stand here.
        let json = serde_json::to_string_pretty(&self.raw).unwrap_or_default();
        format!("{json}\n")
    }

    fn files(&self) -> Vec<PathBuf> {
        self.rules.files().to_vec()
    }
}

/// The key of the fingerprints: from its file, or made once in the data folder.
pub(crate) fn masking_key(config: &Config) -> std::io::Result<Secret> {
    if let Some(file) = &config.masking_key {
        return Ok(file.current());
    }
    let path = config.data.join("masking.key");
    match SecretFile::open(&path) {
        Ok(file) if !file.current().reveal().is_empty() => return Ok(file.current()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut random = [0u8; 32];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random)
        .map_err(|_| std::io::Error::other("no random numbers"))?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = {
        use std::os::unix::fs::OpenOptionsExt as _;
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?
    };
    std::io::Write::write_all(&mut file, format!("{text}\n").as_bytes())?;
    file.sync_all()?;
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests;
