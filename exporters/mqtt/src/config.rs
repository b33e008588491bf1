//! The configuration file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rumqttc::QoS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::{Bytes, DurationIn, Keys, Ranged};
use toolkit::{ClientFiles, ConfigError, Configuration, SecretFile, http, yaml};

use crate::intake::Settings;
use crate::readings::Bounds;
use crate::rules::{BUILT_IN, PREFIX, Rules, is_prefix};

const DEFAULT: &str = include_str!("../default.yaml");
/// Most brokers.
const MOST_BROKERS: usize = 64;

/// The configuration as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    /// The brokers that are listened to.
    brokers: Vec<RawBroker>,
    /// Rules that come with the program: tasmota, zigbee2mqtt, homeassistant.
    rules: Vec<String>,
    /// Files with rules of your own (docs/mqtt.md).
    rule_files: Vec<PathBuf>,
    /// The prefix below which entities announce themselves by Home Assistant's discovery, as Home Assistant has it.
    discovery_prefix: String,
    /// A reading that is not renewed within this time is no longer shown; a rule may say another.
    stale_after: DurationIn<1_000, 2_592_000_000>,
    /// Whether readings that the broker had kept (retained messages) are taken: nobody knows how old they are. States, such as a last will,
    /// are always taken.
    retained: bool,
    /// Bounds.
    limits: RawLimits,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawBroker {
    /// Its name in labels.
    name: String,
    /// mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS; the ports are 1883 and 8883 where none is said.
    url: String,
    /// MQTT 5 or 3.1.1. Only with 5 a broker keeps messages back that are longer than `limits.packet_bytes`.
    #[serde(default)]
    protocol: Protocol,
    /// Quality of service that is asked for: 0, 1 or 2.
    #[serde(default = "no_qos")]
    qos: Ranged<u8, 0, 2>,
    /// Identifier at the broker; without one it is sotp-mqtt- and a number that is new at each connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// How long the broker is asked to keep messages for us while we are away, with `qos: 1` and `client_id`; at most `stale_after`, since
    /// they are taken for readings of now. With 3.1.1 a broker knows no such time, and keeps them as long as it likes. 0s: none.
    #[serde(default = "no_session")]
    session: DurationIn<0, 604_800_000>,
    /// A group of several sotp-mqtt (shared subscription): each message goes to one of them. Messages that the broker had kept go to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    /// A user, with `password_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// File with the password of the user; read again when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    /// PEM certificates that the broker's must descend from, in place of those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    /// Certificate chain of the client, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cert_file: Option<PathBuf>,
    /// Key of the client, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    /// Time without a message after which the connection is tried.
    #[serde(default = "keep_alive")]
    keep_alive: DurationIn<5_000, 3_600_000>,
}

fn no_qos() -> Ranged<u8, 0, 2> {
    Ranged::of(0)
}

fn no_session() -> DurationIn<0, 604_800_000> {
    DurationIn::from_millis(0)
}

fn keep_alive() -> DurationIn<5_000, 3_600_000> {
    DurationIn::from_millis(30_000)
}

/// Version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub(crate) enum Protocol {
    /// MQTT 5.
    #[default]
    #[serde(rename = "5")]
    Five,
    /// MQTT 3.1.1.
    #[serde(rename = "3.1.1")]
    Three,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    /// Most series of devices of the inventory.
    series: Ranged<usize, 0, 1_000_000>,
    /// Most series of topics that no device of the inventory publishes; 0 takes none of them.
    unknown_series: Ranged<usize, 0, 1_000_000>,
    /// Most entities that Home Assistant discovery announces, of all brokers.
    announced: Ranged<usize, 0, 100_000>,
    /// Longest payload that is read.
    payload_bytes: Bytes,
    /// Longest packet that a connection takes; a longer one ends a connection of MQTT 3.1.1.
    packet_bytes: Bytes,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            series: Ranged::of(100_000),
            unknown_series: Ranged::of(1_000),
            announced: Ranged::of(10_000),
            payload_bytes: Bytes(64 << 10),
            packet_bytes: Bytes(1 << 20),
        }
    }
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            brokers: vec![RawBroker {
                name: "main".to_owned(),
                url: "mqtt://127.0.0.1:1883".to_owned(),
                protocol: Protocol::default(),
                qos: no_qos(),
                client_id: None,
                session: no_session(),
                share: None,
                username: None,
                password_file: None,
                ca_file: None,
                cert_file: None,
                key_file: None,
                keep_alive: keep_alive(),
            }],
            rules: ["tasmota", "zigbee2mqtt"].map(str::to_owned).to_vec(),
            rule_files: Vec::new(),
            discovery_prefix: "homeassistant".to_owned(),
            stale_after: DurationIn::from_millis(600_000),
            retained: false,
            limits: RawLimits::default(),
        }
    }
}

