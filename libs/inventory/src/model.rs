//! The checked inventory: what services read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use crate::document::{Desired, Family, Records};
use crate::text::Text;

/// Most bytes of the text of one inventory.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Most devices of one inventory.
pub const MAX_DEVICES: usize = 50_000;
/// Most sites of one inventory.
pub const MAX_SITES: usize = 10_000;
/// Most groups of one inventory.
pub const MAX_GROUPS: usize = 1_000;
/// Most credential names of one inventory.
pub const MAX_CREDENTIALS: usize = 1_000;

/// A checked inventory. It never changes; a change makes a new one.
#[derive(Debug, Default)]
pub struct Inventory {
    pub(crate) json: Arc<[u8]>,
    pub(crate) version: String,
    pub(crate) sites: Arc<Vec<Site>>,
    pub(crate) site_by_name: Arc<HashMap<Text, usize>>,
    pub(crate) devices: Vec<Arc<Device>>,
    pub(crate) index: Arc<Index>,
}

/// Where each device stands, by what tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Index {
    pub(crate) by_name: HashMap<Text, usize>,
    pub(crate) by_ip: HashMap<IpAddr, usize>,
    pub(crate) by_dns: HashMap<Text, usize>,
    pub(crate) flow_sources: HashMap<IpAddr, usize>,
    pub(crate) syslog_sources: HashMap<IpAddr, usize>,
    /// Some address belongs to several devices.
    pub(crate) shared: bool,
}

/// A checked site.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Site {
    /// Name, unique among sites.
    pub name: Text,
    /// Region; empty when not given.
    pub region: Text,
    /// Latitude and longitude in degrees (WGS 84).
    #[serde(flatten, serialize_with = "coordinates")]
    #[schemars(with = "Coordinates")]
    pub coordinates: Option<(f64, f64)>,
}

/// How [`Site::coordinates`] are written.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is written member by member")]
struct Coordinates {
    /// Degrees north of the equator (WGS 84).
    latitude: Option<f64>,
    /// Degrees east of Greenwich (WGS 84).
    longitude: Option<f64>,
}

fn coordinates<S: Serializer>(
    coordinates: &Option<(f64, f64)>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = serializer.serialize_map(None)?;
    if let Some((latitude, longitude)) = coordinates {
        map.serialize_entry("latitude", latitude)?;
        map.serialize_entry("longitude", longitude)?;
    }
    map.end()
}

/// A checked device, with what it inherits from its groups.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Device {
    /// Name, unique among devices.
    pub name: Text,
    /// Main address.
    pub address: Address,
    /// IPv4 address, when one is given as a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address, when one is given as a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    /// Interface of the probing host that `ipv6` is on, when that is link-local and written with a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Text>,
    /// Name of the site; empty when not given.
    pub site: Text,
    /// Role; empty when not given.
    pub role: Text,
    /// Platform; empty when not given.
    pub platform: Text,
    /// Groups, weakest first.
    pub groups: Vec<Text>,
    /// Tags of the groups and of the device, each once.
    pub tags: Vec<Text>,
    /// Probing; `None` when switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping: Option<Ping>,
    /// SNMP; `None` without a section or when switched off. The same for those that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snmp: Option<Snmp>,
    /// SSH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh: Option<Ssh>,
    /// NetFlow, IPFIX and sFlow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Senders>,
    /// Syslog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syslog: Option<Senders>,
    /// MQTT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<Mqtt>,
    /// Service checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Checks>,
    /// A Linux host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// A resource of a cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Cloud>,
    /// Planned work of the groups and of the device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<Window>,
    /// What its ports shall be where none of `ports` matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<Desired>,
    /// What single ports shall be; the last that matches holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Ports>,
    /// `device="…",site="…",role="…"`, escaped for the text format.
    #[serde(skip)]
    pub labels: Text,
}

