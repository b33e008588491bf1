//! Modules of `/probe`, in the form of blackbox_exporter's `icmp` prober.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use netio::option::Family;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use toolkit::config::{DurationIn, Ranged};

use super::MAX_SIZE;

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

/// With nothing after its key the section is as if it were not there.
pub(super) fn or_default<'de, D: Deserializer<'de>>(from: D) -> Result<RawModules, D::Error> {
    let read = Option::<RawModules>::deserialize(from)?;
    Ok(read.unwrap_or_else(default_modules))
}

pub(super) fn default_modules() -> RawModules {
    RawModules::from([("icmp".to_owned(), RawModule::default())])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Prober {
    Icmp,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawModule {
    /// What is probed with.
    prober: Prober,
    /// Longest time of a probe; the timeout of the scrape less half a second can make it shorter.
    timeout: DurationIn<10, 60_000>,
    /// How it is asked.
    icmp: RawIcmp,
}

impl Default for RawModule {
    fn default() -> Self {
        Self {
            prober: Prober::Icmp,
            timeout: DurationIn::from_millis(5_000),
            icmp: RawIcmp::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Protocol {
    Ip4,
    Ip6,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawIcmp {
    /// The family tried first.
    preferred_ip_protocol: Protocol,
    /// Whether the other family is tried when the target has no address of the preferred one.
    ip_protocol_fallback: bool,
    /// Address to send from, else the one that routing picks.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ip_address: Option<IpAddr>,
    /// Bytes after the ICMP header; 0, as nothing: that of `probe.size_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_size: Option<Ranged<u16, 0, { MAX_SIZE as u64 }>>,
    /// Nobody on the way may fragment it.
    dont_fragment: bool,
    /// Hop limit; 0, as nothing: that of this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Ranged<u8, 0, 255>>,
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

pub(super) fn checked(modules: &RawModules) -> Modules {
    let checked = modules.iter().map(|(name, module)| {
        let icmp = &module.icmp;
        let module = Module {
            timeout: *module.timeout,
            preferred: match icmp.preferred_ip_protocol {
                Protocol::Ip4 => Family::V4,
                Protocol::Ip6 => Family::V6,
            },
            fallback: icmp.ip_protocol_fallback,
            source: icmp.source_ip_address,
            // blackbox_exporter takes 0 for "not given" in both.
            size: icmp
                .payload_size
                .map(|size| size.get().into())
                .filter(|&size| size > 0),
            dont_fragment: icmp.dont_fragment,
            ttl: icmp.ttl.map(Ranged::get).filter(|&ttl| ttl > 0),
        };
        (name.clone(), module)
    });
    checked.collect()
}
