//! The table of our own services: a service more is a line more.

use std::path::{Path, PathBuf};

use super::programs::executable;

/// One of our services as the launcher starts it.
#[derive(Debug)]
pub(crate) struct Service {
    /// The binary, and the name before its log lines.
    pub(crate) name: &'static str,
    /// Its Prometheus job.
    pub(crate) job: &'static str,
    /// Its port.
    pub(crate) port: u16,
    /// Where it takes the devices from.
    pub(crate) devices: Devices,
    /// What its pages show.
    pub(crate) shows: &'static str,
}

/// Where a service takes the devices from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Devices {
    /// The inventory file.
    File,
    /// The inventory service, so that a change of the file reaches it the way it does in production.
    Inventory,
    /// Nowhere: Prometheus learns them from the inventory service and names one with each request.
    Prometheus,
}

/// The inventory service, which others ask.
pub(crate) const INVENTORY: &str = "sotp-inventory";

/// The SNMP exporter, which needs credentials.
pub(crate) const SNMP: &str = "sotp-snmp";

/// The syslog receiver, which has a configuration of its own.
pub(crate) const SYSLOG: &str = "sotp-syslog";

/// The ping exporter, which follows paths in a lab.
pub(crate) const PING: &str = "sotp-ping";

/// All of them.
pub(crate) const SERVICES: &[Service] = &[
    Service {
        name: INVENTORY,
        job: "inventory",
        port: 19870,
        devices: Devices::File,
        shows: "devices and sites",
    },
    Service {
        name: PING,
        job: "ping",
        port: 19427,
        devices: Devices::Inventory,
        shows: "every device, each second",
    },
    Service {
        name: SNMP,
        job: "snmp-exporter",
        port: 19116,
        devices: Devices::Prometheus,
        shows: "any device by SNMP: interfaces, vitals, neighbours",
    },
    Service {
        name: SYSLOG,
        job: "syslog",
        port: 19514,
        devices: Devices::Inventory,
        shows: "what the devices say",
    },
];

/// A binary of ours is not where it should be.
#[derive(Debug, thiserror::Error)]
#[error("no {name} in {}: build it with `cargo build --workspace`, or name its folder with --bin-dir", folder.display())]
pub(crate) struct Missing {
    name: &'static str,
    folder: PathBuf,
}

/// The binary of each service: in `folder`, or beside this program.
///
/// # Errors
/// Names the first that is missing.
pub(crate) fn binaries(folder: Option<&Path>) -> Result<Vec<(&'static Service, PathBuf)>, Missing> {
    let beside = || {
        std::env::current_exe()
            .ok()
            .and_then(|exe| exe.parent().map(Path::to_path_buf))
    };
    let folder = folder
        .map(Path::to_path_buf)
        .or_else(beside)
        .unwrap_or_default();
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let binary = |service: &'static Service| {
        let path = folder.join(service.name);
        if executable(&path) {
            Ok((service, path))
        } else {
            Err(Missing {
                name: service.name,
                folder: folder.clone(),
            })
        }
    };
    SERVICES.iter().map(binary).collect()
}