/// The main address of a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// IPv4 or IPv6 address.
    Ip(IpAddr),
    /// Link-local IPv6 address, and the interface of the probing host that it is on.
    Scoped(Ipv6Addr, Text),
    /// DNS name, in lower case and without the final dot.
    Dns(Text),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Scoped(ip, zone) => write!(f, "{ip}%{zone}"),
            Self::Dns(name) => f.write_str(name),
        }
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Address {
    /// `host:port`, with brackets round an IPv6 address.
    #[must_use]
    pub fn with_port(&self, port: u16) -> String {
        match self {
            Self::Ip(IpAddr::V6(_)) | Self::Scoped(..) => format!("[{self}]:{port}"),
            address => format!("{address}:{port}"),
        }
    }
}

/// How a device is probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Ping {
    /// Time from request to request; `None` = the service's own.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "human")]
    #[schemars(with = "Option<String>")]
    pub interval: Option<Duration>,
    /// Time after which a request is lost; `None` = the service's own.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "human")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
    /// Families to probe, in order, each once and never none.
    ///
    /// Those of the device's numeric addresses unless `ping.families` says otherwise; both for a DNS
    /// name without numeric addresses, where a family without a record is not probed.
    pub families: Vec<Family>,
    /// Bytes after the ICMP header; `None`, here and below = the service's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u16>,
    /// DSCP of the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dscp: Option<u8>,
    /// Hop limit (TTL) of the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    /// Address of the probing host that IPv4 requests come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ipv4: Option<Ipv4Addr>,
    /// Address of the probing host that IPv6 requests come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ipv6: Option<Ipv6Addr>,
    /// Interface of the probing host that requests leave by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<Text>,
    /// Firewall mark of the requests (`SO_MARK`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
    /// Requests of each interval, one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u16>,
    /// Time from one request of a burst to the next.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "human")]
    #[schemars(with = "Option<String>")]
    pub burst_spacing: Option<Duration>,
    /// Which addresses of a DNS name are probed.
    #[serde(default, skip_serializing_if = "Records::is_one")]
    pub records: Records,
}

fn human<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.collect_str(&units::spelled(*duration)),
        None => serializer.serialize_none(),
    }
}

/// How a device is collected by SNMP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Snmp {
    /// Module, or several with commas between them.
    pub module: Text,
    /// Name of the auth entry; `None` = the exporter's own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Text>,
    /// UDP port.
    pub port: u16,
}

/// How a device is reached by SSH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Ssh {
    /// TCP port.
    pub port: u16,
    /// Name of the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Text>,
}

/// Where a device sends from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Senders {
    /// Source addresses, never none.
    pub sources: Vec<IpAddr>,
}

/// What a sensor publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Mqtt {
    /// Client identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Text>,
    /// Topic filters.
    pub topics: Vec<Text>,
}

/// What blackbox_exporter asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Checks {
    /// Addresses of pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<Text>,
    /// `host:port` of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<Text>,
    /// Names that the device must know, in lower case and without the final dot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<Text>,
    /// `host:port` of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tls: Vec<Text>,
}

/// Where node_exporter of a host is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Host {
    /// TCP port.
    pub port: u16,
}

/// A resource of a cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Cloud {
    /// Region.
    pub region: Text,
    /// `DBInstanceIdentifier` of an AWS RDS database.
    pub rds: Text,
}

/// A time of planned work: from `start`, up to and without `end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Window {
    /// First moment.
    #[schemars(with = "String")]
    pub start: Timestamp,
    /// First moment after it.
    #[schemars(with = "String")]
    pub end: Timestamp,
    /// Why; empty when not given.
    pub reason: Text,
}

/// What the ports of one name pattern shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Ports {
    /// The pattern: `*` stands for any run of characters.
    pub name: Text,
    /// What they shall be.
    pub desired: Desired,
}

impl Ports {
    /// Whether the pattern is of the port called `name`; the case of letters counts.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut pieces = self.name.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        let Some(last) = pieces.next_back() else {
            return rest.is_empty();
        };
        for piece in pieces {
            let Some(at) = rest.find(piece) else {
                return false;
            };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(last)
    }
}

