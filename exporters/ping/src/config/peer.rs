//! What the configuration of another prober asks for, when it is stood in for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use inventory::Text;
use netio::option::Family;
use serde::Serialize;

use crate::echo;

/// The program that is stood in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// SuperQ's smokeping_prober.
    SmokepingProber,
    /// Czerwonk's ping_exporter.
    PingExporter,
    /// Prometheus' blackbox_exporter, with its `icmp` prober.
    Blackbox,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SmokepingProber, Self::PingExporter, Self::Blackbox];

    /// As `--compat` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SmokepingProber => "smokeping_prober",
            Self::PingExporter => "ping_exporter",
            Self::Blackbox => "blackbox",
        }
    }

    /// The kind of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The port it listens on unless told otherwise.
    pub fn port(self) -> u16 {
        match self {
            Self::SmokepingProber => 9374,
            Self::PingExporter => 9427,
            Self::Blackbox => 9115,
        }
    }
}

/// What a peer's configuration asks for beside what a [`Config`](super::Config) has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Who is stood in for.
    pub kind: Kind,
    /// What is probed all the time.
    pub targets: Vec<Target>,
    /// Names of the labels of the user's own, the same for every target.
    pub labels: Vec<String>,
    /// How the series are written.
    pub style: Style,
    /// Modules with another prober than `icmp`, and which.
    pub foreign: BTreeMap<String, String>,
    /// Said once, when the configuration is taken over.
    pub warnings: Vec<String>,
}

/// How the series of a peer are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Style {
    /// Which of the bounds of our histogram there are, by place.
    pub buckets: Vec<usize>,
    /// Results that gauges are made of.
    pub history: usize,
    /// Gauges in seconds.
    pub seconds: bool,
    /// Gauges in milliseconds.
    pub millis: bool,
    /// The older gauges with the label `type`.
    pub deprecated: bool,
}

impl Peer {
    /// What is in force, as JSON, which is YAML too; there is no secret in it.
    pub(crate) fn shown(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The shortest of the intervals.
    pub fn shortest(&self) -> Option<Duration> {
        self.targets.iter().map(|target| target.interval).min()
    }
}

/// Which addresses of a name are probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Families {
    /// One address, IPv4 when there is one.
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
    /// One of each family.
    Both,
}

impl Families {
    /// The family is among those that may be probed.
    pub fn has(self, family: Family) -> bool {
        match self {
            Self::Any | Self::Both => true,
            Self::V4 => family == Family::V4,
            Self::V6 => family == Family::V6,
        }
    }
}

/// One host of a peer's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// As it is written, and as labels show it.
    pub host: String,
    /// Its addresses that are probed.
    pub families: Families,
    /// From request to request.
    #[serde(serialize_with = "super::spelled")]
    pub interval: Duration,
    /// After which a request is lost.
    #[serde(serialize_with = "super::spelled")]
    pub timeout: Duration,
    /// Bytes after the ICMP header.
    pub size: usize,
    /// Type of service or traffic class.
    pub tos: u8,
    /// Address to send from.
    pub source: Option<IpAddr>,
    /// Firewall mark of the requests.
    pub mark: Option<u32>,
    /// Every address of a name is probed, each with series of its own.
    pub all_records: bool,
    /// Labels of the user's own.
    pub labels: BTreeMap<String, String>,
}

impl Target {
    /// The address, when it is written as a number.
    pub fn address(&self) -> Option<IpAddr> {
        let zoned = || echo::zoned(&self.host).map(|(address, _)| address.into());
        self.host.parse().ok().or_else(zoned)
    }

    /// The interface that a link-local address is on, when it is written with it.
    pub fn zone(&self) -> Option<&str> {
        echo::zoned(&self.host).map(|(_, zone)| zone)
    }

    /// The DNS name, when it is one, as resolvers are asked for it.
    pub fn name(&self) -> Option<Text> {
        let name = self.host.trim_end_matches('.').to_ascii_lowercase();
        self.address().is_none().then(|| name.as_str().into())
    }
}
