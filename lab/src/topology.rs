//! A network to build: its sites, routers, hosts and links, read from a TOML file and checked whole.

mod read;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::Ipv4Net;

/// The address range of every lab: the one that RFC 2544 keeps for benchmarks.
pub(crate) const RANGE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15);
/// The management network: the box's root and one interface of each router.
pub(crate) const MANAGEMENT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 255, 0), 24);
/// The box's root on the management network; flows and syslog go here.
pub(crate) const COLLECTOR: Ipv4Addr = Ipv4Addr::new(198, 18, 255, 254);
/// Where the routers send their syslog: the port of the standard.
pub(crate) const COLLECTOR_SYSLOG: SocketAddr = SocketAddr::new(IpAddr::V4(COLLECTOR), 514);
/// The address from which the box's root speaks to loopbacks, through the gateway router and the network.
pub(crate) const STATION: Ipv4Addr = Ipv4Addr::new(198, 18, 254, 1);
/// The network of [`STATION`], kept free by every topology.
pub(crate) const STATION_NETWORK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 254, 0), 24);

/// The topologies that come with this program: name and text.
pub(crate) const SHIPPED: [(&str, &str); 3] = [
    ("triangle", include_str!("../topologies/triangle.toml")),
    ("campus", include_str!("../topologies/campus.toml")),
    ("wan", include_str!("../topologies/wan.toml")),
];

/// A checked topology.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    /// One line about it.
    pub(crate) title: String,
    /// Where the randomness of delay and loss begins.
    pub(crate) seed: u64,
    /// Index of the router through which the box's root reaches the network.
    pub(crate) gateway: usize,
    /// The places.
    pub(crate) sites: Vec<Site>,
    /// Routers and hosts, in the file's order, routers first.
    pub(crate) nodes: Vec<Node>,
    /// The links, in the file's order.
    pub(crate) links: Vec<Link>,
    /// Streams between hosts.
    pub(crate) traffic: Vec<Traffic>,
}

/// A place with coordinates in degrees (WGS 84).
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
}

/// A router or a host.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) site: String,
    pub(crate) role: String,
    pub(crate) loopback: Ipv4Addr,
    pub(crate) kind: Kind,
}

/// What a node does.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Runs FRR and all that a router has around it.
    Router {
        /// On the management network.
        management: Ipv4Addr,
        /// Speaks BGP with every neighbour that has a number too.
        asn: Option<u32>,
        /// Exports flows.
        flow: Option<Flow>,
        /// How its syslog travels.
        syslog: SyslogBy,
    },
    /// Has one link and routes everything over it.
    Host,
}

/// The export of flows seen on one interface.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) version: FlowVersion,
    /// The interface's name.
    pub(crate) interface: String,
}

/// The protocol of a flow export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FlowVersion {
    /// RFC 3954, to port 2055.
    Netflow9,
    /// RFC 7011, to port 4739.
    Ipfix,
}

/// How a router's syslog reaches the collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SyslogBy {
    /// RFC 5426, to port 514.
    #[default]
    Udp,
    /// RFC 6587 with octet counting, to port 514.
    Tcp,
    /// RFC 5425, to port 6514.
    Tls,
}

/// A link between two nodes; `a` has the first address of `network` and `b` the second.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// `r1-r2`.
    pub(crate) name: String,
    pub(crate) a: usize,
    pub(crate) b: usize,
    pub(crate) network: Ipv4Net,
    /// OSPF cost of both ends.
    pub(crate) cost: u16,
    /// What both ends say of their speed by SNMP, in Mbit/s; `None` for what the kernel says. Nothing holds them to it.
    pub(crate) speed: Option<u32>,
    /// What the link does to packets, in each direction; `None` for a plain link.
    pub(crate) shape: Option<Shape>,
    /// Whether the inventory wants the ports at its ends up.
    pub(crate) desired_up: bool,
}

/// What a link does to the packets of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Shape {
    pub(crate) delay: Duration,
    /// Added to the delay: uniform between nothing and this. Packets keep their order.
    pub(crate) jitter: Duration,
    /// Share of packets lost, 0 to 1.
    pub(crate) loss: f64,
}

