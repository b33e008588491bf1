//! The configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use loki::{Destination, QueueSection, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::{DurationIn, Ranged};
use toolkit::{ConfigError, Configuration, yaml};

use crate::applications::{self, Applications};
use crate::duplicates::{self, Policy};
use crate::knowledge::Knowledge;
use crate::networks::{self, Named, Networks};
use crate::sinks::config::{KafkaFlows, LokiFlows, ToKafka, ToLoki};
use crate::systems::Systems;
use crate::totals::TopBounds;
use crate::totals::spread::Accounting;

/// Most addresses that are listened on.
const MOST_LISTENERS: usize = 16;
/// Most sampling rules, and most relays.
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
    /// What is known of flows beside what they say.
    pub knowledge: Knowledge,
    /// When a flow counts; a change needs a restart.
    pub accounting: Accounting,
    /// Where templates are kept over a restart; a change needs a restart.
    pub templates: PathBuf,
    /// Where interface names are asked.
    pub names: Option<Names>,
    /// Where the exact tables of each window go; without one none are written.
    pub loki: Option<Destination>,
    /// Where they wait; a change needs a restart.
    pub queue: QueueSection,
    /// Who of several exporters on a path counts a flow; a change needs a restart.
    pub duplicates: Suppression,
    /// Who is asked for names of addresses, and how many are remembered; a change needs a restart.
    pub reverse_dns: Option<ReverseDns>,
    /// Which single flows go to Loki; a change needs a restart.
    pub flows_to_loki: Option<ToLoki>,
    /// Which single flows go to Kafka; a change needs a restart.
    pub flows_to_kafka: Option<ToKafka>,
    /// Relative paths begin here.
    pub base: PathBuf,
    raw: Raw,
}

/// Names of addresses in tables.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReverseDns {
    /// Servers that are asked, `ADDRESS:PORT`; those of the system without any.
    #[schemars(with = "Vec<String>")]
    pub servers: Vec<SocketAddr>,
    /// Addresses that are remembered.
    #[schemars(range(min = 100, max = 1_000_000))]
    pub cache: usize,
}

impl Default for ReverseDns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            cache: 20_000,
        }
    }
}

/// Flows that several exporters on a path tell of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Suppression {
    /// Which flows count: `all`, those measured coming in (`ingress`), or those of `one_exporter` for each conversation.
    pub policy: Policy,
    /// Devices in the order in which they count; one that is not here after them, and else who told first.
    pub rank: Vec<String>,
    /// Conversations that are remembered, 30 octets each; one that finds no room counts at each exporter.
    #[schemars(range(min = 1_000, max = 100_000_000))]
    pub conversations: usize,
}

impl Default for Suppression {
    fn default() -> Self {
        Self {
            policy: Policy::All,
            rank: Vec::new(),
            conversations: 200_000,
        }
    }
}

