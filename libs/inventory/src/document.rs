//! The file as it is written: what `inventory.yaml` and its JSON form hold, before anything is checked.
//!
//! These types carry the JSON Schema. They are plain values so that an editor of the inventory can
//! change one, check it with [`Inventory::check`](crate::Inventory::check) and write it back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A whole inventory: sites, groups of defaults, and devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "SOTP inventory")]
pub struct Document {
    /// Places that devices stand in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteEntry>,
    /// Named sets of defaults that devices take by naming them in `groups`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupEntry>,
    /// What is watched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceEntry>,
    /// Names of credentials with a remark each; a device may name one that is not listed here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<CredentialEntry>,
}

/// The name of a credential. The secret itself is kept by the service that uses it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialEntry {
    /// Name, unique among credentials.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub name: String,
    /// What it is for: free text of at most 128 characters, never the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub remark: Option<String>,
}

/// A place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteEntry {
    /// Name, unique among sites; the `site` label of every series.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub name: String,
    /// Region the site belongs to: free text of at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub region: Option<String>,
    /// Degrees north of the equator (WGS 84); needs `longitude` beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -90, max = 90))]
    pub latitude: Option<f64>,
    /// Degrees east of Greenwich (WGS 84); needs `latitude` beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -180, max = 180))]
    pub longitude: Option<f64>,
}

/// A named set of defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    /// Name, unique among groups.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub name: String,
    /// What each member takes where it, or a later group of its list, says nothing itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub defaults: Defaults,
}

/// Everything that a group can give to its members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// Name of the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub site: Option<String>,
    /// What the device is for (`core`, `access`, `host`); the `role` label of every series.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub role: Option<String>,
    /// Operating system or model family (`frr`, `cisco-ios`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub platform: Option<String>,
    /// Free marks; those of groups and of the device add up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tags: Vec<String>,
    /// Reachability probing; on for every device unless `enabled: false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping: Option<PingEntry>,
    /// SNMP collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snmp: Option<SnmpEntry>,
    /// SSH: configuration backup and commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshEntry>,
    /// NetFlow, IPFIX and sFlow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<SendersEntry>,
    /// Syslog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syslog: Option<SendersEntry>,
    /// MQTT sensors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<MqttEntry>,
    /// Service checks by blackbox_exporter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<ChecksEntry>,
    /// A Linux host with node_exporter; a device with role `host` and platform `linux` is one without saying so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostEntry>,
    /// A resource of a cloud, watched by YACE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudEntry>,
    /// Planned work; windows of groups and of the device add up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub maintenance: Vec<WindowEntry>,
    /// What the ports of the device shall be where no pattern of `ports` says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<Desired>,
    /// What single ports shall be, by name; those of groups and of the device add up, and the last that matches holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub ports: Vec<PortsEntry>,
}

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceEntry {
    /// Name, unique among devices; the `device` label of every series.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 128))]
    pub name: String,
    /// Main address: IPv4, IPv6 (a link-local one with its zone, `fe80::1%eth0`) or DNS name. Without it, that of `addresses` (IPv4 first).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub address: Option<String>,
    /// Address of each family, for devices that have both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<AddressesEntry>,
    /// Groups whose defaults the device takes, weakest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub groups: Vec<String>,
    /// Name of the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub site: Option<String>,
    /// What the device is for (`core`, `access`, `host`); the `role` label of every series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub role: Option<String>,
    /// Operating system or model family (`frr`, `cisco-ios`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub platform: Option<String>,
    /// Free marks; those of groups and of the device add up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tags: Vec<String>,
    /// Reachability probing; on for every device unless `enabled: false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping: Option<PingEntry>,
    /// SNMP collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snmp: Option<SnmpEntry>,
    /// SSH: configuration backup and commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshEntry>,
    /// NetFlow, IPFIX and sFlow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<SendersEntry>,
    /// Syslog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syslog: Option<SendersEntry>,
    /// MQTT sensors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<MqttEntry>,
    /// Service checks by blackbox_exporter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<ChecksEntry>,
    /// A Linux host with node_exporter; a device with role `host` and platform `linux` is one without saying so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostEntry>,
    /// A resource of a cloud, watched by YACE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudEntry>,
    /// Planned work; windows of groups and of the device add up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub maintenance: Vec<WindowEntry>,
    /// What the ports of the device shall be where no pattern of `ports` says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Desired>,
    /// What single ports shall be, by name; those of groups and of the device add up, and the last that matches holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub ports: Vec<PortsEntry>,
}

/// One address of each family.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AddressesEntry {
    /// IPv4 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "ipv4"))]
    pub ipv4: Option<String>,
    /// IPv6 address; a link-local one with its zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub ipv6: Option<String>,
}

