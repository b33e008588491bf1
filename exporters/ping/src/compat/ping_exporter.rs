//! ping_exporter's configuration file and flags.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toolkit::ConfigError;

use super::smokeping::check_interval;
use super::target::{MAX_SIZE, check_host, check_label, once};
use super::{Families, Kind, Options, Peer, Style, Target};
use crate::config::Config;
use crate::echo::TAG_BYTES;
use units::go;

/// Labels that its series have anyway.
pub(super) const LABELS: [&str; 4] = ["target", "ip", "ip_version", "type"];
/// Most results that are remembered of a target.
const MAX_HISTORY: usize = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    targets: Option<Vec<Entry>>,
    ping: Ping,
    dns: Dns,
    options: Choices,
}

/// A host; or a mapping with `host`, in which everything else is a label; or one of a host to its labels, as its releases up to 1.1 have it.
#[derive(Debug)]
struct Entry {
    host: Option<String>,
    labels: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Entry;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a host, or a mapping with host and labels")
            }

            fn visit_str<E: serde::de::Error>(self, host: &str) -> Result<Entry, E> {
                Ok(Entry {
                    host: Some(host.to_owned()),
                    labels: BTreeMap::new(),
                })
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entry, M::Error> {
                let mut entry = Entry {
                    host: None,
                    labels: BTreeMap::new(),
                };
                while let Some(name) = map.next_key::<String>()? {
                    // No label has such a name.
                    if name.contains(['.', ':', '-']) && entry.host.is_none() {
                        let labels: Option<BTreeMap<String, String>> = map.next_value()?;
                        entry.labels.extend(labels.unwrap_or_default());
                        entry.host = Some(name);
                    } else if name == "host" {
                        entry.host = Some(map.next_value()?);
                    } else {
                        entry.labels.insert(name, map.next_value()?);
                    }
                }
                Ok(entry)
            }
        }
        from.deserialize_any(Either)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Ping {
    #[serde(deserialize_with = "go::deserialize")]
    interval: Option<Duration>,
    #[serde(deserialize_with = "go::deserialize")]
    timeout: Option<Duration>,
    history_size: Option<usize>,
    payload_size: Option<usize>,
    fw_mark: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Dns {
    #[serde(deserialize_with = "go::deserialize")]
    refresh: Option<Duration>,
    nameserver: Option<String>,
    #[serde(deserialize_with = "go::deserialize")]
    timeout: Option<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Choices {
    #[serde(rename = "disableIPv6")]
    disable_ipv6: bool,
    #[serde(rename = "disableIPv4")]
    disable_ipv4: bool,
}

type Wrong = (String, String);

/// Reads its file, with the targets and settings of its command line where the file has none.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn parse(options: &Options, text: &str, origin: &Path) -> Result<Config, ConfigError> {
    let file: File = toolkit::yaml::parse(text, origin)?;
    read(&file, options).map_err(|(path, message)| ConfigError::at(text, origin, path, message))
}

/// The file's value unless it is zero or missing, else that of the command line, else the default.
fn pick<T: Copy + Default + PartialEq>(file: Option<T>, flag: Option<T>, default: T) -> T {
    file.filter(|value| *value != T::default())
        .or(flag)
        .unwrap_or(default)
}

fn at(path: &str) -> impl FnOnce(String) -> Wrong {
    move |message| (path.to_owned(), message)
}

fn read(file: &File, options: &Options) -> Result<Config, Wrong> {
    let interval = pick(file.ping.interval, options.interval, Duration::from_secs(5));
    check_interval(interval).map_err(at("ping.interval"))?;
    let timeout = pick(file.ping.timeout, options.timeout, Duration::from_secs(4));
    if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&timeout) {
        let message = format!(
            "{} is out of bounds, expected 10ms to 1m",
            go::spelled(timeout)
        );
        return Err(("ping.timeout".into(), message));
    }
    let size = pick(file.ping.payload_size, options.size, 56);
    if !(TAG_BYTES..=MAX_SIZE).contains(&size) {
        let message = format!("{size} is out of bounds, expected {TAG_BYTES} to {MAX_SIZE}");
        return Err(("ping.payload-size".into(), message));
    }
    let history = pick(file.ping.history_size, options.history, 10);
    if !(1..=MAX_HISTORY).contains(&history) {
        let message = format!("{history} is out of bounds, expected 1 to {MAX_HISTORY}");
        return Err(("ping.history-size".into(), message));
    }
    let mark = pick(file.ping.fw_mark, options.mark, 0);
    let choices = (
        file.options.disable_ipv4 || options.disable_ipv4,
        file.options.disable_ipv6 || options.disable_ipv6,
    );
    let families = match choices {
        (false, false) => Families::Both,
        (true, false) => Families::V6,
        (false, true) => Families::V4,
        (true, true) => {
            let message = "both families are switched off, expected one at most";
            return Err(("options".into(), message.into()));
        }
    };
    let entry = |host: &str, labels| Target {
        host: host.to_owned(),
        families,
        interval,
        timeout,
        size,
        tos: 0,
        source: None,
        mark: (mark != 0).then_some(mark),
        all_records: true,
        labels,
    };
    let mut targets = Vec::new();
    for (number, written) in file.targets.iter().flatten().enumerate() {
        let path = format!("targets[{number}]");
        let host = written.host.as_ref();
        let host = host.ok_or_else(|| (path.clone(), "no key host".to_owned()))?;
        let labels = &written.labels;
        check_host(host).map_err(at(&path))?;
        for (name, value) in labels {
            check_label(name, value, &LABELS).map_err(at(&path))?;
        }
        targets.push(entry(host, labels.clone()));
    }
    if targets.is_empty() {
        for host in &options.hosts {
            check_host(host).map_err(|why| (String::new(), format!("command line: {why}")))?;
            targets.push(entry(host, BTreeMap::new()));
        }
    }
    let labels: BTreeSet<&String> = targets.iter().flat_map(|t| t.labels.keys()).collect();
    let labels = labels.into_iter().cloned().collect();
    let mut warnings = Vec::new();
    let targets = once(targets, &mut warnings);
    let unit = options.unit.as_deref().unwrap_or("s");
    let mut config = Config::of_peer(Peer {
        kind: Kind::PingExporter,
        targets,
        labels,
        style: Style {
            buckets: Vec::new(),
            history,
            seconds: unit != "ms",
            millis: unit != "s",
            deprecated: options.deprecated,
        },
        foreign: BTreeMap::new(),
        warnings,
    })?;
    let refresh = pick(file.dns.refresh, options.refresh, Duration::from_secs(60));
    if !refresh.is_zero() {
        let longest = Duration::from_secs(86_400);
        config.dns.min_ttl = refresh.clamp(Duration::from_secs(1), longest);
        config.dns.max_ttl = config.dns.min_ttl;
    }
    let wait = pick(file.dns.timeout, options.dns_timeout, Duration::ZERO);
    if !wait.is_zero() {
        config.dns.timeout = wait.clamp(Duration::from_millis(100), Duration::from_secs(60));
    }
    let named = file
        .dns
        .nameserver
        .as_deref()
        .filter(|server| !server.is_empty());
    if let Some(server) = named.or(options.nameserver.as_deref()) {
        let address = server
            .parse::<SocketAddr>()
            .or_else(|_| server.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53)));
        let message = || format!("{server:?}: expected an address, with or without a port");
        let address = address.map_err(|_| ("dns.nameserver".into(), message()))?;
        config.dns.servers = vec![address];
    }
    Ok(config)
}