/// A sampling rate that we know better than the exporter says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Exporters of these addresses.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// One packet is measured of so many.
    #[schemars(range(min = 1))]
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

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    /// Where NetFlow v5 and v9, IPFIX and sFlow v5 are taken; they are told apart by themselves.
    listen: Vec<String>,
    /// Kernel buffer of each socket; `net.core.rmem_max` bounds it for ordinary users.
    receive_buffer_bytes: Ranged<u32, 65_536, 1_073_741_824>,
    /// Length of a window of exact tables.
    window: DurationIn<1_000, 3_600_000>,
    /// Bounds of the top talkers.
    top: RawTop,
    /// For exporters that do not tell their sampling rate.
    sampling: Vec<Sampling>,
    /// More applications: `PORT/PROTOCOL NAME`.
    applications: Vec<String>,
    /// When a flow counts: `spread` evenly over the time it lasted, so that a long flow is no spike, or on `arrival`.
    accounting: Accounting,
    /// Names of networks, such as those of sites; an address belongs to the longest prefix.
    networks: Vec<Named>,
    /// A file in MaxMind's format with autonomous systems, for flows that tell none; read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    asn_file: Option<PathBuf>,
    /// Senders that pass on what other exporters measured: the address that a record names (IE 130, 131) or that of the sFlow agent is believed.
    #[schemars(with = "Vec<String>")]
    relays: Vec<IpNet>,
    /// Flows that several exporters on a path tell of.
    duplicates: Suppression,
    /// Where templates and sampling rates of exporters are kept over a restart.
    templates: PathBuf,
    /// Names of interfaces, from the Prometheus that scrapes sotp-snmp.
    #[serde(skip_serializing_if = "Option::is_none")]
    interface_names: Option<RawNames>,
    /// Where the exact tables of each window go; without it none are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    loki: Option<Section>,
    /// Where they wait until Loki has them.
    queue: QueueSection,
    /// Names of the addresses in tables, by reverse DNS; without it nobody is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reverse_dns: Option<ReverseDns>,
    /// Single flows to Loki, a line each; without it none are written. Needs `loki`.
    #[serde(skip_serializing_if = "Option::is_none")]
    flows_to_loki: Option<LokiFlows>,
    /// Single flows to Kafka, as goflow2 writes them; without it none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    flows_to_kafka: Option<KafkaFlows>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawTop {
    /// Rows of a table; the stable series have twice as many slots.
    rows: Ranged<usize, 1, 100>,
    /// Most keys told apart within a window, per device and dimension; with more a row may lack what the table says.
    keys: Ranged<usize, 1_000, 2_000_000>,
    /// How long a slot is kept at least.
    hold: DurationIn<1_000, 86_400_000>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawNames {
    /// The Prometheus that scrapes the SNMP exporter.
    prometheus: promapi::Section,
    /// A query whose series carry `device`, `ifIndex` and `ifName`.
    #[serde(default = "names_query")]
    query: String,
    /// How often it is asked.
    #[serde(default = "names_refresh")]
    refresh: DurationIn<1_000, 86_400_000>,
}

fn names_query() -> String {
    "group by (device, ifIndex, ifName) (ifOperStatus)".to_owned()
}

fn names_refresh() -> DurationIn<1_000, 86_400_000> {
    DurationIn::from_millis(60_000)
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            listen: vec!["[::]:2055".to_owned()],
            receive_buffer_bytes: Ranged::of(4 << 20),
            window: DurationIn::from_millis(60_000),
            top: RawTop::default(),
            sampling: Vec::new(),
            applications: Vec::new(),
            accounting: Accounting::default(),
            networks: Vec::new(),
            asn_file: None,
            relays: Vec::new(),
            duplicates: Suppression::default(),
            templates: PathBuf::from("data/templates.json"),
            interface_names: None,
            loki: None,
            queue: QueueSection::default(),
            reverse_dns: None,
            flows_to_loki: None,
            flows_to_kafka: None,
        }
    }
}

