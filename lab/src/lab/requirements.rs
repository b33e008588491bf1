//! The programs that a lab runs, and where Debian keeps them.

use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::Error;
use crate::files::FRR_PROGRAMS;
use crate::topology::{Kind, Node, SyslogBy, Topology};

/// A program, or the path of a file, and the Debian package that brings it.
const REQUIRED: [(&str, &str); 20] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("/usr/lib/frr/zebra", "frr"),
    ("/usr/lib/frr/staticd", "frr"),
    ("/usr/lib/frr/ospfd", "frr"),
    ("/usr/lib/frr/bgpd", "frr"),
    ("vtysh", "frr"),
    ("zebra_snmp.so", "frr-snmp"),
    ("snmpd", "snmpd"),
    ("/usr/sbin/sshd", "openssh-server"),
    ("ssh-keygen", "openssh-client"),
    ("ssh", "openssh-client"),
    ("softflowd", "softflowd"),
    ("prometheus-node-exporter", "prometheus-node-exporter"),
    ("rsyslogd", "rsyslog"),
    ("pdftotext", "poppler-utils"),
    // A library; its package has a program too.
    ("/usr/share/doc/python3-aiosmtpd", "python3-aiosmtpd"),
    ("newuidmap", "uidmap"),
];

/// What the tests of this project call besides, and its Debian package.
const TESTED: [(&str, &str); 25] = [
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("amtool", "prometheus-alertmanager"),
    ("snmpget", "snmp"),
    ("prometheus-snmp-exporter", "prometheus-snmp-exporter"),
    (
        "prometheus-blackbox-exporter",
        "prometheus-blackbox-exporter",
    ),
    ("prometheus-smokeping-prober", "prometheus-smokeping-prober"),
    ("fping", "fping"),
    ("openssl", "openssl"),
    ("nfcapd", "nfdump"),
    ("pmacctd", "pmacct"),
    ("newuidmap", "uidmap"),
    ("runuser", "util-linux"),
    ("useradd", "passwd"),
    ("curl", "curl"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("unzip", "unzip"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("debootstrap", "debootstrap"),
    ("sqlite3", "sqlite3"),
    // Debian keeps the part of venv that installs pip in a package of its own; the program says nothing of it.
    ("/usr/share/doc/python3-venv", "python3-venv"),
    TLS,
];

/// The programs that a lab of this user runs, and the Debian package of each.
fn requirements() -> impl Iterator<Item = (&'static str, &'static str)> {
    let root = geteuid().is_root();
    REQUIRED
        .into_iter()
        .filter(move |(_, package)| !root || *package != "uidmap")
}

/// What a router needs besides whose syslog travels over TLS.
const TLS: (&str, &str) = ("rsyslog/lmnsd_ossl.so", "rsyslog-openssl");

/// Names what this topology needs beyond others and is missing.
pub(super) fn check_topology(topology: &Topology) -> Result<(), Error> {
    let by_tls = |node: &Node| {
        matches!(
            node.kind,
            Kind::Router {
                syslog: SyslogBy::Tls,
                ..
            }
        )
    };
    if topology.nodes.iter().any(by_tls) && find(TLS.0).is_none() {
        return Err(Error::Missing(vec![TLS]));
    }
    Ok(())
}

/// The programs of a lab that are not on this machine, and the Debian package of each.
pub(crate) fn missing() -> Vec<(&'static str, &'static str)> {
    requirements()
        .filter(|(program, _)| find(program).is_none())
        .collect()
}

/// The same for what the story of the demo plays in besides.
pub(crate) fn missing_for_story() -> Vec<(&'static str, &'static str)> {
    // A browser, and what the app that it shows is built with.
    let played = |(_, package): &(&str, &str)| {
        ["chromium", "chromium-driver", "nodejs", "npm"].contains(package)
    };
    let needed = TESTED.into_iter().filter(played);
    needed
        .filter(|(program, _)| find(program).is_none())
        .collect()
}

/// The same for what the tests of this project call besides.
pub(crate) fn missing_for_tests() -> Vec<(&'static str, &'static str)> {
    TESTED
        .into_iter()
        .filter(|(program, _)| find(program).is_none())
        .collect()
}

/// Names everything that is missing, in one error.
pub(super) fn check() -> Result<(), Error> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Missing(missing))
}

/// Where a program is: on `PATH`, or where administrators' programs are, which ordinary users' `PATH` lacks.
fn find(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(|path| path.exists());
    }
    if program.ends_with(".so") {
        // Below /usr/lib in a folder named for the machine's kind.
        let kinds = std::fs::read_dir("/usr/lib")
            .ok()?
            .flatten()
            .map(|entry| entry.path());
        return kinds
            .chain([Path::new(FRR_PROGRAMS).join("..")])
            .flat_map(|kind| [kind.join("frr/modules").join(program), kind.join(program)])
            .find(|path| path.exists());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SBIN.map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The folders of administrators' programs.
const SBIN: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The search path with which the lab's programs run.
pub(super) fn search_path() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for folder in ["/usr/bin", "/bin"].into_iter().chain(SBIN) {
        if !folders.iter().any(|known| known == Path::new(folder)) {
            folders.push(folder.into());
        }
    }
    std::env::join_paths(folders).unwrap_or(path)
}
