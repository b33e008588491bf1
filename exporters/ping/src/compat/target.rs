//! What a peer probes all the time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use inventory::Text;
use netio::option::Family;
use serde::Serialize;

use super::go;

/// Shortest and longest interval.
pub(super) const INTERVAL: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_secs(3_600));
/// Most bytes of payload.
pub(super) const MAX_SIZE: usize = 8_952;

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
    #[serde(serialize_with = "go::serialize")]
    pub interval: Duration,
    /// After which a request is lost.
    #[serde(serialize_with = "go::serialize")]
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
    /// What tells it from the others: none of it changes with a setting that its series do not show.
    pub(super) fn key(
        &self,
    ) -> (
        &str,
        Families,
        Option<IpAddr>,
        u8,
        &BTreeMap<String, String>,
    ) {
        (
            &self.host,
            self.families,
            self.source,
            self.tos,
            &self.labels,
        )
    }

    /// The address, when it is written as a number.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The DNS name, when it is one, as resolvers are asked for it.
    pub fn name(&self) -> Option<Text> {
        let name = self.host.trim_end_matches('.').to_ascii_lowercase();
        self.address().is_none().then(|| name.as_str().into())
    }
}

/// Why a host is refused: it is neither an address nor a DNS name (RFC 1123, with the underscore in use).
pub(super) fn check_host(host: &str) -> Result<(), String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let good = host.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(label));
    good.then_some(())
        .ok_or_else(|| format!("{host:?} is no host, expected an address or a DNS name"))
}

/// Why a label of the user's own is refused.
pub(super) fn check_label(name: &str, value: &str, taken: &[&str]) -> Result<(), String> {
    let first = name
        .bytes()
        .next()
        .is_some_and(|byte| !byte.is_ascii_digit());
    let rest = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !first || !rest || name.starts_with("__") || name.len() > 64 {
        return Err(format!(
            "{name:?} is no label name, expected up to 64 letters, digits and underscores"
        ));
    }
    if taken.contains(&name) {
        return Err(format!("{name:?} is a label that every series has already"));
    }
    if value.len() > 256 {
        return Err(format!(
            "{name}: a value of {} bytes, expected at most 256",
            value.len()
        ));
    }
    Ok(())
}

/// Leaves out targets whose series would be the same, and says which.
pub(super) fn once(targets: Vec<Target>, warnings: &mut Vec<String>) -> Vec<Target> {
    let mut kept: Vec<Target> = Vec::with_capacity(targets.len());
    let mut seen = std::collections::HashSet::new();
    for target in targets {
        let (host, families, source, tos, labels) = target.key();
        if seen.insert((host.to_owned(), families, source, tos, labels.clone())) {
            kept.push(target);
        } else {
            warnings.push(format!(
                "{host} stands there twice with the same labels: the first counts"
            ));
        }
    }
    kept
}
