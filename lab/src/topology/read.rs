//! From TOML text to a checked topology.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde::Deserialize;
use toml::Spanned;

use super::{
    Error, Flow, FlowVersion, Kind, Link, MANAGEMENT, Node, RANGE, STATION_NETWORK, Shape, Site,
    SyslogBy, Topology, Traffic, interface_name,
};

/// Longest node name: `to-NAME` must be an interface name (15 bytes).
const NAME_MAX: usize = 12;
/// Most routers: each needs an address of the management network beside the collector's.
const ROUTERS_MAX: usize = 200;
/// Longest delay of a link; what is in flight waits in memory.
const DELAY_MAX_MS: f64 = 5_000.0;
/// Longest speed that a link may claim: 400 Gbit/s.
const SPEED_MAX_MBIT: u32 = 400_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    title: String,
    #[serde(default)]
    seed: u64,
    gateway: Spanned<String>,
    #[serde(default)]
    site: Vec<Spanned<Site>>,
    #[serde(default)]
    router: Vec<RawRouter>,
    #[serde(default)]
    host: Vec<RawHost>,
    #[serde(default)]
    link: Vec<RawLink>,
    #[serde(default)]
    traffic: Vec<RawTraffic>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRouter {
    name: Spanned<String>,
    site: Spanned<String>,
    #[serde(default = "router")]
    role: String,
    loopback: Spanned<Ipv4Addr>,
    asn: Option<Spanned<u32>>,
    flow: Option<RawFlow>,
    #[serde(default)]
    syslog: SyslogBy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFlow {
    version: FlowVersion,
    towards: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHost {
    name: Spanned<String>,
    site: Spanned<String>,
    #[serde(default = "host")]
    role: String,
    loopback: Spanned<Ipv4Addr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLink {
    a: Spanned<String>,
    b: Spanned<String>,
    network: Spanned<Ipv4Net>,
    cost: Option<Spanned<u16>>,
    speed_mbit: Option<Spanned<u32>>,
    delay_ms: Option<Spanned<f64>>,
    jitter_ms: Option<Spanned<f64>>,
    loss_ratio: Option<Spanned<f64>>,
    desired: Option<RawDesired>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawDesired {
    Up,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTraffic {
    from: Spanned<String>,
    to: Spanned<String>,
    kbit_per_second: Spanned<u32>,
}

fn router() -> String {
    "router".to_owned()
}

fn host() -> String {
    "host".to_owned()
}

/// Where in which text, so that every refusal names its line.
struct Place<'a> {
    text: &'a str,
    origin: &'a str,
}

impl Place<'_> {
    fn bad(&self, offset: usize, problem: String) -> Error {
        let before = self.text.get(..offset).unwrap_or(self.text);
        Error::Bad {
            origin: self.origin.to_owned(),
            line: before.matches('\n').count() + 1,
            problem,
        }
    }

    fn at<T>(&self, spanned: &Spanned<T>, problem: String) -> Error {
        self.bad(spanned.span().start, problem)
    }
}

pub(super) fn parse(text: &str, origin: &str) -> Result<Topology, Error> {
    let place = Place { text, origin };
    let raw: Raw = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        place.bad(offset, error.message().trim().to_owned())
    })?;
    check(raw, &place)
}

fn check(raw: Raw, place: &Place) -> Result<Topology, Error> {
    let sites = check_sites(raw.site, place)?;
    let mut addresses = Addresses::default();
    let mut nodes = Nodes::default();
    if raw.router.is_empty() || raw.router.len() > ROUTERS_MAX {
        let count = raw.router.len();
        return Err(place.bad(0, format!("{count} routers: expected 1 to {ROUTERS_MAX}")));
    }
    let mut flows = Vec::new();
    for (index, router) in raw.router.into_iter().enumerate() {
        let asn = router.asn.as_ref().map(|asn| *asn.get_ref());
        if let (Some(0), Some(at)) = (asn, &router.asn) {
            return Err(place.at(at, "asn 0: expected 1 to 4294967295".to_owned()));
        }
        let last = u8::try_from(index + 1).unwrap_or(u8::MAX);
        let [first, second, third, _] = MANAGEMENT.network().octets();
        let kind = Kind::Router {
            management: Ipv4Addr::new(first, second, third, last),
            asn,
            flow: None,
            syslog: router.syslog,
        };
        let base = (router.name, router.site, router.role, router.loopback);
        let node = nodes.add(base, kind, &sites, &mut addresses, place)?;
        flows.extend(router.flow.map(|flow| (node, flow)));
    }
    for host in raw.host {
        let base = (host.name, host.site, host.role, host.loopback);
        nodes.add(base, Kind::Host, &sites, &mut addresses, place)?;
    }
    let mut links: Vec<Link> = Vec::new();
    for link in raw.link {
        let checked = check_link(&link, &nodes, &mut addresses, place)?;
        let ends = [checked.a, checked.b];
        if links
            .iter()
            .any(|other| ends.contains(&other.a) && ends.contains(&other.b))
        {
            let name = &checked.name;
            return Err(place.at(
                &link.a,
                format!("link {name}: these nodes are linked already"),
            ));
        }
        links.push(checked);
    }
    for (index, node) in nodes
        .list
        .iter()
        .enumerate()
        .filter(|(_, node)| !node.is_router())
    {
        let peers = links
            .iter()
            .filter(|link| link.a == index || link.b == index)
            .count();
        if peers != 1 {
            let problem = format!("host {}: {peers} links, expected exactly one", node.name);
            return Err(place.bad(nodes.lines[index], problem));
        }
    }
    for (index, flow) in flows {
        let peer = nodes.find(&flow.towards, place)?;
        let ends = [index, peer];
        if !links
            .iter()
            .any(|link| ends.contains(&link.a) && ends.contains(&link.b))
        {
            let (own, peer) = (&nodes.list[index].name, &nodes.list[peer].name);
            let problem = format!("flow: {own} has no link to {peer}");
            return Err(place.at(&flow.towards, problem));
        }
        if let Kind::Router { flow: slot, .. } = &mut nodes.list[index].kind {
            *slot = Some(Flow {
                version: flow.version,
                interface: interface_name(flow.towards.get_ref()),
            });
        }
    }
    let gateway = nodes.find(&raw.gateway, place)?;
    if !nodes.list[gateway].is_router() {
        let problem = format!("gateway {}: expected a router", raw.gateway.get_ref());
        return Err(place.at(&raw.gateway, problem));
    }
    let mut traffic = Vec::new();
    for stream in raw.traffic {
        traffic.push(check_traffic(&stream, &nodes, place)?);
    }
    Ok(Topology {
        title: raw.title,
        seed: raw.seed,
        gateway,
        sites,
        nodes: nodes.list,
        links,
        traffic,
    })
}

fn check_sites(raw: Vec<Spanned<Site>>, place: &Place) -> Result<Vec<Site>, Error> {
    let mut sites: Vec<Site> = Vec::new();
    for spanned in raw {
        let site = spanned.get_ref();
        let (name, latitude, longitude) = (&site.name, site.latitude, site.longitude);
        if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
            let problem = format!(
                "site {name}: {latitude}, {longitude}: expected degrees within ±90 and ±180"
            );
            return Err(place.at(&spanned, problem));
        }
        if sites.iter().any(|other| other.name == *name) {
            return Err(place.at(&spanned, format!("site {name} is there twice")));
        }
        sites.push(spanned.into_inner());
    }
    Ok(sites)
}