impl Device {
    /// What the port called `name` shall be: the last of `ports` that matches, else what holds for every port; `None` when nothing
    /// is said.
    #[must_use]
    pub fn desired_of(&self, name: &str) -> Option<Desired> {
        let said = self.ports.iter().rev().find(|ports| ports.matches(name));
        said.map(|ports| ports.desired).or(self.desired)
    }

    /// The window of planned work that holds at `now`, the one that ends last where several do.
    #[must_use]
    pub fn maintenance_at(&self, now: Timestamp) -> Option<&Window> {
        let holding = |window: &&Window| window.start <= now && now < window.end;
        self.maintenance
            .iter()
            .filter(holding)
            .max_by_key(|window| window.end)
    }

    /// The numeric address of `family`, if the inventory gives one.
    #[must_use]
    pub fn ip(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::Ipv4 => self.ipv4.map(IpAddr::V4),
            Family::Ipv6 => self.ipv6.map(IpAddr::V6),
        }
    }
}

/// The devices of an inventory, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Devices<'a>(&'a [Arc<Device>]);

impl<'a> Devices<'a> {
    /// Each of them.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a Device> + DoubleEndedIterator + Clone {
        self.0.iter().map(|device| &**device)
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for Devices<'a> {
    type Item = &'a Device;
    type IntoIter =
        std::iter::Map<std::slice::Iter<'a, Arc<Device>>, fn(&'a Arc<Device>) -> &'a Device>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|device| &**device)
    }
}

impl std::ops::Index<usize> for Devices<'_> {
    type Output = Device;

    fn index(&self, index: usize) -> &Device {
        &self.0[index]
    }
}

impl Inventory {
    fn at(&self, index: Option<&usize>) -> Option<&Device> {
        index.map(|index| &*self.devices[*index])
    }

    /// The document as JSON: what `GET /api/v1/inventory` answers and [`Inventory::parse`] reads back.
    #[must_use]
    pub fn json(&self) -> Arc<[u8]> {
        Arc::clone(&self.json)
    }

    /// A name of the content: equal for equal documents, whatever the file looks like. 32 hexadecimal
    /// digits (of SHA-256 over the JSON form); empty for the empty inventory of a feed that has read nothing yet.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The devices, in the order of the file.
    #[must_use]
    pub fn devices(&self) -> Devices<'_> {
        Devices(&self.devices)
    }

    /// The sites, in the order of the file.
    #[must_use]
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The device called `name`.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.at(self.index.by_name.get(name))
    }

    /// The site called `name`.
    #[must_use]
    pub fn site(&self, name: &str) -> Option<&Site> {
        self.site_by_name.get(name).map(|index| &self.sites[*index])
    }

    /// The device that has the address `ip`; the first of several.
    #[must_use]
    pub fn by_ip(&self, ip: IpAddr) -> Option<&Device> {
        self.at(self.index.by_ip.get(&ip))
    }

    /// The device at `host`: an IP address, one with a zone as it is written there, or a DNS name, in any case. Of several devices at one
    /// address, which are pinged in different ways, it is the first.
    #[must_use]
    pub fn by_address(&self, host: &str) -> Option<&Device> {
        match host.parse() {
            Ok(ip) => self.by_ip(ip),
            Err(_) if host.contains('%') => self.at(self.index.by_dns.get(host)),
            Err(_) => {
                let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
                self.at(self.index.by_dns.get(&*name))
            }
        }
    }

    /// The device whose flows come from `source`.
    #[must_use]
    pub fn by_flow_source(&self, source: IpAddr) -> Option<&Device> {
        self.at(self.index.flow_sources.get(&source))
    }

    /// The device whose syslog messages come from `source`.
    #[must_use]
    pub fn by_syslog_source(&self, source: IpAddr) -> Option<&Device> {
        self.at(self.index.syslog_sources.get(&source))
    }
}
