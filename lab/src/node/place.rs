//! The files of one node, in memory inside the box, and the mounts that put them where programs look.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use nix::mount::{MsFlags, mount};
use nix::unistd::{Gid, Group, Uid, User, chown};

use super::Spec;
use super::frr;
use crate::certificates;
use crate::files::file;
use crate::topology::{COLLECTOR, Flow, FlowVersion, Kind, RANGE, SyslogBy};

/// Work of one bcrypt hash, as a power of two: the password has a hundred random bits, so the least will do.
const BCRYPT_COST: u32 = 4;
/// The login user's id on routers.
const LOGIN_UID: u32 = 2_000;
/// Further accounts, with the same key and no password: a person whose name tells a change from those of the generic account, and
/// the service that collects configurations.
const FURTHER: [&str; 2] = ["alice", super::COLLECTOR_ACCOUNT];
/// UDP and TCP port of the syslog collector.
const SYSLOG_PORT: u16 = 514;
/// The same over TLS.
const SYSLOG_TLS_PORT: u16 = 6514;

/// FRR's configuration for its first start, beside `frr.conf`.
pub(super) const FIRST_CONFIGURATION: &str = "first.conf";

/// Where NetFlow or IPFIX goes: port of the collector.
pub(crate) fn flow_port(version: FlowVersion) -> u16 {
    match version {
        FlowVersion::Netflow9 => 2055,
        FlowVersion::Ipfix => 4739,
    }
}

/// The arguments of softflowd for this export.
pub(crate) fn softflowd_arguments(place: &Path, flow: &Flow) -> Vec<String> {
    let version = match flow.version {
        FlowVersion::Netflow9 => "9",
        FlowVersion::Ipfix => "10",
    };
    let collector = format!("{COLLECTOR}:{}", flow_port(flow.version));
    let at = |name: &str| place.join(name).display().to_string();
    let mut arguments = vec!["-d".to_owned(), "-i".to_owned(), flow.interface.clone()];
    for (flag, value) in [
        ("-v", version.to_owned()),
        ("-n", collector),
        // The default writes times that readers take for negative durations.
        ("-A", "milli".to_owned()),
        ("-p", at("softflowd.pid")),
        ("-c", at("softflowd.ctl")),
    ] {
        arguments.extend([flag.to_owned(), value]);
    }
    for timeout in [
        "maxlife=10",
        "expint=2",
        "tcp=10",
        "udp=5",
        "icmp=5",
        "general=10",
    ] {
        arguments.extend(["-t".to_owned(), timeout.to_owned()]);
    }
    arguments
}

/// A folder with this mode.
pub(crate) fn folder(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn user(name: &str) -> anyhow::Result<(Uid, Gid)> {
    match User::from_name(name)? {
        Some(user) => Ok((user.uid, user.gid)),
        None => bail!("no user {name} on this system: its package is not whole"),
    }
}

fn give(path: &Path, name: &str) -> anyhow::Result<()> {
    let (uid, gid) = user(name)?;
    chown(path, Some(uid), Some(gid)).with_context(|| format!("chown {}", path.display()))
}

/// Puts `source` where programs expect `target`.
pub(crate) fn bind(source: &Path, target: &Path) -> anyhow::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source), target, None::<&str>, flags, None::<&str>)
        .with_context(|| format!("bind {} to {}", source.display(), target.display()))
}