/// A broker.
#[derive(Debug, Clone)]
pub(crate) struct Broker {
    pub(crate) name: Arc<str>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Option<ClientFiles>,
    pub(crate) protocol: Protocol,
    pub(crate) qos: QoS,
    pub(crate) client_id: Option<String>,
    /// How long the broker keeps our session; zero for none.
    pub(crate) session: std::time::Duration,
    /// The group of a shared subscription.
    pub(crate) share: Option<String>,
    pub(crate) login: Option<(String, Arc<SecretFile>)>,
    pub(crate) keep_alive: std::time::Duration,
    pub(crate) packet_bytes: u32,
    /// What it was made of: two that are equal need no new connection.
    written: (RawBroker, RawLimits),
}

impl PartialEq for Broker {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Broker {
    /// The same for a visit: with an identifier that nobody else has, and without a session.
    pub(crate) fn for_once(self) -> Self {
        Self {
            client_id: None,
            session: std::time::Duration::ZERO,
            share: None,
            ..self
        }
    }
}

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The brokers.
    pub(crate) brokers: Vec<Arc<Broker>>,
    /// What holds for every message.
    pub(crate) settings: Settings,
    files: Vec<PathBuf>,
    text: String,
}

type Wrong = (String, String);

impl Config {
    /// Reads and checks it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub(crate) fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::parse(text, origin)?;
        let base = origin.parent().unwrap_or(Path::new(""));
        let at = |(path, message): Wrong| ConfigError::at(text, origin, path, message);
        let mut own = Vec::new();
        for (index, file) in raw.rule_files.iter().enumerate() {
            let path = base.join(file);
            let text = std::fs::read_to_string(&path).map_err(|error| {
                at((
                    format!("rule_files[{index}]"),
                    format!("expected a readable file, {}: {error}", path.display()),
                ))
            })?;
            own.push((text, path));
        }
        let mut files: Vec<(&str, &Path)> = Vec::new();
        for (index, name) in raw.rules.iter().enumerate() {
            let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| known == name) else {
                let known = BUILT_IN.map(|(name, _)| name).join(", ");
                return Err(at((
                    format!("rules[{index}]"),
                    format!("expected one of {known}"),
                )));
            };
            files.push((text, Path::new(name)));
        }
        files.extend(own.iter().map(|(text, path)| (&**text, &**path)));
        if !is_prefix(&raw.discovery_prefix) {
            return Err(at(("discovery_prefix".to_owned(), PREFIX.to_owned())));
        }
        let rules = Rules::parse(files)?.with_discovery_prefix(&raw.discovery_prefix);
        let rules = Arc::new(rules);
        if raw.limits.payload_bytes.0 > raw.limits.packet_bytes.0
            || !(1_024..=256 << 20).contains(&raw.limits.packet_bytes.0)
        {
            return Err(at((
                "limits.packet_bytes".to_owned(),
                "expected 1KiB to 256MiB, and payload_bytes at most".to_owned(),
            )));
        }
        if raw.brokers.len() > MOST_BROKERS {
            return Err(at((
                "brokers".to_owned(),
                format!("expected at most {MOST_BROKERS}"),
            )));
        }
        let mut brokers: Vec<Arc<Broker>> = Vec::new();
        for (index, broker) in raw.brokers.iter().enumerate() {
            if *broker.session > *raw.stale_after {
                return Err(at((
                    format!("brokers[{index}].session"),
                    "expected at most stale_after: what waited longer would look like a reading of now"
                        .to_owned(),
                )));
            }
            let broker = broker
                .check(&raw.limits, base)
                .map_err(|(path, message)| at((format!("brokers[{index}].{path}"), message)))?;
            if brokers.iter().any(|have| have.name == broker.name) {
                return Err(at((
                    format!("brokers[{index}].name"),
                    "expected each name once".to_owned(),
                )));
            }
            brokers.push(Arc::new(broker));
        }
        let tls = raw
            .brokers
            .iter()
            .flat_map(|b| [&b.ca_file, &b.cert_file, &b.key_file])
            .flatten();
        Ok(Self {
            brokers,
            settings: Settings {
                rules,
                stale_after: *raw.stale_after,
                retained: raw.retained,
                payload_bytes: usize::try_from(raw.limits.payload_bytes.0).unwrap_or(usize::MAX),
                announced: raw.limits.announced.get(),
                bounds: Bounds {
                    known: raw.limits.series.get(),
                    unknown: raw.limits.unknown_series.get(),
                },
            },
            files: raw
                .rule_files
                .iter()
                .chain(tls)
                .map(|file| base.join(file))
                .collect(),
            text: text.to_owned(),
        })
    }

    /// The names of the brokers.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.brokers
            .iter()
            .map(|broker| Arc::clone(&broker.name))
            .collect()
    }

    /// Every key, for the reference page.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the reference page is written by a test")
    )]
    fn keys() -> Keys {
        Keys::of(&Raw::default())
    }
}

