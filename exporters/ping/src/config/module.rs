//! Modules of `/probe`, in the form of blackbox_exporter's `icmp` prober.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use netio::option::Family;
use serde::{Deserialize, Serialize};

use super::{MAX_SIZE, TIMEOUT, human, number, within};

/// How `/probe` probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// Longest time a probe may take; the deadline of the scrape can make it shorter.
    pub timeout: Duration,
    /// The family that is tried first.
    pub preferred: Family,
    /// The other family is tried when the target has no address of the preferred one.
    pub fallback: bool,
    /// Address to send from.
    pub source: Option<IpAddr>,
    /// Bytes after the ICMP header; `None`: as many as targets of the inventory get.
    pub size: Option<usize>,
    /// Nobody on the way may fragment it.
    pub dont_fragment: bool,
    /// Hop limit; `None`: that of this host.
    pub ttl: Option<u8>,
}

/// Modules by name.
pub type Modules = BTreeMap<String, Module>;

/// `modules:` as written.
pub(super) type RawModules = BTreeMap<String, RawModule>;

pub(super) fn default_modules() -> RawModules {
    RawModules::from([("icmp".to_owned(), RawModule::default())])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Prober {
    Icmp,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawModule {
    prober: Prober,
    #[serde(with = "human")]
    timeout: Duration,
    icmp: RawIcmp,
}

impl Default for RawModule {
    fn default() -> Self {
        Self {
            prober: Prober::Icmp,
            timeout: Duration::from_secs(5),
            icmp: RawIcmp::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Protocol {
    Ip4,
    Ip6,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RawIcmp {
    preferred_ip_protocol: Protocol,
    ip_protocol_fallback: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ip_address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_size: Option<usize>,
    dont_fragment: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u8>,
}

impl Default for RawIcmp {
    fn default() -> Self {
        Self {
            preferred_ip_protocol: Protocol::Ip6,
            ip_protocol_fallback: true,
            source_ip_address: None,
            payload_size: None,
            dont_fragment: false,
            ttl: None,
        }
    }
}

pub(super) fn check(modules: &RawModules) -> Result<Modules, (String, String)> {
    let checked = modules.iter().map(|(name, module)| {
        let path = |key: &str| format!("modules.{name}.{key}");
        within(&path("timeout"), module.timeout, TIMEOUT)?;
        let icmp = &module.icmp;
        // The peer takes 0 for "not given" in both.
        let size = icmp.payload_size.filter(|&size| size > 0);
        let ttl = icmp.ttl.filter(|&ttl| ttl > 0);
        number(&path("icmp.payload_size"), size.unwrap_or(0), 0..=MAX_SIZE)?;
        let module = Module {
            timeout: module.timeout,
            preferred: match icmp.preferred_ip_protocol {
                Protocol::Ip4 => Family::V4,
                Protocol::Ip6 => Family::V6,
            },
            fallback: icmp.ip_protocol_fallback,
            source: icmp.source_ip_address,
            size,
            dont_fragment: icmp.dont_fragment,
            ttl,
        };
        Ok((name.clone(), module))
    });
    checked.collect()
}