/// A `/dev` of its own at `at`, put over `/dev`: the few devices that daemons use and its own terminals.
pub(crate) fn devices(at: &Path) -> anyhow::Result<()> {
    folder(at, 0o755)?;
    let none = None::<&str>;
    mount(
        Some("tmpfs"),
        at,
        Some("tmpfs"),
        MsFlags::MS_NOSUID,
        Some("mode=755,size=64m"),
    )
    .with_context(|| format!("mount tmpfs on {}", at.display()))?;
    folder(&at.join("net"), 0o755)?;
    for name in [
        "null", "zero", "full", "random", "urandom", "tty", "net/tun",
    ] {
        let device = Path::new("/dev").join(name);
        if device.exists() {
            fs::write(at.join(name), "")?;
            bind(&device, &at.join(name))?;
        }
    }
    for name in ["pts", "shm"] {
        folder(&at.join(name), if name == "shm" { 0o1777 } else { 0o755 })?;
    }
    let options = "newinstance,ptmxmode=0666,mode=620";
    mount(
        Some("devpts"),
        &at.join("pts"),
        Some("devpts"),
        MsFlags::empty(),
        Some(options),
    )
    .context("mount devpts")?;
    for (target, link) in [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ] {
        symlink(target, at.join(link))?;
    }
    // Recursively, or the terminals stay behind.
    mount(
        Some(at),
        "/dev",
        none,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none,
    )
    .context("bind /dev")
}

/// A `/sys` that shows the interfaces of this network namespace. Where the kernel refuses one, the old stays.
pub(crate) fn sys() -> anyhow::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount(Some("sysfs"), "/sys", Some("sysfs"), flags, None::<&str>) {
        Ok(()) => Ok(()),
        Err(nix::errno::Errno::EPERM) => {
            eprintln!(
                "the kernel refuses a fresh /sys here; programs see the interfaces outside in it"
            );
            Ok(())
        }
        Err(error) => Err(error).context("mount sysfs"),
    }
}

/// Writes everything a router's daemons read below `place` and mounts it.
pub(crate) fn furnish_router(spec: &Spec, place: &Path) -> anyhow::Result<()> {
    let node = spec.node();
    accounts(spec, place)?;
    frr_files(spec, place)?;
    ssh_files(spec, place)?;
    snmp_files(spec, place)?;
    let log = spec.logs.join("syslog");
    let forward = syslog_forward(spec);
    let rsyslog = format!(
        "global(workDirectory=\"{place}\" net.enableDNS=\"off\" localHostname=\"{name}\")\n\
         module(load=\"imuxsock\")\n\
         action(type=\"omfwd\" target=\"{COLLECTOR}\" {forward} template=\"RSYSLOG_SyslogProtocol23Format\")\n\
         action(type=\"omfile\" file=\"{log}\" template=\"RSYSLOG_SyslogProtocol23Format\")\n",
        place = place.display(),
        name = node.name,
        log = log.display(),
    );
    file(&place.join("rsyslog.conf"), &rsyslog, 0o600)?;
    devices(&place.join("dev"))?;
    Ok(())
}

/// How rsyslog sends to the collector. On a stream, what a collector that is not there yet misses waits for it.
fn syslog_forward(spec: &Spec) -> String {
    const STREAM: &str = "protocol=\"tcp\" TCP_Framing=\"octet-counted\" queue.type=\"LinkedList\" \
                          queue.size=\"10000\" action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\"";
    let by = match spec.node().kind {
        Kind::Router { syslog, .. } => syslog,
        Kind::Host => SyslogBy::Udp,
    };
    match by {
        SyslogBy::Udp => format!("port=\"{SYSLOG_PORT}\" protocol=\"udp\""),
        SyslogBy::Tcp => format!("port=\"{SYSLOG_PORT}\" {STREAM}"),
        SyslogBy::Tls => format!(
            "port=\"{SYSLOG_TLS_PORT}\" {STREAM} StreamDriver=\"ossl\" StreamDriverMode=\"1\" \
             StreamDriverAuthMode=\"x509/name\" StreamDriverPermittedPeers=\"{}\" StreamDriver.CAFile=\"{}\"",
            certificates::NAME,
            spec.state.join(certificates::AUTHORITY).display(),
        ),
    }
}

