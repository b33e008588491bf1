//! When a network is whole: every daemon runs, every neighbour is full, every session is established, and hosts
//! reach each other.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::{BoxStatus, Network, PATIENCE, order, progress};
use crate::files::tail;
use crate::node::{self, expected_daemons};
use crate::topology::Topology;

/// Between two looks at a network that is not whole yet.
const LOOK: Duration = Duration::from_millis(100);

/// How long one echo may take: longer than the longest way there and back of a sensible topology.
const ECHO: Duration = Duration::from_secs(1);

/// What a whole network has: done and wanted of each kind, and the first thing that is missing.
#[derive(Debug, Default)]
struct Count {
    ospf: (usize, usize),
    bgp: (usize, usize),
    /// Node, daemon whose log tells most, and what is missing.
    missing: Option<(String, &'static str, String)>,
}

impl Count {
    fn miss(&mut self, node: &str, daemon: &'static str, text: String) {
        self.missing
            .get_or_insert_with(|| (node.to_owned(), daemon, text));
    }
}

/// Returns when the network is whole, or says what is missing at the deadline.
pub(super) fn wait(network: &Network, deadline: Instant) -> anyhow::Result<()> {
    let mut shown = (usize::MAX, usize::MAX);
    loop {
        let count = count(&network.topology, &network.status());
        if (count.ospf.0, count.bgp.0) != shown {
            shown = (count.ospf.0, count.bgp.0);
            let ((full, ospf), (established, bgp)) = (count.ospf, count.bgp);
            progress(&format!(
                "OSPF {full} of {ospf} full, BGP {established} of {bgp} established"
            ));
        }
        let Some((node, daemon, text)) = count.missing else {
            break;
        };
        if Instant::now() > deadline {
            let log = network
                .state
                .logs()
                .join(&node)
                .join(format!("{daemon}.log"));
            bail!("{text}; the end of {}:\n{}", log.display(), tail(&log));
        }
        std::thread::sleep(LOOK);
    }
    reach(network, deadline)
}

fn count(topology: &Topology, status: &BoxStatus) -> Count {
    let mut count = Count::default();
    for (index, (node, now)) in topology.nodes.iter().zip(&status.nodes).enumerate() {
        let name = &node.name;
        for daemon in expected_daemons(node) {
            if !now
                .daemons
                .iter()
                .any(|one| one.name == daemon && one.pid.is_some())
            {
                count.miss(name, daemon, format!("{name}: {daemon} does not run"));
            }
        }
        if !node.is_router() {
            continue;
        }
        for interface in topology.interfaces(index) {
            if !interface.peer.is_router() {
                continue;
            }
            count.ospf.1 += 1;
            let state = now.ospf.iter().find(|one| one.interface == interface.name);
            let state = state.map_or("not seen", |one| &one.state);
            if state == "Full" {
                count.ospf.0 += 1;
            } else {
                let peer = &interface.peer.name;
                count.miss(
                    name,
                    "ospfd",
                    format!("{name}: OSPF neighbour {peer} is {state}, not Full"),
                );
            }
            if node.asn().is_none() || interface.peer.asn().is_none() {
                continue;
            }
            count.bgp.1 += 1;
            let address = interface.peer_address.to_string();
            let state = now.bgp.iter().find(|one| one.address == address);
            let state = state.map_or("not seen", |one| &one.state);
            if state == "Established" {
                count.bgp.0 += 1;
            } else {
                let peer = &interface.peer.name;
                count.miss(
                    name,
                    "bgpd",
                    format!("{name}: BGP peer {peer} is {state}, not Established"),
                );
            }
        }
    }
    count
}

/// Every host reaches the first host, and the box's root reaches every loopback.
fn reach(network: &Network, deadline: Instant) -> anyhow::Result<()> {
    let topology = &network.topology;
    let hosts: Vec<_> = topology
        .nodes
        .iter()
        .filter(|node| !node.is_router())
        .collect();
    if let [first, others @ ..] = &hosts[..] {
        for other in others {
            let request = node::Request::Reach {
                address: other.loopback,
            };
            until(
                deadline,
                &format!("{} does not reach {}", first.name, other.name),
                || order(first, &request, PATIENCE).map(|_| ()),
            )?;
            progress(&format!("{} reaches {}", first.name, other.name));
        }
    }
    for node in &topology.nodes {
        until(
            deadline,
            &format!("the box does not reach {}", node.name),
            || Ok(crate::icmp::echo(node.loopback, ECHO).map(|_| ())?),
        )?;
    }
    progress("the box reaches every node");
    Ok(())
}

fn until(
    deadline: Instant,
    what: &str,
    attempt: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    while let Err(error) = attempt() {
        if Instant::now() > deadline {
            bail!("{what}: {error:#}");
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}
