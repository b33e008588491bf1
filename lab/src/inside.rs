//! What runs inside the box: its first process, the builder, the nodes and the links in user space.

mod build;
mod wire;

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};
use nix::sys::wait::{WaitStatus, waitpid};
use serde::{Deserialize, Serialize};

pub(crate) use build::{Answer, BoxStatus, Event, LinkStatus, Request};

use crate::lab::state::State;
use crate::node;

/// What makes the box independent of who started it.
pub(crate) const RELEASE: &[u8] = b"r";

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
    /// One echo request, where no ping program is installed: prints the time it took in milliseconds.
    Echo { address: std::net::Ipv4Addr },
}

/// What the box must know.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct InBox {
    #[arg(long)]
    pub(crate) state: PathBuf,
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
        Inside::Echo { address } => {
            let took = crate::icmp::echo(address, std::time::Duration::from_secs(1))?;
            println!("{:.3}", took.as_secs_f64() * 1_000.0);
        }
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

/// Process 1: starts the builder, ends with it, and buries what is left to it by others. It also ends when its
/// standard input does, unless [`RELEASE`] came before. When it ends, the kernel ends everything in the box.
fn init(args: &InBox) -> anyhow::Result<ExitCode> {
    std::thread::spawn(|| {
        // Nothing more comes from who started the lab: it is gone, and the lab must not outlive it.
        if !std::io::stdin()
            .read(&mut [0])
            .is_ok_and(|length| length == 1)
        {
            std::process::exit(0);
        }
    });
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