fn accounts(spec: &Spec, place: &Path) -> anyhow::Result<()> {
    let login = &spec.credentials.user;
    let Some(group) = Group::from_name("frrvty")? else {
        bail!("no group frrvty on this system: the package frr is not whole");
    };
    let home = place.join("home");
    folder(&home, 0o755)?;
    // System accounts only: who logs in outside has no business on a router.
    let mut passwd = String::new();
    let mut shadow = String::new();
    for account in fs::read_to_string("/etc/passwd")?.lines() {
        let mut fields = account.split(':');
        let (name, id) = (fields.next().unwrap_or(""), fields.nth(1));
        if id
            .and_then(|id| id.parse::<u32>().ok())
            .is_some_and(|id| id < 1_000 || id == 65_534)
        {
            passwd.push_str(account);
            passwd.push('\n');
            shadow.push_str(&format!("{name}:*:19000:0:99999:7:::\n"));
        }
    }
    passwd.push_str(&format!(
        "{login}:x:{LOGIN_UID}:{}:lab operator:{}:/usr/bin/vtysh\n",
        group.gid,
        home.display()
    ));
    let hash = bcrypt::hash(&spec.credentials.password, BCRYPT_COST)?;
    shadow.push_str(&format!("{login}:{hash}:19000:0:99999:7:::\n"));
    for (uid, name) in (LOGIN_UID + 1..).zip(FURTHER) {
        passwd.push_str(&format!(
            "{name}:x:{uid}:{}:of the lab:{}:/usr/bin/vtysh\n",
            group.gid,
            home.display()
        ));
        shadow.push_str(&format!("{name}:*:19000:0:99999:7:::\n"));
    }
    for (name, text, mode) in [("passwd", passwd, 0o644), ("shadow", shadow, 0o600)] {
        file(&place.join(name), &text, mode)?;
        bind(&place.join(name), &Path::new("/etc").join(name))?;
    }
    Ok(())
}

fn frr_files(spec: &Spec, place: &Path) -> anyhow::Result<()> {
    let etc = place.join("frr");
    let run = place.join("frr-run");
    folder(&etc, 0o755)?;
    folder(&run, 0o755)?;
    let text = frr::configuration(&spec.topology, spec.index);
    let first = frr::first_configuration(&spec.topology, spec.index);
    // The login was checked by sshd; asking for it again is what the second line avoids.
    let mut vtysh = String::from("service integrated-vtysh-config\n");
    for user in std::iter::once(spec.credentials.user.as_str()).chain(FURTHER) {
        vtysh.push_str(&format!("username {user} nopassword\n"));
    }
    for (name, text) in [
        ("frr.conf", text),
        (FIRST_CONFIGURATION, first),
        ("vtysh.conf", vtysh),
    ] {
        file(&etc.join(name), &text, 0o640)?;
        give(&etc.join(name), "frr")?;
        // The login user saves with `write memory`, through its group.
        let group = Group::from_name("frrvty")?.map(|group| group.gid);
        chown(&etc.join(name), None, group)?;
        fs::set_permissions(etc.join(name), fs::Permissions::from_mode(0o660))?;
    }
    let group = Group::from_name("frrvty")?.map(|group| group.gid);
    chown(&etc, None, group)?;
    fs::set_permissions(&etc, fs::Permissions::from_mode(0o775))?;
    give(&run, "frr")?;
    fs::create_dir_all("/run/frr")?;
    bind(&etc, Path::new("/etc/frr"))?;
    bind(&run, Path::new("/run/frr"))
}

fn ssh_files(spec: &Spec, place: &Path) -> anyhow::Result<()> {
    let folder_path = place.join("ssh");
    folder(&folder_path, 0o755)?;
    let key = folder_path.join("host_key");
    let made = Command::new("ssh-keygen")
        .args([
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            &spec.node().name,
            "-f",
        ])
        .arg(&key)
        .stdin(Stdio::null())
        .status()
        .context("ssh-keygen")?;
    if !made.success() {
        bail!("ssh-keygen: {made}");
    }
    let authorized = folder_path.join("authorized_keys");
    let public = fs::read_to_string(spec.state.join("ssh_key.pub"))?;
    file(&authorized, &public, 0o644)?;
    // Strict modes would refuse the key where `/` belongs to a user that the user namespace does not know.
    let text = format!(
        "Port 22\nListenAddress 0.0.0.0\nHostKey {key}\nAuthorizedKeysFile {authorized}\nPidFile none\n\
         AllowUsers {user} {further}\nPermitRootLogin no\nPasswordAuthentication yes\n\
         StrictModes no\nKbdInteractiveAuthentication no\nUsePAM no\nUseDNS no\nX11Forwarding no\nAllowTcpForwarding no\n\
         AllowAgentForwarding no\nPermitTunnel no\nPrintMotd no\nPrintLastLog no\nMaxStartups 100\n",
        key = key.display(),
        authorized = authorized.display(),
        user = spec.credentials.user,
        further = FURTHER.join(" "),
    );
    file(&folder_path.join("sshd_config"), &text, 0o600)?;
    // The folder into which sshd locks its unprivileged half.
    folder(Path::new("/run/sshd"), 0o755)?;
    Ok(())
}

