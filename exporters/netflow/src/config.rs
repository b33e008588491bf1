//! The configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use loki::{Destination, QueueSection, Section};
use serde::{Deserialize, Serialize};
use toolkit::{ConfigError, Configuration, yaml};

use crate::applications::{self, Applications};
use crate::totals::TopBounds;

/// Most addresses that are listened on.
const MOST_LISTENERS: usize = 16;
/// Most sampling rules.
const MOST_RULES: usize = 1_000;

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where datagrams are taken; a change needs a restart.
    pub listen: Vec<SocketAddr>,
    /// Kernel buffer of each socket, octets.
    pub receive_buffer: u32,
    /// Length of a window of exact tables.
    pub window: Duration,
    /// Bounds of the top talkers; a change needs a restart.
    pub top: TopBounds,
    /// Sampling rates of exporters that do not tell theirs.
    pub sampling: Vec<Sampling>,
    /// The application table.
    pub applications: Arc<Applications>,
    /// Where interface names are asked.
    pub names: Option<Names>,
    /// Where the exact tables of each window go; without one none are written.
    pub loki: Option<Destination>,
    /// Where they wait; a change needs a restart.
    pub queue: QueueSection,
    /// Relative paths begin here.
    pub base: PathBuf,
    raw: Raw,
}

/// A sampling rate that we know better than the exporter says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Exporters of these addresses.
    pub prefix: IpNet,
    /// One packet is measured of so many.
    pub one_in: u32,
}

/// Where the names of interfaces are asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Names {
    /// The Prometheus that scrapes the SNMP exporter.
    pub prometheus: promapi::Section,
    /// A query whose series carry `device`, `ifIndex` and `ifName`.
    pub query: String,
    /// How often it is asked.
    pub refresh: Duration,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    listen: Vec<String>,
    receive_buffer_bytes: u32,
    window: String,
    top: RawTop,
    sampling: Vec<Sampling>,
    applications: Vec<String>,
    interface_names: Option<RawNames>,
    loki: Option<Section>,
    queue: QueueSection,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RawTop {
    rows: usize,
    keys: usize,
    hold: String,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawNames {
    prometheus: promapi::Section,
    #[serde(default = "names_query")]
    query: String,
    #[serde(default = "names_refresh")]
    refresh: String,
}

fn names_query() -> String {
    "group by (device, ifIndex, ifName) (ifOperStatus)".to_owned()
}

fn names_refresh() -> String {
    "1m".to_owned()
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            listen: vec!["[::]:2055".to_owned()],
            receive_buffer_bytes: 4 << 20,
            window: "1m".to_owned(),
            top: RawTop::default(),
            sampling: Vec::new(),
            applications: Vec::new(),
            interface_names: None,
            loki: None,
            queue: QueueSection::default(),
        }
    }
}

impl Default for RawTop {
    fn default() -> Self {
        Self {
            rows: 10,
            keys: 100_000,
            hold: "30m".to_owned(),
        }
    }
}

