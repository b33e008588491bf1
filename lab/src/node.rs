//! One router or host: a process with namespaces of its own that furnishes them, starts the node's daemons and
//! answers questions about them.

mod daemons;
mod frr;
mod linkwatch;
pub(crate) mod place;
mod processors;
mod protocols;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde::{Deserialize, Serialize};

pub(crate) use daemons::expected as expected_daemons;
pub(crate) use linkwatch::watch as watch_links;
pub(crate) use place::{bind, devices, folder, sys};
pub(crate) use protocols::{BgpPeer, OspfNeighbor};

use crate::credentials::Credentials;
use crate::files;
use crate::icmp;
use crate::kernel::{self, run_ip};
use crate::line;
use crate::supervise::{DaemonStatus, Supervisor};
use crate::topology::{MANAGEMENT, RANGE, Shape, Topology};

/// The account on every router of the service that collects configurations.
pub(crate) const COLLECTOR_ACCOUNT: &str = "sotp";

/// What a node must know to be built.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) state: PathBuf,
    /// The folder of this node's logs.
    pub(crate) logs: PathBuf,
    pub(crate) topology: Topology,
    pub(crate) index: usize,
    pub(crate) credentials: Credentials,
}

impl Spec {
    pub(crate) fn node(&self) -> &crate::topology::Node {
        &self.topology.nodes[self.index]
    }
}

/// A question to a node, or an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Addresses, routes, daemons; sent once, when all links are in place.
    Start { patience: Duration },
    /// The network is whole.
    Whole,
    /// What runs and what it says.
    Status,
    /// One end of a link.
    Link { interface: String, up: bool },
    /// The carrier of one end of a link in user space.
    Carrier { interface: String, on: bool },
    /// Netem on one interface.
    Shape { interface: String, shape: Shape },
    /// One echo request.
    Reach { address: Ipv4Addr },
}

/// The answer to a [`Request`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Done,
    Status(NodeStatus),
    /// What went wrong, and where.
    Failed(String),
}

/// What runs on a node, and what its protocols say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct NodeStatus {
    pub(crate) name: String,
    /// In the box.
    pub(crate) pid: u32,
    pub(crate) daemons: Vec<DaemonStatus>,
    pub(crate) ospf: Vec<OspfNeighbor>,
    pub(crate) bgp: Vec<BgpPeer>,
}

/// The socket of a node, inside the box.
pub(crate) fn socket(name: &str) -> PathBuf {
    Path::new(files::RUN)
        .join("nodes")
        .join(format!("{name}.sock"))
}

/// The life of a node's process; it ends with the box.
pub(crate) fn run(spec: Spec) -> anyhow::Result<()> {
    let place = place::of(&spec.node().name);
    let namespaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNS;
    unshare(namespaces).context("namespaces of the node")?;
    let (none, flags) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(none, "/", none, flags, none).context("private mounts")?;
    nix::unistd::sethostname(&spec.node().name).context("hostname")?;
    folder(&place, 0o755)?;
    sys()?;
    if spec.node().is_router() {
        place::furnish_router(&spec, &place)?;
    }
    let socket = socket(&spec.node().name);
    // Complete before it can be seen: a name that exists is a node that answers.
    let unfinished = socket.with_extension("new");
    let listener = UnixListener::bind(&unfinished).context("socket of the node")?;
    let supervisor = Supervisor::new(&spec.logs);
    line::serve(listener, move |request| {
        match answer(&spec, &supervisor, request) {
            Ok(answer) => answer,
            Err(error) => Answer::Failed(format!("{error:#}")),
        }
    });
    std::fs::rename(unfinished, socket)?;
    loop {
        std::thread::park();
    }
}

fn answer(spec: &Spec, supervisor: &Supervisor, request: Request) -> anyhow::Result<Answer> {
    match request {
        Request::Start { patience } => {
            configure(spec)?;
            daemons::start(spec, supervisor, patience)?;
        }
        Request::Whole if spec.node().is_router() => daemons::log_commands(spec)?,
        Request::Whole => {}
        Request::Status => return Ok(Answer::Status(status(spec, supervisor))),
        Request::Link { interface, up } => {
            run_ip(&format!(
                "link set dev {interface} {}",
                if up { "up" } else { "down" }
            ))?;
            if up {
                // The kernel drops a host's route with its interface.
                run_ip(&host_routes(spec))?;
            }
        }
        Request::Carrier { interface, on } => {
            let state = if on { "on" } else { "off" };
            run_ip(&format!("link set dev {interface} carrier {state}\n"))?;
        }
        Request::Shape { interface, shape } => kernel::netem(&interface, shape)?,
        Request::Reach { address } => {
            icmp::echo(address, Duration::from_secs(1))
                .map_err(|error| anyhow!("{address}: {error}"))?;
        }
    }
    Ok(Answer::Done)
}

fn status(spec: &Spec, supervisor: &Supervisor) -> NodeStatus {
    let mut status = NodeStatus {
        name: spec.node().name.clone(),
        pid: std::process::id(),
        daemons: supervisor.status(),
        ..NodeStatus::default()
    };
    // A daemon that does not answer shows as one without neighbours.
    if spec.node().is_router() {
        status.ospf = protocols::ospf_neighbors().unwrap_or_default();
    }
    if spec.node().asn().is_some() {
        status.bgp = protocols::bgp_peers().unwrap_or_default();
    }
    status
}

/// Addresses and routes of this network namespace.
fn configure(spec: &Spec) -> anyhow::Result<()> {
    kernel::open_ping_sockets()?;
    let node = spec.node();
    let mut batch = String::from("link set dev lo up\n");
    batch.push_str(&format!("address add {}/32 dev lo\n", node.loopback));
    for interface in spec.topology.interfaces(spec.index) {
        let name = &interface.name;
        batch.push_str(&format!(
            "address add {} dev {name}\nlink set dev {name} up\n",
            interface.address
        ));
        if !node.is_router() {
            // No segmentation by the card that is not there: flows must see packets as a wire does.
            batch.push_str(&format!("link set dev {name} gso_max_segs 1\n"));
        }
    }
    if let Some(address) = node.management() {
        let length = MANAGEMENT.prefix_len();
        batch.push_str(&format!(
            "address add {address}/{length} dev mgmt\nlink set dev mgmt up\n"
        ));
    }
    batch.push_str(&host_routes(spec));
    run_ip(&batch)
}

fn host_routes(spec: &Spec) -> String {
    if spec.node().is_router() {
        return String::new();
    }
    let interfaces = spec.topology.interfaces(spec.index);
    let route = |interface: &crate::topology::Interface| {
        format!(
            "route replace {RANGE} via {} dev {} src {}\n",
            interface.peer_address,
            interface.name,
            spec.node().loopback
        )
    };
    interfaces.iter().map(route).collect()
}