impl Default for RawTop {
    fn default() -> Self {
        Self {
            rows: Ranged::of(10),
            keys: Ranged::of(20_000),
            hold: DurationIn::from_millis(1_800_000),
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
        if raw.relays.len() > MOST_RULES {
            return Err(at(
                "relays".to_owned(),
                format!("expected at most {MOST_RULES}"),
            ));
        }
        if let Some(names) = &raw.reverse_dns
            && !(100..=1_000_000).contains(&names.cache)
        {
            return Err(at(
                "reverse_dns.cache".to_owned(),
                "expected 100 to 1000000".to_owned(),
            ));
        }
        if raw.duplicates.rank.len() > duplicates::MOST_RANKED {
            return Err(at(
                "duplicates.rank".to_owned(),
                format!("expected at most {} devices", duplicates::MOST_RANKED),
            ));
        }
        if !(1_000..=100_000_000).contains(&raw.duplicates.conversations) {
            return Err(at(
                "duplicates.conversations".to_owned(),
                "expected 1000 to 100000000".to_owned(),
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
        if raw.networks.len() > networks::MOST {
            return Err(at(
                "networks".to_owned(),
                format!("expected at most {}", networks::MOST),
            ));
        }
        let named = Networks::new(&raw.networks)
            .map_err(|wrong| at(format!("networks[{}].name", wrong.0), wrong.to_string()))?;
        let base = origin.parent().unwrap_or(Path::new(""));
        let systems = raw
            .asn_file
            .as_ref()
            .map(|file| systems(&base.join(file)))
            .transpose();
        let systems = systems.map_err(|message| at("asn_file".to_owned(), message))?;
        let names = raw.interface_names.as_ref().map(|names| Names {
            prometheus: names.prometheus.clone(),
            query: names.query.clone(),
            refresh: *names.refresh,
        });
        if let Some(names) = &names {
            names.prometheus.client(base).map_err(|wrong| {
                let path = format!("interface_names.prometheus.{}", wrong.key);
                at(path, wrong.message)
            })?;
        }
        let loki = raw
            .loki
            .as_ref()
            .map(|section| section.check(base))
            .transpose();
        let loki = loki.map_err(|(field, message)| at(format!("loki.{field}"), message))?;
        let to_loki = raw.flows_to_loki.as_ref();
        if to_loki.is_some() && loki.is_none() {
            return Err(at(
                "flows_to_loki".to_owned(),
                "expected loki with it: where it is".to_owned(),
            ));
        }
        let flows_to_loki = to_loki
            .map(|section| section.check(&raw.queue))
            .transpose()
            .map_err(|(field, message)| at(format!("flows_to_loki.{field}"), message))?;
        let flows_to_kafka = raw
            .flows_to_kafka
            .as_ref()
            .map(|section| section.check(base))
            .transpose()
            .map_err(|(field, message)| at(format!("flows_to_kafka.{field}"), message))?;
        Ok(Self {
            listen,
            receive_buffer: raw.receive_buffer_bytes.get(),
            window: *raw.window,
            top: TopBounds {
                rows: raw.top.rows.get(),
                keys: raw.top.keys.get(),
                hold: *raw.top.hold,
            },
            knowledge: Knowledge {
                applications: Arc::new(table),
                networks: Arc::new(named),
                systems: systems.unwrap_or_default(),
                sampling: raw.sampling.as_slice().into(),
                relays: raw.relays.as_slice().into(),
            },
            accounting: raw.accounting,
            templates: base.join(&raw.templates),
            names,
            loki,
            queue: raw.queue.clone(),
            duplicates: raw.duplicates.clone(),
            reverse_dns: raw.reverse_dns.clone(),
            flows_to_loki,
            flows_to_kafka,
            base: base.to_owned(),
            raw,
        })
    }
}

fn systems(path: &Path) -> Result<Arc<Systems>, String> {
    let file = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let systems = Systems::read(&file).map_err(|wrong| format!("{}: {wrong}", path.display()))?;
    Ok(Arc::new(systems))
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
  # Most keys told apart within a window, per device and dimension; with more a row may lack what the table says.
  keys: 20000
  # How long a slot is kept at least.
  hold: 30m
# For exporters that do not tell their sampling rate: [{prefix: 198.51.100.0/24, one_in: 1000}]
sampling: []
# More applications, PORT/PROTOCOL NAME: ['8443/tcp intranet']
applications: []
# When a flow counts: spread evenly over the time it lasted, so that a long flow is no spike, or on arrival.
accounting: spread
# Names of networks, such as those of sites: [{prefix: 198.51.100.0/24, name: ams}]
networks: []
# Autonomous systems of flows that tell none, from a file in MaxMind's format; read again when it changes.
# asn_file: GeoLite2-ASN.mmdb
# Senders that pass on what other exporters measured, and say whose it is: [198.51.100.9/32]
relays: []
# Flows that several exporters on a path tell of: all count, those measured coming in (ingress), or those of one_exporter,
# of the one that rank has first: {policy: one_exporter, rank: [edge1, core1]}
duplicates: {policy: all, rank: [], conversations: 200000}
# Where templates and sampling rates of exporters are kept over a restart.
templates: data/templates.json
# Names of interfaces, from the Prometheus that scrapes sotp-snmp:
# interface_names: {prometheus: {url: 'http://127.0.0.1:9090'}}
# Where the exact tables of each window go; without it none are written. Further keys: docs/loki.md.
# loki: {url: 'http://127.0.0.1:3100/loki/api/v1/push'}
# Where they wait until Loki has them.
queue: {path: data/lines, max_bytes: 268435456}
# Names of the addresses in tables, by reverse DNS of these servers, or of those of the system; never in a label.
# reverse_dns: {servers: ['192.0.2.53:53'], cache: 20000}
# Single flows to Loki, a line each with structured metadata: every conversation, or one in so many, or those like one of a list.
# flows_to_loki: {one_in: 100, only: [{network: 198.51.100.0/24}, {port: 53, protocol: 17}, {min_bytes: 1000000}], lines_per_second: 500}
# Single flows to Kafka, in goflow2's protobuf; tables for ClickHouse: docs/netflow.md.
# flows_to_kafka: {brokers: ['kafka:9092'], topic: flows, flows_per_message: 1}
";

    fn masked(&self) -> String {
        // JSON is YAML; secrets stand in files.
        let json = serde_json::to_string_pretty(&self.raw).unwrap_or_default();
        format!("{json}\n")
    }

    fn files(&self) -> Vec<PathBuf> {
        self.raw
            .asn_file
            .iter()
            .map(|file| self.base.join(file))
            .collect()
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
        testkit::golden::hold(&package.join("../../docs/reference/netflow.md"), &page);
    }

    #[test]
    fn what_is_out_of_bounds_is_told_with_its_place_and_what_was_expected() {
        for (text, place, expected) in [
            ("window: 60", "window", "such as 250ms, 1.5s, 1m30s or 1h"),
            ("window: 2h", "window", "expected 1s to 1h"),
            (
                "interface_names: {prometheus: {url: 'http://u:hunter2@p'}}",
                "interface_names.prometheus.url",
                "without user and password",
            ),
            ("top: {hold: 0}", "top.hold", "expected 1s to 24h"),
            ("top: {rows: 0}", "top.rows", "expected 1 to 100"),
            (
                "flows_to_loki: {}",
                "flows_to_loki",
                "expected loki with it",
            ),
            (
                "{loki: {url: 'http://l/loki/api/v1/push'}, flows_to_loki: {queue: {path: data/lines}}}",
                "flows_to_loki.queue.path",
                "another folder",
            ),
            (
                "flows_to_kafka: {brokers: ['u:hunter2@k']}",
                "flows_to_kafka.brokers[0]",
                "expected HOST:PORT",
            ),
            (
                "flows_to_kafka: {brokers: ['k:9092'], topic: 'a/b'}",
                "flows_to_kafka.topic",
                "expected 1 to 249",
            ),
            (
                "flows_to_kafka: {brokers: ['k:9092'], sasl: {mechanism: plain, username: u, password_file: /dev/null}}",
                "flows_to_kafka.sasl.mechanism",
                "sends its password as it is",
            ),
            (
                "flows_to_kafka: {brokers: ['k:9092'], tls: {ca_file: /nowhere}}",
                "flows_to_kafka.tls.ca_file",
                "/nowhere",
            ),
            (
                "reverse_dns: {cache: 1}",
                "reverse_dns.cache",
                "expected 100 to",
            ),
            (
                "duplicates: {conversations: 10}",
                "duplicates.conversations",
                "expected 1000",
            ),
            (
                "interface_names: {prometheus: {url: 'http://p'}, refresh: 1w}",
                "interface_names.refresh",
                "1m30s",
            ),
        ] {
            let error = Config::parse(text, Path::new("n.yaml"))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(place) && error.contains(expected) && !error.contains("hunter2"),
                "{text}: {error}"
            );
        }
    }
}