impl RawBroker {
    fn check(&self, limits: &RawLimits, base: &Path) -> Result<Broker, Wrong> {
        let wrong = |path: &str, message: &str| (path.to_owned(), message.to_owned());
        let name = self
            .name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !name || self.name.is_empty() || self.name.len() > 64 {
            return Err(wrong("name", "expected 1 to 64 letters, digits, - and _"));
        }
        // The text of the address is not repeated: somebody may have put a password into it.
        let expected = || {
            wrong(
                "url",
                "expected mqtt://HOST:PORT or mqtts://HOST:PORT; a user stands in username",
            )
        };
        let url: http::Uri = self.url.parse().map_err(|_| expected())?;
        let tls = match url.scheme_str() {
            Some("mqtt") => false,
            Some("mqtts") => true,
            _ => return Err(expected()),
        };
        let authority = url.authority().ok_or_else(expected)?;
        if authority.as_str().contains('@')
            || authority.host().is_empty()
            || !matches!(url.path(), "" | "/")
        {
            return Err(expected());
        }
        let login = match (&self.username, &self.password_file) {
            (None, None) => None,
            (Some(user), Some(file)) => {
                let file = SecretFile::open(base.join(file)).map_err(|error| {
                    let message = format!("expected a readable file, {}: {error}", file.display());
                    ("password_file".to_owned(), message)
                })?;
                Some((user.clone(), Arc::new(file)))
            }
            _ => {
                return Err(wrong(
                    "username",
                    "expected username and password_file together",
                ));
            }
        };
        let files = [&self.ca_file, &self.cert_file, &self.key_file];
        let files =
            ClientFiles::below(base, files).map_err(|expected| wrong("cert_file", expected))?;
        if !tls && files != ClientFiles::default() {
            return Err(wrong(
                "url",
                "expected mqtts:// beside ca_file, cert_file and key_file",
            ));
        }
        if tls {
            crate::session::tls(&files)
                .map_err(|error| ("ca_file".to_owned(), error.to_string()))?;
        }
        if self
            .client_id
            .as_ref()
            .is_some_and(|id| id.is_empty() || id.len() > 128)
        {
            return Err(wrong("client_id", "expected 1 to 128 characters"));
        }
        if !self.session.is_zero() && (self.qos.get() != 1 || self.client_id.is_none()) {
            return Err(wrong("session", "expected qos: 1 and client_id beside it"));
        }
        let group = |share: &String| {
            (1..=64).contains(&share.len()) && !share.contains(['/', '+', '#', '\0'])
        };
        if !self.share.iter().all(group) {
            return Err(wrong(
                "share",
                "expected 1 to 64 characters other than /, + and #",
            ));
        }
        Ok(Broker {
            name: self.name.as_str().into(),
            host: authority.host().to_owned(),
            port: authority
                .port_u16()
                .unwrap_or(if tls { 8_883 } else { 1_883 }),
            tls: tls.then_some(files),
            protocol: self.protocol,
            qos: match self.qos.get() {
                0 => QoS::AtMostOnce,
                1 => QoS::AtLeastOnce,
                _ => QoS::ExactlyOnce,
            },
            client_id: self.client_id.clone(),
            session: *self.session,
            share: self.share.clone(),
            login,
            keep_alive: *self.keep_alive,
            packet_bytes: u32::try_from(limits.packet_bytes.0).unwrap_or(u32::MAX),
            written: (self.clone(), limits.clone()),
        })
    }
}

