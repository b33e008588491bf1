//! The configuration of FRR against golden files.

use std::path::Path;

use super::frr;
use crate::topology::{self, Topology};

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/frr")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text,
        expected,
        "{}; UPDATE_GOLDEN=1 writes it anew",
        path.display()
    );
}

fn configuration(name: &str, node: &str) -> String {
    let (origin, text) = topology::find(name).unwrap();
    let topology = Topology::parse(&text, &origin).unwrap();
    let (index, _) = topology.node(node).unwrap();
    frr::configuration(&topology, index)
}

#[test]
fn the_gateway_has_a_way_back_to_the_box_and_to_its_host() {
    golden("triangle-r1.conf", &configuration("triangle", "r1"));
}

#[test]
fn routers_of_one_as_speak_with_themselves_as_next_hop() {
    golden("campus-core1.conf", &configuration("campus", "core1"));
}

#[test]
fn a_router_without_a_number_speaks_ospf_only() {
    let text = configuration("campus", "dist1");
    assert!(
        text.contains("router ospf") && !text.contains("router bgp"),
        "{text}"
    );
}

#[test]
fn the_first_configuration_does_not_log_the_commands_of_the_start() {
    let (origin, text) = topology::find("triangle").unwrap();
    let topology = Topology::parse(&text, &origin).unwrap();
    let whole = frr::configuration(&topology, 0);
    let first = frr::first_configuration(&topology, 0);
    assert_eq!(whole, format!("{first}{}\n", frr::LOG_COMMANDS));
    assert!(!first.contains(frr::LOG_COMMANDS));
}
