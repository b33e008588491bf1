//! Prometheus `http_sd`: the targets of each job.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::ser::SerializeMap;

use crate::model::{Device, Inventory};
use crate::shard::Shard;

mod checks;
mod cloud;

use checks::Check;
pub use checks::blackbox;
pub use cloud::yace;

/// A job that has targets in the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    /// Reachability.
    Ping,
    /// SNMP collection.
    Snmp,
    /// SSH.
    Ssh,
    /// NetFlow, IPFIX, sFlow.
    Flow,
    /// Syslog.
    Syslog,
    /// MQTT sensors.
    Mqtt,
    /// Service checks by blackbox_exporter.
    Checks,
    /// Linux hosts by node_exporter.
    Host,
}

impl Job {
    /// Every job.
    pub const ALL: [Self; 8] = [
        Self::Ping,
        Self::Snmp,
        Self::Ssh,
        Self::Flow,
        Self::Syslog,
        Self::Mqtt,
        Self::Checks,
        Self::Host,
    ];

    /// The name in paths and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Snmp => "snmp",
            Self::Ssh => "ssh",
            Self::Flow => "flow",
            Self::Syslog => "syslog",
            Self::Mqtt => "mqtt",
            Self::Checks => "checks",
            Self::Host => "host",
        }
    }

    /// The targets that `device` has in this job; none when the job is off for it.
    fn targets(self, device: &Device) -> Vec<String> {
        match self {
            Self::Ping => device
                .ping
                .iter()
                .map(|_| device.address.to_string())
                .collect(),
            Self::Snmp => device
                .snmp
                .iter()
                .map(|snmp| snmp_target(device, snmp.port))
                .collect(),
            Self::Ssh => device
                .ssh
                .iter()
                .map(|ssh| device.address.with_port(ssh.port))
                .collect(),
            Self::Flow => device
                .flow
                .iter()
                .flat_map(|flow| &flow.sources)
                .map(ToString::to_string)
                .collect(),
            Self::Syslog => device
                .syslog
                .iter()
                .flat_map(|syslog| &syslog.sources)
                .map(ToString::to_string)
                .collect(),
            Self::Mqtt => device
                .mqtt
                .iter()
                .map(|_| device.address.to_string())
                .collect(),
            // Each kind of check is a group of its own, with its module.
            Self::Checks => Vec::new(),
            Self::Host => device
                .host
                .iter()
                .map(|host| device.address.with_port(host.port))
                .collect(),
        }
    }
}

/// The SNMP exporter takes a bare address for the usual port.
fn snmp_target(device: &Device, port: u16) -> String {
    if port == 161 {
        device.address.to_string()
    } else {
        device.address.with_port(port)
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no job.
#[derive(Debug, thiserror::Error)]
#[error("unknown job; expected one of ping, snmp, ssh, flow, syslog, mqtt, checks, host")]
pub struct UnknownJob;

impl FromStr for Job {
    type Err = UnknownJob;

    fn from_str(text: &str) -> Result<Self, UnknownJob> {
        Self::ALL
            .into_iter()
            .find(|job| job.as_str() == text)
            .ok_or(UnknownJob)
    }
}

/// The `http_sd` answer (a JSON list of `{"targets": […], "labels": {…}}`) for the devices of one shard.
///
/// Labels: `device`, `site`, `role`, `platform`; for SNMP also `__param_module` and, where an auth entry is
/// named, `__param_auth`; for SSH `__param_credentials`; for checks `check` (`http`, `tcp`, `dns`, `tls`), the `__param_module` that
/// [`blackbox`] configures and, for DNS, the `query`. An address with a port other than the usual one
/// carries it. A device without a target in the job is left out.
#[must_use]
pub fn render(inventory: &Inventory, job: Job, shard: Shard) -> Vec<u8> {
    let items = inventory
        .devices()
        .iter()
        .filter(|device| shard.owns(&device.name))
        .flat_map(|device| {
            let targets = job.targets(device);
            let whole = (!targets.is_empty()).then_some((targets, None));
            let checks = (job == Job::Checks).then_some(device.checks.as_ref());
            let checks = checks
                .flatten()
                .map(|checks| checks::groups(device, checks));
            let checks = checks.into_iter().flatten();
            let all = whole.into_iter().chain(checks);
            all.map(move |(targets, check)| Item {
                targets,
                labels: Labels { device, job, check },
            })
        });
    let mut out =
        Vec::with_capacity(256 * inventory.devices().len() / usize::from(shard.count()).max(1) + 2);
    let mut serializer = serde_json::Serializer::new(&mut out);
    serde::Serializer::collect_seq(&mut serializer, items)
        .expect("strings always serialise to memory");
    out
}

#[derive(Serialize)]
struct Item<'a> {
    targets: Vec<String>,
    labels: Labels<'a>,
}

struct Labels<'a> {
    device: &'a Device,
    job: Job,
    check: Option<Check<'a>>,
}

impl Serialize for Labels<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let device = self.device;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("device", &*device.name)?;
        map.serialize_entry("site", &*device.site)?;
        map.serialize_entry("role", &*device.role)?;
        map.serialize_entry("platform", &*device.platform)?;
        if let Some(check) = &self.check {
            map.serialize_entry("check", check.kind)?;
            map.serialize_entry("__param_module", &check.module())?;
            if let Some(query) = check.query {
                map.serialize_entry("query", query)?;
            }
        }
        match (self.job, &device.snmp, &device.ssh) {
            (Job::Snmp, Some(snmp), _) => {
                map.serialize_entry("__param_module", &*snmp.module)?;
                if let Some(auth) = &snmp.auth {
                    map.serialize_entry("__param_auth", &**auth)?;
                }
            }
            (Job::Ssh, _, Some(ssh)) => {
                if let Some(credentials) = &ssh.credentials {
                    map.serialize_entry("__param_credentials", &**credentials)?;
                }
            }
            _ => {}
        }
        map.end()
    }
}
