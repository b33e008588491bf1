//! The configuration of FRR on one router, as `vtysh -b` reads it.

use crate::topology::{COLLECTOR, Interface, STATION, Topology};

/// Every command of every session goes to the log.
pub(crate) const LOG_COMMANDS: &str = "log commands";

/// FRR's configuration of the router at `index`, as it is saved.
pub(crate) fn configuration(topology: &Topology, index: usize) -> String {
    format!("{}{LOG_COMMANDS}\n", first_configuration(topology, index))
}

/// The same without the log of commands, which would begin with these and with every question that is asked until
/// the network is whole; [`LOG_COMMANDS`] is said after that.
///
/// OSPF runs on every interface and carries loopbacks, links and what hangs behind hosts; a router with an AS
/// number also speaks BGP on every link to another such router and announces its hosts there, and BGP wins.
/// OSPF timers are short so that a network is whole within seconds. BGP's hold time is three times longer than
/// would do: a cut link ends its session at once anyway, and a busy machine must not.
pub(crate) fn first_configuration(topology: &Topology, index: usize) -> String {
    let node = &topology.nodes[index];
    let interfaces = topology.interfaces(index);
    let gateway = topology.gateway == index;
    let mut out = String::new();
    let o = &mut out;
    line(o, "frr defaults traditional");
    line(o, &format!("hostname {}", node.name));
    for text in [
        "log syslog informational",
        "log stdout informational",
        "service integrated-vtysh-config",
        "agentx",
        "ip forwarding",
        "!",
    ] {
        line(o, text);
    }
    if gateway {
        line(o, &format!("ip route {STATION}/32 {COLLECTOR}"));
    }
    for host in hosts(&interfaces) {
        line(
            o,
            &format!("ip route {}/32 {}", host.peer.loopback, host.peer_address),
        );
    }
    for interface in &interfaces {
        ospf_interface(o, interface);
    }
    line(o, "interface lo\n ip ospf area 0\nexit\n!");
    line(o, "router ospf");
    line(o, &format!(" ospf router-id {}", node.loopback));
    line(o, " log-adjacency-changes");
    line(o, " redistribute static");
    line(o, " timers throttle spf 10 100 1000");
    line(o, " timers throttle lsa all 100");
    line(o, " timers lsa min-arrival 50");
    line(o, "exit\n!");
    if let Some(asn) = node.asn() {
        bgp(o, asn, topology, index, &interfaces);
    }
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn hosts<'a>(interfaces: &'a [Interface<'a>]) -> impl Iterator<Item = &'a Interface<'a>> {
    interfaces
        .iter()
        .filter(|interface| !interface.peer.is_router())
}

fn ospf_interface(out: &mut String, interface: &Interface) {
    line(out, &format!("interface {}", interface.name));
    line(out, &format!(" description link {}", interface.link.name));
    line(out, &format!(" ip ospf cost {}", interface.link.cost));
    if interface.peer.is_router() {
        line(out, " ip ospf network point-to-point");
        line(out, " ip ospf hello-interval 1");
        line(out, " ip ospf dead-interval 5");
        line(out, " ip ospf retransmit-interval 1");
    } else {
        line(out, " ip ospf passive");
    }
    // Last: it starts the protocol, and a hello that was sent with default timers costs ten seconds.
    line(out, " ip ospf area 0\nexit\n!");
}

fn bgp(out: &mut String, asn: u32, topology: &Topology, index: usize, interfaces: &[Interface]) {
    let node = &topology.nodes[index];
    line(out, &format!("router bgp {asn}"));
    line(out, &format!(" bgp router-id {}", node.loopback));
    line(out, " bgp log-neighbor-changes");
    line(out, " no bgp ebgp-requires-policy");
    line(out, " timers bgp 3 9");
    let peers: Vec<(&Interface, u32)> = interfaces
        .iter()
        .filter_map(|interface| Some((interface, interface.peer.asn()?)))
        .collect();
    for (interface, peer_asn) in &peers {
        let address = interface.peer_address;
        line(out, &format!(" neighbor {address} remote-as {peer_asn}"));
        line(
            out,
            &format!(" neighbor {address} description {}", interface.peer.name),
        );
        line(out, &format!(" neighbor {address} timers connect 1"));
        line(
            out,
            &format!(" neighbor {address} advertisement-interval 0"),
        );
    }
    line(out, " address-family ipv4 unicast");
    for host in hosts(interfaces) {
        line(out, &format!("  network {}", host.link.network));
        line(out, &format!("  network {}/32", host.peer.loopback));
    }
    for (interface, _) in peers.iter().filter(|(_, peer_asn)| *peer_asn == asn) {
        line(
            out,
            &format!("  neighbor {} next-hop-self", interface.peer_address),
        );
    }
    line(out, " exit-address-family\nexit\n!");
}