/// The nodes read so far, and where each began.
#[derive(Default)]
struct Nodes {
    list: Vec<Node>,
    lines: Vec<usize>,
    names: HashMap<String, usize>,
}

type Base = (Spanned<String>, Spanned<String>, String, Spanned<Ipv4Addr>);

impl Nodes {
    fn add(
        &mut self,
        (name, site, role, loopback): Base,
        kind: Kind,
        sites: &[Site],
        addresses: &mut Addresses,
        place: &Place,
    ) -> Result<usize, Error> {
        let text = name.get_ref();
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if text.is_empty() || text.len() > NAME_MAX || !plain || text == "box" {
            let problem = format!(
                "name {text:?}: expected 1 to {NAME_MAX} of a-z, 0-9 and _, and not \"box\""
            );
            return Err(place.at(&name, problem));
        }
        let index = self.list.len();
        if self.names.insert(text.clone(), index).is_some() {
            return Err(place.at(&name, format!("node {text} is there twice")));
        }
        if !sites.iter().any(|known| known.name == *site.get_ref()) {
            return Err(place.at(&site, format!("no site is named {}", site.get_ref())));
        }
        let net = Ipv4Net::from(*loopback.get_ref());
        addresses
            .take(net, &format!("loopback of {text}"))
            .map_err(|p| place.at(&loopback, p))?;
        self.lines.push(name.span().start);
        self.list.push(Node {
            name: name.into_inner(),
            site: site.into_inner(),
            role,
            loopback: loopback.into_inner(),
            kind,
        });
        Ok(index)
    }

    fn find(&self, name: &Spanned<String>, place: &Place) -> Result<usize, Error> {
        self.names.get(name.get_ref()).copied().ok_or_else(|| {
            place.at(
                name,
                format!("no router or host is named {}", name.get_ref()),
            )
        })
    }
}

/// The networks in use; none may overlap another.
#[derive(Default)]
struct Addresses {
    taken: Vec<(Ipv4Net, String)>,
}