impl Config {
    /// Reads and checks it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::parse(text, origin)?;
        let at = |path: String, message: String| ConfigError::at(text, origin, path, message);
        let duration = |path: &str, text: &str, least: Duration, most: Duration| {
            let read = toolkit::duration(text).map_err(|message| at(path.to_owned(), message))?;
            if (least..=most).contains(&read) {
                Ok(read)
            } else {
                Err(at(
                    path.to_owned(),
                    format!("expected a duration from {least:?} to {most:?}, found {text:?}"),
                ))
            }
        };
        if raw.listen.is_empty() || raw.listen.len() > MOST_LISTENERS {
            return Err(at(
                "listen".to_owned(),
                format!("expected 1 to {MOST_LISTENERS} addresses"),
            ));
        }
        let mut listen = Vec::new();
        for (index, address) in raw.listen.iter().enumerate() {
            let address = address
                .strip_prefix(':')
                .map_or_else(|| address.clone(), |port| format!("[::]:{port}"));
            let wrong = |_| {
                at(
                    format!("listen[{index}]"),
                    format!("expected ADDRESS:PORT, found {address:?}"),
                )
            };
            listen.push(address.parse().map_err(wrong)?);
        }
        if !(65_536..=1 << 30).contains(&raw.receive_buffer_bytes) {
            return Err(at(
                "receive_buffer_bytes".to_owned(),
                "expected 65536 to 1073741824".to_owned(),
            ));
        }
        if !(1..=100).contains(&raw.top.rows) {
            return Err(at("top.rows".to_owned(), "expected 1 to 100".to_owned()));
        }
        if !(1_000..=2_000_000).contains(&raw.top.keys) {
            return Err(at(
                "top.keys".to_owned(),
                "expected 1000 to 2000000".to_owned(),
            ));
        }
        if raw.sampling.len() > MOST_RULES {
            return Err(at(
                "sampling".to_owned(),
                format!("expected at most {MOST_RULES} rules"),
            ));
        }
        if let Some(index) = raw.sampling.iter().position(|rule| rule.one_in == 0) {
            return Err(at(
                format!("sampling[{index}].one_in"),
                "expected at least 1".to_owned(),
            ));
        }
        if raw.applications.len() > applications::MOST_OWN {
            return Err(at(
                "applications".to_owned(),
                format!("expected at most {} lines", applications::MOST_OWN),
            ));
        }
        let own = raw.applications.iter().map(String::as_str);
        let table = Applications::new(own).map_err(|wrong| {
            let index = raw
                .applications
                .iter()
                .position(|line| *line == wrong.0)
                .unwrap_or(0);
            at(format!("applications[{index}]"), wrong.to_string())
        })?;
        let second = Duration::from_secs(1);
        let names = match &raw.interface_names {
            None => None,
            Some(names) => Some(Names {
                prometheus: names.prometheus.clone(),
                query: names.query.clone(),
                refresh: duration(
                    "interface_names.refresh",
                    &names.refresh,
                    second,
                    second * 86_400,
                )?,
            }),
        };
        let base = origin.parent().unwrap_or(Path::new(""));
        let loki = raw
            .loki
            .as_ref()
            .map(|section| section.check(base))
            .transpose();
        let loki = loki.map_err(|(field, message)| at(format!("loki.{field}"), message))?;
        Ok(Self {
            listen,
            receive_buffer: raw.receive_buffer_bytes,
            window: duration("window", &raw.window, second, second * 3_600)?,
            top: TopBounds {
                rows: raw.top.rows,
                keys: raw.top.keys,
                hold: duration("top.hold", &raw.top.hold, second, second * 86_400)?,
            },
            sampling: raw.sampling.clone(),
            applications: Arc::new(table),
            names,
            loki,
            queue: raw.queue.clone(),
            base: base.to_owned(),
            raw,
        })
    }
}

impl Configuration for Config {
    const DEFAULT: &'static str = "\
# Where NetFlow v5 and v9, IPFIX and sFlow v5 are taken; they are told apart by themselves.
listen: ['[::]:2055']
# Kernel buffer of each socket; net.core.rmem_max bounds it for ordinary users.
receive_buffer_bytes: 4194304
# Length of a window of exact tables.
window: 1m
top:
  # Rows of a table; the stable series have twice as many slots.
  rows: 10
  # Most addresses and pairs told apart within a window, per device.
  keys: 100000
  # How long a slot is kept at least.
  hold: 30m
# For exporters that do not tell their sampling rate: [{prefix: 198.51.100.0/24, one_in: 1000}]
sampling: []
# More applications, PORT/PROTOCOL NAME: ['8443/tcp intranet']
applications: []
# Names of interfaces, from the Prometheus that scrapes sotp-snmp:
# interface_names: {prometheus: {url: 'http://127.0.0.1:9090'}}
# Where the exact tables of each window go; without it none are written. Further keys: docs/loki.md.
# loki: {url: 'http://127.0.0.1:3100/loki/api/v1/push'}
# Where they wait until Loki has them.
queue: {path: data/lines, max_bytes: 268435456}
";

    fn masked(&self) -> String {
        // JSON is YAML; secrets stand in files.
        let json = serde_json::to_string_pretty(&self.raw).unwrap_or_default();
        format!("{json}\n")
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}
