//! blackbox_exporter's configuration file: modules, of which those with the prober `icmp` are answered.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use netio::option::Family;
use serde::Deserialize;
use serde::de::IgnoredAny;
use toolkit::ConfigError;

use super::target::MAX_SIZE;
use super::{Kind, Peer, Style};
use crate::config::{Config, Module};
use units::go;

/// Longest time of a probe when neither module nor scraper says one.
const TIMEOUT: Duration = Duration::from_secs(120);
/// What a module can be of.
const PROBERS: [&str; 7] = ["http", "tcp", "icmp", "dns", "grpc", "unix", "websocket"];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    #[serde(deserialize_with = "crate::config::or_empty")]
    modules: BTreeMap<String, RawModule>,
}

/// A module. What belongs to another prober is that program's to check.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawModule {
    prober: Option<String>,
    #[serde(deserialize_with = "go::deserialize")]
    timeout: Option<Duration>,
    icmp: RawIcmp,
    #[serde(rename = "http")]
    _http: Option<IgnoredAny>,
    #[serde(rename = "tcp")]
    _tcp: Option<IgnoredAny>,
    #[serde(rename = "dns")]
    _dns: Option<IgnoredAny>,
    #[serde(rename = "grpc")]
    _grpc: Option<IgnoredAny>,
    #[serde(rename = "unix")]
    _unix: Option<IgnoredAny>,
    #[serde(rename = "websocket")]
    _websocket: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawIcmp {
    preferred_ip_protocol: Option<String>,
    ip_protocol_fallback: bool,
    source_ip_address: Option<String>,
    payload_size: usize,
    dont_fragment: bool,
    ttl: u16,
}

impl Default for RawIcmp {
    fn default() -> Self {
        Self {
            preferred_ip_protocol: None,
            ip_protocol_fallback: true,
            source_ip_address: None,
            payload_size: 0,
            dont_fragment: false,
            ttl: 0,
        }
    }
}

/// Reads its file.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn parse(text: &str, origin: &Path) -> Result<Config, ConfigError> {
    let file: File = toolkit::yaml::parse(text, origin)?;
    let wrong = |(path, message): (String, String)| ConfigError::at(text, origin, path, message);
    let mut modules = BTreeMap::new();
    let mut foreign = BTreeMap::new();
    for (name, raw) in &file.modules {
        let path = toolkit::yaml::join("modules", name);
        let at = |key: &str, message: String| wrong((format!("{path}.{key}"), message));
        let prober = raw.prober.as_deref().unwrap_or_default();
        if !PROBERS.contains(&prober) {
            let message =
                format!("{prober:?}: expected icmp or another prober of blackbox_exporter");
            return Err(at("prober", message));
        }
        if prober != "icmp" {
            foreign.insert(name.clone(), prober.to_owned());
            continue;
        }
        let icmp = &raw.icmp;
        let preferred = match icmp.preferred_ip_protocol.as_deref().unwrap_or("ip6") {
            "ip4" => Family::V4,
            "" | "ip6" => Family::V6,
            other => {
                let message = format!("{other:?}: expected ip4 or ip6");
                return Err(at("icmp.preferred_ip_protocol", message));
            }
        };
        let given = icmp
            .source_ip_address
            .as_deref()
            .filter(|source| !source.is_empty());
        let source = given.map(str::parse::<IpAddr>).transpose().map_err(|_| {
            let message = format!("{:?} is no address", given.unwrap_or_default());
            at("icmp.source_ip_address", message)
        })?;
        if icmp.payload_size > MAX_SIZE {
            let size = icmp.payload_size;
            let message = format!("{size} is out of bounds, expected 0 to {MAX_SIZE}");
            return Err(at("icmp.payload_size", message));
        }
        let ttl = u8::try_from(icmp.ttl).map_err(|_| {
            at(
                "icmp.ttl",
                format!("{} is out of bounds, expected 0 to 255", icmp.ttl),
            )
        })?;
        let module = Module {
            timeout: raw
                .timeout
                .filter(|time| !time.is_zero())
                .unwrap_or(TIMEOUT),
            preferred,
            fallback: icmp.ip_protocol_fallback,
            source,
            size: (icmp.payload_size > 0).then_some(icmp.payload_size),
            dont_fragment: icmp.dont_fragment,
            ttl: (ttl > 0).then_some(ttl),
        };
        modules.insert(name.clone(), module);
    }
    let warnings = foreign
        .iter()
        .map(|(name, prober)| {
            format!("module {name} is of prober {prober}: /probe answers icmp alone")
        })
        .collect();
    let mut config = Config::of_peer(Peer {
        kind: Kind::Blackbox,
        targets: Vec::new(),
        labels: Vec::new(),
        style: Style {
            buckets: Vec::new(),
            history: 0,
            seconds: true,
            millis: false,
            deprecated: false,
        },
        foreign,
        warnings,
    })
    .map_err(wrong)?;
    config.modules = modules;
    Ok(config)
}