/// An address family.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The value of the `family` label: `ipv4` or `ipv6`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// Reachability probing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PingEntry {
    /// Whether the device is probed (default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Time from one request (or burst) to the next, `10ms` to `1h`; without it, that of the ping service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"))]
    pub interval: Option<String>,
    /// Time after which a request without response is lost, `10ms` to `1m`; without it, that of the ping service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"))]
    pub timeout: Option<String>,
    /// Families that are probed; without it, every family that the device has an address of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2))]
    pub families: Option<Vec<Family>>,
    /// Bytes after the ICMP header, 20 to 8952; this and the next without a value: that of the ping service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 20, max = 8952))]
    pub size_bytes: Option<u16>,
    /// DSCP of the requests, 0 to 63.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 63))]
    pub dscp: Option<u8>,
    /// Hop limit (TTL) of the requests, 1 to 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 255))]
    pub ttl: Option<u8>,
    /// Address of the probing host that IPv4 requests come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ipv4: Option<String>,
    /// Address of the probing host that IPv6 requests come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ipv6: Option<String>,
    /// Interface of the probing host that requests leave by; that of a VRF for its routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub interface: Option<String>,
    /// Firewall mark of the requests (`SO_MARK`), for policy routing; the service needs `CAP_NET_ADMIN` for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
    /// Requests of each interval, 1 (steady) to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub burst: Option<u16>,
    /// Time from one request of a burst to the next, `10ms` to `1m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"))]
    pub burst_spacing: Option<String>,
    /// Which addresses of a DNS name are probed (default `one` of each family).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<Records>,
}

/// Which addresses of a DNS name are probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Records {
    /// One of each family, the same as long as the name has it.
    #[default]
    One,
    /// Each of them.
    All,
}

impl Records {
    pub(crate) fn is_one(&self) -> bool {
        *self == Self::One
    }
}

/// SNMP collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SnmpEntry {
    /// Whether the device is collected (default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Module of the SNMP exporter, or several with commas between them (default `auto`: those that fit the device).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._,-]*$"), length(max = 256))]
    pub module: Option<String>,
    /// Name of the SNMP exporter's auth entry; the secrets are kept there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub auth: Option<String>,
    /// UDP port (default 161).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// SSH access.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SshEntry {
    /// Whether the device is reached by SSH (default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// TCP port (default 22).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Name of a credential; the secret itself is kept by the service that uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub credentials: Option<String>,
}

/// What a device sends by itself, and from where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SendersEntry {
    /// Whether what comes from the device is taken (default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// IP addresses that the device sends from; without them, its own addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub sources: Option<Vec<String>>,
}

/// An MQTT sensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MqttEntry {
    /// Whether what the device publishes is taken (default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Client identifier the device uses at the broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub client_id: Option<String>,
    /// Topic filters (MQTT 5.0 section 4.7) of what the device publishes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub topics: Option<Vec<String>>,
}

/// Service checks: what blackbox_exporter asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChecksEntry {
    /// Whether they are asked (default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Addresses of pages that must answer with a status of 200 to 299, after redirects: `https://shop.example.net/health`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub http: Option<Vec<String>>,
    /// Where a TCP connection must come about: `PORT` of the device, or `HOST:PORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub tcp: Option<Vec<String>>,
    /// Names whose addresses the device must know as a DNS server, at port 53.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub dns: Option<Vec<String>>,
    /// Where TLS must come about with a certificate that holds: `PORT` of the device, or `HOST:PORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub tls: Option<Vec<String>>,
}

/// A Linux host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostEntry {
    /// Whether node_exporter is asked (default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// TCP port of node_exporter (default 9100).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// A resource of a cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CloudEntry {
    /// Whether it is watched (default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Region (`eu-central-1`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub region: Option<String>,
    /// `DBInstanceIdentifier` of an AWS RDS database (default: the name of the device).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), length(max = 64))]
    pub rds: Option<String>,
}

/// A time of planned work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowEntry {
    /// First moment, RFC 3339 with offset (`2026-03-01T22:00:00Z`).
    #[schemars(extend("format" = "date-time"))]
    pub start: String,
    /// First moment after it, RFC 3339 with offset.
    #[schemars(extend("format" = "date-time"))]
    pub end: String,
    /// Why: free text of at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub reason: Option<String>,
}

/// What a port shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    /// Up: whoever shuts it outside planned work, it is brought back.
    Up,
    /// Whatever it is: an exception from what a group or an earlier pattern says.
    Any,
}

/// What the ports of one name pattern shall be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortsEntry {
    /// Name of the interface as the device has it (`eth0`, `GigabitEthernet0/1`); `*` stands for any run of characters.
    #[schemars(regex(pattern = r"^[A-Za-z0-9*][A-Za-z0-9*._/:-]*$"), length(max = 64))]
    pub name: String,
    /// What they shall be.
    pub desired: Desired,
}

fn is_default(defaults: &Defaults) -> bool {
    *defaults == Defaults::default()
}

impl Document {
    /// The document as JSON, in one form only: equal documents give equal bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("the document holds no map with other keys than strings")
    }
}
