//! The daemons of a node: which, in which order, and how to know that each answers.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::frr::LOG_COMMANDS;
use super::place::softflowd_arguments;
use super::{Spec, place, processors, protocols};
use crate::files;
use crate::supervise::{Daemon, Supervisor};
use crate::topology::{Kind, Node};

/// Between two descriptions of flow records.
const TEMPLATES: Duration = Duration::from_secs(5);
/// Where sshd listens.
const SSH: u16 = 22;
/// Between two looks at a daemon that does not answer yet.
const LOOK: Duration = Duration::from_millis(20);
/// The daemons of FRR with their SNMP module, if they have one.
const FRR: [(&str, bool); 4] = [
    ("zebra", true),
    ("staticd", false),
    ("ospfd", true),
    ("bgpd", true),
];

/// What node_exporter tells of a host. It knows of the machine's processor and memory, and of the host's own interfaces.
const NODE_EXPORTER: [&str; 8] = [
    "--web.listen-address=:9100",
    "--collector.disable-defaults",
    "--collector.cpu",
    "--collector.meminfo",
    "--collector.filesystem",
    "--collector.loadavg",
    "--collector.netdev",
    "--collector.uname",
];

/// Starts all daemons of the node and returns when each answers.
pub(super) fn start(
    spec: &Spec,
    supervisor: &Supervisor,
    patience: Duration,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    let node = spec.node();
    if let Kind::Router { flow, .. } = &node.kind {
        let at = place::of(&node.name);
        let wait = |name: &str, answers: &dyn Fn() -> bool| wait(spec, name, deadline, answers);
        processors::keep(&at, supervisor)?;
        // The logger first, so that it hears the others; then snmpd, which FRR's modules look for once.
        supervisor.keep(daemon(
            "rsyslogd",
            "rsyslogd",
            &["-n", "-i", "NONE", "-f", &text(&at, "rsyslog.conf")],
        ));
        supervisor.keep(snmpd(&at));
        supervisor.keep(daemon(
            "sshd",
            "/usr/sbin/sshd",
            &["-D", "-f", &text(&at, "ssh/sshd_config")],
        ));
        wait("rsyslogd", &|| {
            UnixDatagram::unbound().is_ok_and(|socket| socket.connect("/dev/log").is_ok())
        })?;
        supervisor.keep(own("linkwatch", &["inside", "link-watch"])?);
        wait("snmpd", &|| connect(705).is_some())?;
        for (name, snmp) in FRR {
            supervisor.keep(frr(name, snmp, &at));
            if name == "zebra" {
                // Who does not find it looks again only ten seconds later.
                wait(name, &|| UnixStream::connect("/run/frr/zserv.api").is_ok())?;
            }
        }
        for (name, _) in FRR {
            wait(name, &|| protocols::answers(name))?;
        }
        load(spec)?;
        if let Some(flow) = flow {
            let arguments = softflowd_arguments(&at, flow);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            supervisor.keep(daemon("softflowd", "softflowd", &arguments));
            let control = at.join("softflowd.ctl");
            wait("softflowd", &|| control.exists())?;
            std::thread::spawn(move || {
                loop {
                    // Until softflowd is there again, there is nobody to tell.
                    let _ = send_template(&control);
                    std::thread::sleep(TEMPLATES);
                }
            });
        }
        // A connection would leave a line of complaint in its log.
        wait("sshd", &|| listens(SSH))?;
    }
    if matches!(node.kind, Kind::Host) {
        supervisor.keep(daemon(
            "node-exporter",
            "prometheus-node-exporter",
            &NODE_EXPORTER,
        ));
        wait(spec, "node-exporter", deadline, &|| {
            connect(9_100).is_some()
        })?;
    }
    let topology = &spec.topology;
    if topology
        .traffic
        .iter()
        .any(|stream| stream.to == spec.index)
    {
        supervisor.keep(own("traffic-receive", &["traffic", "receive"])?);
        wait(spec, "traffic-receive", deadline, &|| {
            connect(crate::traffic::PORT).is_some()
        })?;
    }
    for stream in topology
        .traffic
        .iter()
        .filter(|stream| stream.from == spec.index)
    {
        let to = topology.nodes[stream.to].loopback.to_string();
        let rate = stream.kbit_per_second.to_string();
        supervisor.keep(own(
            "traffic-send",
            &["traffic", "send", "--to", &to, "--kbit-per-second", &rate],
        )?);
    }
    Ok(())
}