fn snmp_files(spec: &Spec, place: &Path) -> anyhow::Result<()> {
    let (etc, state) = (place.join("snmp"), place.join("snmp-state"));
    folder(&etc, 0o755)?;
    folder(&state, 0o700)?;
    let (node, secret) = (spec.node(), &spec.credentials);
    let text = format!(
        "agentAddress udp:161\nrocommunity {community} {RANGE}\nrocommunity {community} 127.0.0.1\n\
         rouser {user} authPriv\nsysLocation {site}\nsysContact {user}@{name}\nsysName {name}\n\
         sysDescr FRRouting router {name} of a SOTP lab\nsysServices 78\n\
         master agentx\nagentXSocket tcp:localhost:705\n{speeds}{sensor}",
        speeds = speeds(spec),
        sensor = sensor(),
        community = secret.snmp_community,
        user = secret.user,
        site = node.site,
        name = node.name,
    );
    file(&etc.join("snmpd.conf"), &text, 0o600)?;
    // It is read again at SIGHUP, by then without privileges.
    give(&etc.join("snmpd.conf"), "Debian-snmp")?;
    file(
        &etc.join("frr.conf"),
        "agentXSocket tcp:localhost:705\n",
        0o644,
    )?;
    let user = format!(
        "createUser {} SHA \"{}\" AES \"{}\"\n",
        secret.user, secret.snmp_auth_password, secret.snmp_privacy_password
    );
    file(&state.join("snmpd.conf"), &user, 0o600)?;
    give(&state, "Debian-snmp")?;
    give(&state.join("snmpd.conf"), "Debian-snmp")
}

/// What the links of the topology say of their speed: `interface NAME TYPE SPEED` of snmpd.conf(5), 6 being ethernetCsmacd.
fn speeds(spec: &Spec) -> String {
    let interfaces = spec.topology.interfaces(spec.index);
    let said = interfaces.iter().filter_map(|interface| {
        let speed = u64::from(interface.link.speed?) * 1_000_000;
        Some(format!("interface {} 6 {speed}\n", interface.name))
    });
    said.collect()
}

/// A temperature sensor that always shows the same, since the machine's own are not the router's: lines of snmpd.conf(5) for one row
/// of ENTITY-SENSOR-MIB (celsius, units, one digit behind the point, ok) and its name in ENTITY-MIB.
fn sensor() -> String {
    let columns = [
        (
            "1.3.6.1.2.1.47.1.1.1.1.7.1",
            "octet_str",
            "\"simulated sensor\"",
        ),
        ("1.3.6.1.2.1.99.1.1.1.1.1", "integer", "8"),
        ("1.3.6.1.2.1.99.1.1.1.2.1", "integer", "9"),
        ("1.3.6.1.2.1.99.1.1.1.3.1", "integer", "1"),
        ("1.3.6.1.2.1.99.1.1.1.4.1", "integer", "412"),
        ("1.3.6.1.2.1.99.1.1.1.5.1", "integer", "1"),
    ];
    columns
        .map(|(oid, kind, value)| format!("override {oid} {kind} {value}\n"))
        .concat()
}

/// The folder of a node's files, in memory inside the box.
pub(crate) fn of(name: &str) -> PathBuf {
    Path::new(crate::files::RUN).join("nodes").join(name)
}