impl Addresses {
    fn take(&mut self, net: Ipv4Net, owner: &str) -> Result<(), String> {
        let text = if net.prefix_len() == 32 {
            net.addr().to_string()
        } else {
            net.to_string()
        };
        if !RANGE.contains(&net) {
            return Err(format!(
                "{owner}: {text}: expected an address within {RANGE}"
            ));
        }
        for reserved in [MANAGEMENT, STATION_NETWORK] {
            if overlap(reserved, net) {
                return Err(format!(
                    "{owner}: {text}: {reserved} is kept for management"
                ));
            }
        }
        if let Some((_, other)) = self.taken.iter().find(|(taken, _)| overlap(*taken, net)) {
            return Err(format!("{owner}: {text}: taken by the {other}"));
        }
        self.taken.push((net, owner.to_owned()));
        Ok(())
    }
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

fn check_link(
    raw: &RawLink,
    nodes: &Nodes,
    addresses: &mut Addresses,
    place: &Place,
) -> Result<Link, Error> {
    let (a, b) = (nodes.find(&raw.a, place)?, nodes.find(&raw.b, place)?);
    let name = format!("{}-{}", nodes.list[a].name, nodes.list[b].name);
    if a == b {
        return Err(place.at(&raw.b, format!("link {name}: expected two different nodes")));
    }
    if !nodes.list[a].is_router() && !nodes.list[b].is_router() {
        return Err(place.at(
            &raw.a,
            format!("link {name}: at least one end must be a router"),
        ));
    }
    let network = *raw.network.get_ref();
    if network.prefix_len() > 30 || network.addr() != network.network() {
        let problem = format!(
            "link {name}: {network}: expected a network of at least four addresses, such as {}/30",
            network.network()
        );
        return Err(place.at(&raw.network, problem));
    }
    addresses
        .take(network, &format!("link {name}"))
        .map_err(|p| place.at(&raw.network, p))?;
    if let Some(cost) = raw.cost.as_ref().filter(|cost| *cost.get_ref() == 0) {
        return Err(place.at(cost, format!("link {name}: cost 0: expected 1 to 65535")));
    }
    if let Some(speed) = &raw.speed_mbit
        && !(1..=SPEED_MAX_MBIT).contains(speed.get_ref())
    {
        let problem = format!(
            "link {name}: speed_mbit {}: expected 1 to {SPEED_MAX_MBIT}",
            speed.get_ref()
        );
        return Err(place.at(speed, problem));
    }
    let millis = |field: &str, value: &Option<Spanned<f64>>| -> Result<Duration, Error> {
        let Some(value) = value else {
            return Ok(Duration::ZERO);
        };
        let ms = *value.get_ref();
        if !(0.0..=DELAY_MAX_MS).contains(&ms) {
            let problem = format!("link {name}: {field} {ms}: expected 0 to {DELAY_MAX_MS}");
            return Err(place.at(value, problem));
        }
        Ok(Duration::from_secs_f64(ms / 1_000.0))
    };
    let (delay, jitter) = (
        millis("delay_ms", &raw.delay_ms)?,
        millis("jitter_ms", &raw.jitter_ms)?,
    );
    let loss = raw.loss_ratio.as_ref().map_or(0.0, |loss| *loss.get_ref());
    if let Some(at) = raw
        .loss_ratio
        .as_ref()
        .filter(|_| !(0.0..=1.0).contains(&loss))
    {
        return Err(place.at(
            at,
            format!("link {name}: loss_ratio {loss}: expected 0 to 1"),
        ));
    }
    let shaped = raw.delay_ms.is_some() || raw.jitter_ms.is_some() || raw.loss_ratio.is_some();
    Ok(Link {
        name,
        a,
        b,
        network,
        cost: raw.cost.as_ref().map_or(10, |cost| *cost.get_ref()),
        speed: raw.speed_mbit.as_ref().map(|speed| *speed.get_ref()),
        shape: shaped.then_some(Shape {
            delay,
            jitter,
            loss,
        }),
        desired_up: raw.desired.is_some(),
    })
}

fn check_traffic(raw: &RawTraffic, nodes: &Nodes, place: &Place) -> Result<Traffic, Error> {
    let (from, to) = (nodes.find(&raw.from, place)?, nodes.find(&raw.to, place)?);
    for (index, at) in [(from, &raw.from), (to, &raw.to)] {
        if nodes.list[index].is_router() {
            return Err(place.at(at, format!("traffic: {}: expected a host", at.get_ref())));
        }
    }
    let rate = *raw.kbit_per_second.get_ref();
    if from == to {
        return Err(place.at(&raw.to, "traffic: expected two different hosts".to_owned()));
    }
    if !(1..=10_000).contains(&rate) {
        let problem = format!("traffic: kbit_per_second {rate}: expected 1 to 10000");
        return Err(place.at(&raw.kbit_per_second, problem));
    }
    Ok(Traffic {
        from,
        to,
        kbit_per_second: rate,
    })
}