/// A steady stream from one host to another, half TCP and half UDP.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) kbit_per_second: u32,
}

/// One end of a link, as its node sees it.
#[derive(Clone, Debug)]
pub(crate) struct Interface<'a> {
    pub(crate) name: String,
    pub(crate) address: Ipv4Net,
    pub(crate) peer: &'a Node,
    pub(crate) peer_address: Ipv4Addr,
    pub(crate) link: &'a Link,
}

/// Why a topology was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file could not be read.
    #[error(
        "topology {origin}: cannot be read, and no shipped topology has this name ({})",
        shipped()
    )]
    Read {
        origin: String,
        #[source]
        source: std::io::Error,
    },
    /// The text is not TOML of this form, or says something that cannot be.
    #[error("{origin}:{line}: {problem}")]
    Bad {
        origin: String,
        line: usize,
        problem: String,
    },
}

fn shipped() -> String {
    SHIPPED.map(|(name, _)| name).join(", ")
}

/// The text of a shipped topology, or of the file at this path, and what to call it in messages.
pub(crate) fn find(name: &str) -> Result<(String, String), Error> {
    if let Some((name, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
        return Ok((format!("{name}.toml"), (*text).to_owned()));
    }
    match std::fs::read_to_string(name) {
        Ok(text) => Ok((name.to_owned(), text)),
        Err(source) => Err(Error::Read {
            origin: name.to_owned(),
            source,
        }),
    }
}

impl Topology {
    /// Reads and checks a topology; `origin` names the text in messages.
    pub(crate) fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        read::parse(text, origin)
    }

    /// The node of this name and its index.
    pub(crate) fn node(&self, name: &str) -> Option<(usize, &Node)> {
        self.nodes
            .iter()
            .enumerate()
            .find(|(_, node)| node.name == name)
    }

    /// The routers.
    pub(crate) fn routers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_router())
    }

    /// The link of this name; the ends may be named in either order.
    pub(crate) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| {
            link.name == name
                || name == format!("{}-{}", self.nodes[link.b].name, self.nodes[link.a].name)
        })
    }

    /// The interfaces of a node, in the order of the links.
    pub(crate) fn interfaces(&self, node: usize) -> Vec<Interface<'_>> {
        let mut interfaces = Vec::new();
        for link in &self.links {
            for (own, peer) in [(End::A, End::B), (End::B, End::A)] {
                if link.node(own) == node {
                    let peer_node = &self.nodes[link.node(peer)];
                    interfaces.push(Interface {
                        name: interface_name(&peer_node.name),
                        address: Ipv4Net::new_assert(link.address(own), link.network.prefix_len()),
                        peer: peer_node,
                        peer_address: link.address(peer),
                        link,
                    });
                }
            }
        }
        interfaces
    }
}

/// The name of the interface towards a node of this name.
pub(crate) fn interface_name(peer: &str) -> String {
    format!("to-{peer}")
}

/// An end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    A,
    B,
}

impl Link {
    /// Index of the node at this end.
    pub(crate) fn node(&self, end: End) -> usize {
        match end {
            End::A => self.a,
            End::B => self.b,
        }
    }

    /// The address of this end.
    pub(crate) fn address(&self, end: End) -> Ipv4Addr {
        let first = u32::from(self.network.network()) + 1;
        Ipv4Addr::from(if end == End::A { first } else { first + 1 })
    }
}

impl Node {
    /// Whether it is a router.
    pub(crate) fn is_router(&self) -> bool {
        matches!(self.kind, Kind::Router { .. })
    }

    /// Its address on the management network, of routers only.
    pub(crate) fn management(&self) -> Option<Ipv4Addr> {
        match self.kind {
            Kind::Router { management, .. } => Some(management),
            Kind::Host => None,
        }
    }

    /// Its AS number, of routers only.
    pub(crate) fn asn(&self) -> Option<u32> {
        match self.kind {
            Kind::Router { asn, .. } => asn,
            Kind::Host => None,
        }
    }
}