/// What must run on this node once it is whole: the names of its daemons.
pub(crate) fn expected(node: &Node) -> Vec<&'static str> {
    match &node.kind {
        Kind::Router { flow, .. } => {
            let mut names = vec!["rsyslogd", "snmpd", "sshd", "linkwatch"];
            names.extend(FRR.map(|(name, _)| name));
            names.extend(flow.as_ref().map(|_| "softflowd"));
            names
        }
        Kind::Host => vec!["node-exporter"],
    }
}

fn text(at: &Path, name: &str) -> String {
    at.join(name).display().to_string()
}

fn daemon(name: &str, program: &str, args: &[&str]) -> Daemon {
    Daemon {
        name: name.to_owned(),
        program: program.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: Vec::new(),
        after_restart: Vec::new(),
    }
}

/// This program itself, with other arguments.
fn own(name: &str, args: &[&str]) -> anyhow::Result<Daemon> {
    Ok(daemon(
        name,
        &std::env::current_exe()?.display().to_string(),
        args,
    ))
}

/// Without MIB files, or they are read and their errors fill the log; with files of its own only.
fn snmp_environment(at: &Path) -> Vec<(String, String)> {
    [
        ("MIBS", String::new()),
        ("SNMPCONFPATH", text(at, "snmp")),
        ("SNMP_PERSISTENT_DIR", text(at, "snmp-state")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn snmpd(at: &Path) -> Daemon {
    let conf = [
        text(at, "snmp/snmpd.conf"),
        text(at, "snmp-state/snmpd.conf"),
    ]
    .join(",");
    let args = [
        "-f",
        "-Lo",
        "-C",
        "-c",
        &conf,
        "-u",
        "Debian-snmp",
        "-g",
        "Debian-snmp",
    ];
    Daemon {
        env: snmp_environment(at),
        ..daemon("snmpd", "snmpd", &args)
    }
}

fn frr(name: &'static str, snmp: bool, at: &Path) -> Daemon {
    let mut args = vec!["-A", "127.0.0.1", "-P", "0"];
    if name == "zebra" {
        args.extend(["-s", "90000000"]);
    }
    if snmp {
        args.extend(["-M", "snmp"]);
    }
    Daemon {
        env: snmp_environment(at),
        after_restart: ["vtysh", "-b", "-d", name].map(str::to_owned).to_vec(),
        ..daemon(name, &format!("{}/{name}", files::FRR_PROGRAMS), &args)
    }
}

/// Gives the daemons their configuration.
fn load(spec: &Spec) -> anyhow::Result<()> {
    let first = Path::new("/etc/frr").join(place::FIRST_CONFIGURATION);
    vtysh(spec, &["-f", &first.display().to_string()])
}

/// From now on the daemons log the commands that they are given.
pub(super) fn log_commands(spec: &Spec) -> anyhow::Result<()> {
    vtysh(spec, &["-c", "configure", "-c", LOG_COMMANDS])
}

fn vtysh(spec: &Spec, args: &[&str]) -> anyhow::Result<()> {
    let out = Command::new("vtysh")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("vtysh")?;
    if !out.status.success() {
        let (said, erred) = (
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
        );
        bail!(
            "{}: vtysh {}: {}: {said}{erred}",
            spec.node().name,
            args.join(" "),
            out.status
        );
    }
    Ok(())
}

/// Has softflowd say again what its records look like (RFC 3954 section 9). Of itself it does so with every
/// sixteenth packet only, and a collector that started late would wait minutes at this rate.
fn send_template(control: &Path) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(control)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"send-template\n")?;
    // It writes its answer before it goes on with its work.
    stream.read_to_end(&mut Vec::new()).map(|_| ())
}

/// Whether something listens on this TCP port of all addresses (`proc_net_tcp`: 0A is the state LISTEN).
fn listens(port: u16) -> bool {
    let local = format!("00000000:{port:04X}");
    std::fs::read_to_string("/proc/thread-self/net/tcp").is_ok_and(|table| {
        table.lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            words.next() == Some(&local) && words.nth(1) == Some("0A")
        })
    })
}

fn connect(port: u16) -> Option<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, Duration::from_millis(500)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    Some(stream)
}

fn wait(
    spec: &Spec,
    name: &str,
    deadline: Instant,
    answers: &dyn Fn() -> bool,
) -> anyhow::Result<()> {
    while !answers() {
        if Instant::now() > deadline {
            let log = spec.logs.join(format!("{name}.log"));
            bail!(
                "{}: {name} does not answer; the end of {}:\n{}",
                spec.node().name,
                log.display(),
                files::tail(&log)
            );
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}
