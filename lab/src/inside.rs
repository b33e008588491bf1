//! What runs inside the box: its first process, the builder, the nodes and the links in user space.

mod build;
mod wire;

use std::io::{Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, anyhow, bail};
use nix::sys::wait::{WaitStatus, waitpid};
use serde::{Deserialize, Serialize};

pub(crate) use build::{Answer, BoxStatus, Event, LinkStatus, Request};

use crate::lab::state::State;
use crate::node;
use crate::topology::Shape;

/// The box's own folder, in memory, gone with it.
pub(crate) const RUN: &str = "/run/sotp-lab-box";
/// Where Debian keeps FRR's daemons.
pub(crate) const FRR_PROGRAMS: &str = "/usr/lib/frr";

/// Subcommands that the lab runs itself with.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Inside {
    /// A session of its own, then the namespaces of the box.
    Keeper(InBox),
    /// Process 1 of the box.
    Init(InBox),
    /// Builds the network and answers questions about it.
    Build(InBox),
    /// One router or host.
    Node {
        #[arg(long)]
        state: PathBuf,
        #[arg(long)]
        name: String,
    },
    /// One link in user space.
    Wire(wire::Args),
    /// The interfaces of a router, to syslog.
    LinkWatch,
}

/// What the box must know.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct InBox {
    #[arg(long)]
    pub(crate) state: PathBuf,
    /// End when standard input does.
    #[arg(long)]
    pub(crate) attached: bool,
    /// Never use netem.
    #[arg(long)]
    pub(crate) tun: bool,
    #[arg(long)]
    pub(crate) deadline_seconds: u64,
}

impl InBox {
    /// The arguments that give this again.
    pub(crate) fn arguments(&self, role: &str) -> Vec<String> {
        let mut arguments = vec!["inside".to_owned(), role.to_owned(), "--state".to_owned()];
        arguments.push(self.state.display().to_string());
        arguments.push(format!("--deadline-seconds={}", self.deadline_seconds));
        arguments.extend(self.attached.then(|| "--attached".to_owned()));
        arguments.extend(self.tun.then(|| "--tun".to_owned()));
        arguments
    }
}

/// Runs one of the processes of the box.
pub(crate) fn run(inside: Inside) -> anyhow::Result<ExitCode> {
    match inside {
        Inside::Keeper(args) => keeper(&args)?,
        Inside::Init(args) => return init(&args),
        Inside::Build(args) => build::run(&args)?,
        Inside::Node { state, name } => {
            let state = State::at(&state);
            let topology = state.topology()?;
            let index = topology.node(&name).map(|(index, _)| index);
            node::run(node::Spec {
                logs: state.logs().join(&name),
                state: state.path().to_owned(),
                index: index.with_context(|| format!("no node {name}"))?,
                credentials: state.credentials()?,
                topology,
            })?;
        }
        Inside::Wire(args) => wire::run(&args)?,
        Inside::LinkWatch => node::watch_links()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Leaves the terminal's session, so that its interrupts do not come here, and becomes `unshare`.
fn keeper(args: &InBox) -> anyhow::Result<()> {
    nix::unistd::setsid().context("setsid")?;
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--uts",
        "--ipc",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    if !nix::unistd::geteuid().is_root() {
        command.args(["--map-root-user", "--map-auto"]);
    }
    command
        .arg(std::env::current_exe()?)
        .args(args.arguments("init"));
    Err(command.exec()).context("unshare")
}

/// Process 1: starts the builder, ends with it, and buries what is left to it by others. When it ends, the
/// kernel ends everything in the box.
fn init(args: &InBox) -> anyhow::Result<ExitCode> {
    if args.attached {
        std::thread::spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::exit(0);
        });
    }
    let builder = Command::new(std::env::current_exe()?)
        .args(args.arguments("build"))
        .stdin(Stdio::null())
        .spawn()
        .context("builder")?
        .id();
    loop {
        match waitpid(None, None).context("wait")? {
            WaitStatus::Exited(pid, code) if pid.as_raw().unsigned_abs() == builder => {
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
            }
            WaitStatus::Signaled(pid, signal, _) if pid.as_raw().unsigned_abs() == builder => {
                bail!("the builder died of {signal}");
            }
            _ => {}
        }
    }
}

/// Lets every group use unprivileged ICMP sockets in this network namespace.
pub(crate) fn open_ping_sockets() -> anyhow::Result<()> {
    // Only groups that the user namespace knows are taken: the first range begins at 0 and has this length.
    let map = std::fs::read_to_string("/proc/self/gid_map")?;
    let mut last = 0_u64;
    for line in map.lines() {
        let numbers: Vec<u64> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        if let [first, _, count] = numbers[..]
            && first <= last + 1
        {
            last = last.max(first + count - 1);
        }
    }
    let range = format!("0 {}", last.min(2_147_483_647));
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", range).context("ping_group_range")
}

/// Runs lines of `ip` commands in this network namespace.
pub(crate) fn run_ip(batch: &str) -> anyhow::Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("ip")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(batch.as_bytes())?;
    }
    let out = child.wait_with_output()?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("ip: {}; the commands were:\n{batch}", said.trim());
    }
    Ok(())
}

/// Has the kernel delay and lose what leaves this interface.
pub(crate) fn netem(interface: &str, shape: Shape) -> anyhow::Result<()> {
    let half = shape.jitter / 2;
    let out = Command::new("tc")
        .args(["qdisc", "replace", "dev", interface, "root", "netem"])
        .args([
            "delay",
            &microseconds(shape.delay + half),
            &microseconds(half),
        ])
        .args(["loss", &format!("{}%", shape.loss * 100.0)])
        .stdin(Stdio::null())
        .output()
        .context("tc")?;
    if out.status.success() {
        return Ok(());
    }
    Err(anyhow!(
        "tc on {interface}: {}",
        String::from_utf8_lossy(&out.stderr).trim()
    ))
}

fn microseconds(time: std::time::Duration) -> String {
    format!("{}us", time.as_micros())
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    const BYTES: usize = 2_000;
    let mut text = Vec::new();
    if std::fs::File::open(log)
        .and_then(|mut file| file.read_to_end(&mut text))
        .is_err()
    {
        return "(no log)".to_owned();
    }
    let from = text.len().saturating_sub(BYTES);
    String::from_utf8_lossy(&text[from..]).trim().to_owned()
}

/// How a link is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Medium {
    /// A pair of virtual Ethernet interfaces.
    Veth,
    /// The same, delayed by the kernel.
    Netem,
    /// Two TUN interfaces with a process between.
    Tun,
}
