//! Fixtures carry their verdict in the name; each bad one is bound to its exact text.

use std::path::{Path, PathBuf};

use super::*;

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/topology")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn two() -> Topology {
    Topology::parse(&fixture("two.good.toml"), "two.toml").unwrap()
}

const BAD: &[(&str, &str)] = &[
    (
        "address-outside",
        "20: loopback of r2: 10.0.0.2: expected an address within 198.18.0.0/15",
    ),
    (
        "address-reserved",
        "20: loopback of r2: 198.18.255.9: 198.18.255.0/24 is kept for management",
    ),
    (
        "address-taken",
        "31: loopback of h2: 198.18.0.1: taken by the loopback of r1",
    ),
    ("asn", "15: asn 0: expected 1 to 4294967295"),
    ("cost", "37: link r1-r2: cost 0: expected 1 to 65535"),
    (
        "speed",
        "37: link r1-r2: speed_mbit 0: expected 1 to 400000",
    ),
    ("delay", "37: link r1-r2: delay_ms -1: expected 0 to 5000"),
    ("flow-no-link", "16: flow: r1 has no link to h2"),
    ("desired", "40: unknown variant `down`, expected `up`"),
    (
        "flow-version",
        "16: unknown variant `netflow5`, expected `netflow9` or `ipfix`",
    ),
    ("gateway-host", "2: gateway h1: expected a router"),
    (
        "host-two-links",
        "24: host h1: 2 links, expected exactly one",
    ),
    (
        "latitude",
        "5: site berlin: 152.52, 13.405: expected degrees within ±90 and ±180",
    ),
    (
        "link-hosts",
        "42: link h2-h1: at least one end must be a router",
    ),
    ("link-self", "35: link r1-r1: expected two different nodes"),
    (
        "link-twice",
        "42: link r2-r1: these nodes are linked already",
    ),
    ("link-unknown", "35: no router or host is named r9"),
    ("loss", "39: link r1-r2: loss_ratio 1.5: expected 0 to 1"),
    ("missing-key", "5: missing field `region`"),
    (
        "name",
        r#"18: name "Router 2": expected 1 to 12 of a-z, 0-9 and _, and not "box""#,
    ),
    (
        "name-box",
        r#"18: name "box": expected 1 to 12 of a-z, 0-9 and _, and not "box""#,
    ),
    ("name-twice", "24: node r1 is there twice"),
    (
        "network-host-bits",
        "36: link r1-r2: 198.18.1.1/30: expected a network of at least four addresses, such as 198.18.1.0/30",
    ),
    (
        "network-overlap",
        "49: link h2-r2: 198.18.0.0/23: taken by the loopback of r1",
    ),
    (
        "network-small",
        "36: link r1-r2: 198.18.1.0/31: expected a network of at least four addresses, such as 198.18.1.0/30",
    ),
    ("no-router", "1: 0 routers: expected 1 to 200"),
    ("no-site", "19: no site is named paris"),
    (
        "syslog",
        "15: unknown variant `relp`, expected one of `udp`, `tcp`, `tls`",
    ),
    ("site-twice", "11: site berlin is there twice"),
    ("syntax", "3: extra `=`, expected nothing"),
    (
        "traffic-rate",
        "54: traffic: kbit_per_second 0: expected 1 to 10000",
    ),
    ("traffic-router", "52: traffic: r1: expected a host"),
    ("traffic-self", "53: traffic: expected two different hosts"),
    (
        "unknown-key",
        "3: unknown field `sed`, expected one of `title`, `seed`, `gateway`, `site`, `router`, `host`, `link`, `traffic`",
    ),
    (
        "wrong-type",
        r#"8: invalid type: string "north", expected f64"#,
    ),
];

#[test]
fn every_bad_topology_is_refused_with_its_line_and_what_was_expected() {
    for (name, expected) in BAD {
        let origin = format!("{name}.toml");
        let error = Topology::parse(&fixture(&format!("{name}.bad.toml")), &origin).unwrap_err();
        assert_eq!(error.to_string(), format!("{origin}:{expected}"));
    }
}

#[test]
fn every_bad_fixture_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/topology");
    let files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        if let Some(name) = name.strip_suffix(".bad.toml") {
            assert!(
                BAD.iter().any(|(known, _)| *known == name),
                "{name} has no expected text"
            );
        }
    }
}

#[test]
fn an_unknown_name_says_which_topologies_there_are() {
    let error = find("no-such-topology").unwrap_err();
    assert_eq!(
        error.to_string(),
        "topology no-such-topology: cannot be read, and no shipped topology has this name (triangle, campus, wan)"
    );
}

#[test]
fn shipped_topologies_are_good_and_have_the_size_they_promise() {
    for (name, routers, hosts) in [("triangle", 3, 2), ("campus", 10, 4), ("wan", 4, 3)] {
        let (origin, text) = find(name).unwrap();
        let topology = Topology::parse(&text, &origin).unwrap();
        assert_eq!(topology.routers().count(), routers, "{name}");
        assert_eq!(topology.nodes.len(), routers + hosts, "{name}");
        let shaped = topology
            .links
            .iter()
            .filter(|link| link.shape.is_some())
            .count();
        assert_eq!(shaped > 0, name == "wan", "{name}");
    }
}

#[test]
fn the_first_end_of_a_link_has_the_first_address() {
    let topology = two();
    let (r1, _) = topology.node("r1").unwrap();
    let interfaces = topology.interfaces(r1);
    let seen: Vec<String> = interfaces
        .iter()
        .map(|interface| {
            format!(
                "{} {} {}",
                interface.name, interface.address, interface.peer_address
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            "to-r2 198.18.1.1/30 198.18.1.2",
            "to-h1 198.18.10.1/24 198.18.10.2"
        ]
    );
    // This link was written with the host first.
    let (h2, _) = topology.node("h2").unwrap();
    assert_eq!(
        topology.interfaces(h2)[0].address.to_string(),
        "198.18.11.1/24"
    );
}

#[test]
fn routers_count_on_the_management_network_and_hosts_stay_off_it() {
    let topology = two();
    let management: Vec<Option<String>> = topology
        .nodes
        .iter()
        .map(|node| node.management().map(|address| address.to_string()))
        .collect();
    assert_eq!(
        management,
        [
            Some("198.18.255.1".to_owned()),
            Some("198.18.255.2".to_owned()),
            None,
            None
        ]
    );
    for address in [COLLECTOR, STATION] {
        assert!(RANGE.contains(&address));
    }
}

#[test]
fn a_link_is_found_by_either_order_of_its_ends() {
    let topology = two();
    assert_eq!(topology.link("r1-r2").unwrap().name, "r1-r2");
    assert_eq!(topology.link("r2-r1").unwrap().name, "r1-r2");
    assert!(topology.link("r1-r9").is_none());
}

#[test]
fn a_shape_is_read_in_its_units() {
    let shape = two().links[0].shape.unwrap();
    let expected = Shape {
        delay: Duration::from_millis(20),
        jitter: Duration::from_micros(2_500),
        loss: 0.01,
    };
    assert_eq!(shape, expected);
}

#[test]
fn the_example_of_the_documentation_is_a_good_topology() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lab.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let topology = Topology::parse(example, "docs/lab.md").unwrap();
    assert_eq!(
        (
            topology.nodes.len(),
            topology.links.len(),
            topology.traffic.len()
        ),
        (4, 3, 1)
    );
}
