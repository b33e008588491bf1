//! The box's root namespaces and the links between the nodes.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::mount::{MsFlags, mount};

use super::super::wire;
use super::{LinkStatus, run_folder};
use crate::files::tail;
use crate::inside::Medium;
use crate::kernel::{netem, open_ping_sockets, run_ip};
use crate::lab::state::State;
use crate::node::{bind, devices, folder, sys};
use crate::topology::{COLLECTOR, MANAGEMENT, RANGE, STATION, Shape, Topology};

/// Folders into which daemons write whatever happens: empty and in memory inside the box.
const HIDDEN: [&str; 3] = ["/run", "/var/log", "/var/tmp"];

/// Makes the box's root: its mounts, its name and its management network.
pub(super) fn root(state: &State) -> anyhow::Result<()> {
    // Held open, since one of the mounts may cover it.
    let held = File::open(state.path()).context("state folder")?;
    for path in HIDDEN {
        mount(
            Some("tmpfs"),
            path,
            Some("tmpfs"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            Some("mode=755"),
        )
        .with_context(|| format!("mount tmpfs on {path}"))?;
    }
    if HIDDEN.iter().any(|hidden| state.path().starts_with(hidden)) {
        folder(state.path(), 0o700)?;
        let source = format!("/proc/self/fd/{}", held.as_raw_fd());
        bind(Path::new(&source), state.path())?;
    }
    folder(run_folder(), 0o755)?;
    folder(&run_folder().join("nodes"), 0o755)?;
    devices(&run_folder().join("dev"))?;
    sys()?;
    nix::unistd::sethostname("box").context("hostname")?;
    open_ping_sockets()?;
    let length = MANAGEMENT.prefix_len();
    run_ip(&format!(
        "link set dev lo up\n\
         address add {STATION}/32 dev lo\n\
         link add name mgmt type bridge\n\
         address add {COLLECTOR}/{length} dev mgmt\n\
         link set dev mgmt up\n\
         route add unreachable {RANGE}\n"
    ))
}

/// Whether this kernel delays and loses packets itself. Tried on the loopback interface and taken back.
pub(super) fn has_netem() -> bool {
    let shape = Shape {
        delay: Duration::from_millis(1),
        ..Shape::default()
    };
    let has = netem("lo", shape).is_ok();
    if has {
        let _ = Command::new("tc")
            .args(["qdisc", "del", "dev", "lo", "root"])
            .status();
    }
    has
}

/// Lays every link, and one of each router to the management network; `pids` are the nodes' processes.
pub(super) fn links(
    state: &State,
    topology: &Topology,
    pids: &[u32],
    netem: bool,
    deadline: Instant,
) -> anyhow::Result<HashMap<String, LinkStatus>> {
    let mut batch = String::new();
    let mut links = HashMap::new();
    for (index, link) in topology.links.iter().enumerate() {
        let medium = match link.shape {
            None => Medium::Veth,
            Some(_) if netem => Medium::Netem,
            Some(_) => Medium::Tun,
        };
        let (a, b) = (&topology.nodes[link.a].name, &topology.nodes[link.b].name);
        if medium != Medium::Tun {
            batch.push_str(&cable(
                index,
                (&format!("to-{b}"), pids[link.a]),
                (&format!("to-{a}"), pids[link.b]),
            ));
        }
        let status = LinkStatus {
            name: link.name.clone(),
            medium,
            up: true,
            shape: link.shape,
            wire: None,
        };
        links.insert(link.name.clone(), status);
    }
    for (node, pid) in topology
        .nodes
        .iter()
        .zip(pids)
        .filter(|(node, _)| node.is_router())
    {
        let name = &node.name;
        batch.push_str(&format!(
            "link add name m-{name} type veth peer name mgmt netns {pid}\n\
             link set dev m-{name} master mgmt up\n"
        ));
    }
    run_ip(&batch)?;
    let tun = topology
        .links
        .iter()
        .filter(|link| links[&link.name].medium == Medium::Tun);
    let mut wires = Vec::new();
    for link in tun {
        wires.push((
            &link.name,
            start_wire(state, &link.name, [pids[link.a], pids[link.b]])?,
        ));
    }
    for (name, mut child) in wires {
        while !wire::socket(name).exists() {
            if child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!(
                    "link {name} in user space: {}",
                    tail(&wire_log(state, name))
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::spawn(move || child.wait());
    }
    Ok(links)
}

/// A link that can be cut as a cable is: two pairs of virtual Ethernet interfaces and a bridge between, which passes everything on. Of one pair alone
/// the kernel takes the carrier only with an end that is set down.
fn cable(index: usize, a: (&str, u32), b: (&str, u32)) -> String {
    let mut batch = format!(
        "link add name cable{index} type bridge mcast_snooping 0 group_fwd_mask 65528\n\
         link set dev cable{index} addrgenmode none\n"
    );
    for (half, (interface, pid)) in halves(index).into_iter().zip([a, b]) {
        batch.push_str(&format!(
            "link add name {half} type veth peer name {interface} netns {pid}\n\
             link set dev {half} addrgenmode none\n\
             link set dev {half} master cable{index} up\n"
        ));
    }
    batch.push_str(&format!("link set dev cable{index} up\n"));
    batch
}

/// The two ends of a cable that are in the box's root.
fn halves(index: usize) -> [String; 2] {
    ["a", "b"].map(|half| format!("cable{index}{half}"))
}

/// Cuts the cable of a link or splices it: both ports lose their carrier or have it again.
pub(super) fn plug(index: usize, in_place: bool) -> anyhow::Result<()> {
    let state = if in_place { "up" } else { "down" };
    let lines = halves(index).map(|half| format!("link set dev {half} {state}\n"));
    run_ip(&lines.concat())
}

fn wire_log(state: &State, link: &str) -> std::path::PathBuf {
    state.logs().join(format!("link-{link}.log"))
}

fn start_wire(state: &State, link: &str, pids: [u32; 2]) -> anyhow::Result<Child> {
    let log = File::create(wire_log(state, link))?;
    Command::new(std::env::current_exe()?)
        .args(["inside", "wire", "--link", link, "--state"])
        .arg(state.path())
        .arg("--pids")
        .args(pids.map(|pid| pid.to_string()))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("link in user space")
}

/// The box's root reaches every address through the gateway router, from an address that the network knows a
/// way back to.
pub(super) fn routes(topology: &Topology) -> anyhow::Result<()> {
    let Some(gateway) = topology.nodes[topology.gateway].management() else {
        bail!("the gateway is no router");
    };
    let mut batch = String::new();
    let loopbacks = topology
        .nodes
        .iter()
        .map(|node| format!("{}/32", node.loopback));
    let links = topology.links.iter().map(|link| link.network.to_string());
    for prefix in loopbacks.chain(links) {
        batch.push_str(&format!("route add {prefix} via {gateway} src {STATION}\n"));
    }
    run_ip(&batch)
}

/// The routers' host keys, for an SSH client that checks them.
pub(super) fn known_hosts(state: &State, topology: &Topology) -> anyhow::Result<()> {
    let mut text = String::new();
    for (index, node) in topology.nodes.iter().enumerate() {
        if !node.is_router() {
            continue;
        }
        let key = run_folder()
            .join("nodes")
            .join(&node.name)
            .join("ssh/host_key.pub");
        let key = std::fs::read_to_string(key)?;
        let mut names = vec![node.name.clone(), node.loopback.to_string()];
        names.extend(node.management().map(|address| address.to_string()));
        let own = topology.interfaces(index).into_iter();
        names.extend(own.map(|interface| interface.address.addr().to_string()));
        text.push_str(&format!("{} {key}", names.join(",")));
    }
    Ok(std::fs::write(state.known_hosts(), text)?)
}