impl Configuration for Config {
    const DEFAULT: &'static str = DEFAULT;

    fn masked(&self) -> String {
        // Secrets stand in files of their own; the text has only their paths.
        self.text.clone()
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
    fn the_printed_default_is_written_from_the_code() {
        let head = "Configuration of sotp-mqtt. Every value below is the default; what is left out keeps it. Relative paths begin at this \
                    file's folder. Durations: 250ms, 1.5s, 1m30s, 1h, 2d. Sizes: 65536, 64KiB, 1MiB.";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("default.yaml");
        testkit::golden::hold(&path, &Config::keys().text(head));
    }

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_reference_page_is_written_from_the_code() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let series = std::fs::read_to_string(package.join("tests/golden/metrics.txt")).unwrap();
        let page = toolkit::reference::page::<crate::app::Service>(
            Some(&Config::keys()),
            &[("Series", &series)],
        );
        testkit::golden::hold(&package.join("../../docs/reference/mqtt.md"), &page);
    }

    #[test]
    fn the_default_is_good_and_says_what_the_code_does() {
        assert_eq!(
            yaml::parse::<Raw>(DEFAULT, Path::new("x")).unwrap(),
            Raw::default()
        );
        assert_eq!(Config::parse("", Path::new("x")).unwrap().brokers.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            (
                "brokers: [{name: a, url: 'http://x'}]",
                "brokers[0].url: expected mqtt://HOST:PORT",
            ),
            (
                "brokers: [{name: a, url: 'mqtt://u:hunter2@x'}]",
                "brokers[0].url: expected mqtt://HOST:PORT",
            ),
            (
                "brokers: [{name: a b, url: 'mqtt://x'}]",
                "brokers[0].name: expected 1 to 64",
            ),
            (
                "brokers: [{name: a, url: 'mqtt://x'}, {name: a, url: 'mqtt://y'}]",
                "brokers[1].name: expected each name once",
            ),
            (
                "brokers: [{name: a, url: 'mqtt://x', username: u}]",
                "brokers[0].username: expected username and",
            ),
            (
                "brokers: [{name: a, url: 'mqtt://x', username: u, password_file: none}]",
                "brokers[0].password_file: expected a readable file, none",
            ),
            (
                "brokers: [{name: a, url: 'mqtt://x', ca_file: x}]",
                "brokers[0].url: expected mqtts://",
            ),
            (
                "brokers: [{name: a, url: 'mqtts://x', ca_file: none}]",
                "brokers[0].ca_file: /etc/none: ",
            ),
            (
                "brokers: [{name: a, url: 'mqtt://x', qos: 3}]",
                "brokers[0].qos: 3 is out of bounds",
            ),
            (
                "brokers: [{name: a, url: 'mqtt://x', session: 1m, qos: 2, client_id: c}]",
                "brokers[0].session: expected qos: 1 and client_id",
            ),
            (
                "brokers: [{name: a, url: 'mqtt://x', session: 1m, qos: 1}]",
                "brokers[0].session: expected qos: 1 and client_id",
            ),
            (
                "brokers: [{name: a, url: 'mqtt://x', session: 11m, qos: 1, client_id: c}]",
                "brokers[0].session: expected at most stale_after",
            ),
            (
                "brokers: [{name: a, url: 'mqtt://x', share: a/b}]",
                "brokers[0].share: expected 1 to 64",
            ),
            (
                "rules: [other]",
                "rules[0]: expected one of tasmota, zigbee2mqtt, homeassistant",
            ),
            (
                "discovery_prefix: 'house/+'",
                "discovery_prefix: expected levels of a topic",
            ),
            (
                "discovery_prefix: ''",
                "discovery_prefix: expected levels of a topic",
            ),
            (
                "rule_files: [none.yaml]",
                "rule_files[0]: expected a readable file, /etc/none.yaml",
            ),
            (
                "limits: {packet_bytes: 5}",
                "limits.packet_bytes: expected 1KiB",
            ),
            ("stale_after: 1ms", "stale_after: 1ms is out of bounds"),
        ] {
            let error = Config::parse(text, Path::new("/etc/x.yaml"))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(expected) && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
