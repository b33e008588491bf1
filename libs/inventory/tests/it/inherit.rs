//! What a device takes from its groups, and what follows from its addresses.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use inventory::{Address, Desired, Family, Inventory};

fn full() -> Inventory {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/full.good.yaml");
    Inventory::read(&path).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn later_groups_win_over_earlier_ones_and_the_device_over_all() {
    let inventory = full();
    let r1 = inventory.device("r1").unwrap();
    let ping = r1.ping.as_ref().unwrap();
    // all: 1s and 500ms; routers: 250ms; the device: 2s.
    assert_eq!(ping.interval, Some(Duration::from_millis(250)));
    assert_eq!(ping.timeout, Some(Duration::from_secs(2)));
    let snmp = r1.snmp.as_ref().unwrap();
    assert_eq!(
        (&*snmp.module, snmp.auth.as_deref(), snmp.port),
        ("if_mib,bgp4", Some("other"), 161)
    );
    let ssh = r1.ssh.as_ref().unwrap();
    assert_eq!((ssh.port, ssh.credentials.as_deref()), (2222, Some("lab")));
    assert_eq!(
        (&*r1.role, &*r1.platform, &*r1.site),
        ("core", "frr", "prague")
    );
    assert_eq!(&*r1.labels, r#"device="r1",site="prague",role="core""#);
}

#[test]
fn tags_and_maintenance_add_up() {
    let inventory = full();
    let r1 = inventory.device("r1").unwrap();
    let tags: Vec<&str> = r1.tags.iter().map(AsRef::as_ref).collect();
    assert_eq!(tags, ["watched", "bgp", "border"]);
    assert_eq!(r1.maintenance.len(), 1);
    let at = |time: &str| {
        r1.maintenance_at(time.parse().unwrap())
            .map(|window| window.reason.to_string())
    };
    assert_eq!(at("2026-03-01T21:59:59Z"), None);
    assert_eq!(at("2026-03-01T22:00:00Z").as_deref(), Some("power"));
    // The end is written with an offset: 02:00+01:00 is 01:00Z, and it does not belong to the window.
    assert_eq!(at("2026-03-02T00:59:59.999Z").as_deref(), Some("power"));
    assert_eq!(at("2026-03-02T01:00:00Z"), None);
}

#[test]
fn sections_are_on_by_being_there_and_off_by_enabled_false() {
    let inventory = full();
    let [r1, r2, ten] = ["r1", "r2.example.net", "10"].map(|name| inventory.device(name).unwrap());
    assert!(r1.flow.is_some() && r1.syslog.is_some() && r1.mqtt.is_none());
    assert!(r2.snmp.is_none() && r2.flow.is_none() && r2.ssh.is_some());
    assert!(ten.ping.is_none() && ten.snmp.is_none() && ten.mqtt.is_some());
}

#[test]
fn senders_default_to_the_own_addresses() {
    let inventory = full();
    let r1 = inventory.device("r1").unwrap();
    assert_eq!(
        r1.flow.as_ref().unwrap().sources,
        [ip("192.0.2.101"), ip("2001:db8::101")]
    );
    assert_eq!(
        r1.syslog.as_ref().unwrap().sources,
        [ip("192.0.2.1"), ip("2001:db8::1")]
    );
    let named = |found: Option<&inventory::Device>| found.map(|device| device.name.to_string());
    assert_eq!(
        named(inventory.by_flow_source(ip("192.0.2.101"))).as_deref(),
        Some("r1")
    );
    assert_eq!(named(inventory.by_flow_source(ip("192.0.2.1"))), None);
    assert_eq!(
        named(inventory.by_syslog_source(ip("198.51.100.2"))).as_deref(),
        Some("r2.example.net")
    );
}

#[test]
fn devices_are_found_by_every_address() {
    let inventory = full();
    let named = |host: &str| {
        inventory
            .by_address(host)
            .map(|device| device.name.to_string())
    };
    assert_eq!(named("192.0.2.1").as_deref(), Some("r1"));
    assert_eq!(named("2001:DB8::1").as_deref(), Some("r1"));
    assert_eq!(named("r2.Example.net.").as_deref(), Some("r2.example.net"));
    assert_eq!(named("192.0.2.2"), None);
    let r2 = inventory.device("r2.example.net").unwrap();
    assert_eq!(r2.address, Address::Dns("r2.example.net".into()));
    assert_eq!(r2.ip(Family::Ipv4), None);
}

#[test]
fn a_zone_is_part_of_a_link_local_address() {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/testdata/zones.good.yaml"
    ));
    let inventory = Inventory::parse(&text.unwrap(), Path::new("zones")).unwrap();
    let named = |host: &str| {
        inventory
            .by_address(host)
            .map(|device| device.name.to_string())
    };
    assert_eq!(named("fe80::1%eth0").as_deref(), Some("left"));
    assert_eq!(named("fe80::1%eth1").as_deref(), Some("right"));
    assert_eq!(named("fe80::2%eth0").as_deref(), Some("both"));
    assert_eq!(named("fe80::1").as_deref(), Some("bare"));
    assert_eq!(named("fe80::2"), None, "on which interface?");
    let left = inventory.device("left").unwrap();
    assert_eq!(left.zone.as_deref(), Some("eth0"));
    assert_eq!(left.address.to_string(), "fe80::1%eth0");
    assert_eq!(left.address.with_port(161), "[fe80::1%eth0]:161");
    assert_eq!(left.ip(Family::Ipv6), Some(ip("fe80::1")));
}

#[test]
fn families_follow_the_addresses_unless_told() {
    let text = "groups: [{name: six, defaults: {ping: {families: [ipv6, ipv4]}}}]\ndevices:\n\
        - {name: four, address: 192.0.2.1}\n\
        - {name: six, address: '2001:db8::2'}\n\
        - {name: both, addresses: {ipv6: '2001:db8::3', ipv4: 192.0.2.3}}\n\
        - {name: dns, address: a.example}\n\
        - {name: dns-four, address: b.example, addresses: {ipv4: 192.0.2.4}}\n\
        - {name: group-four, address: 192.0.2.5, groups: [six]}\n\
        - {name: told, addresses: {ipv6: '2001:db8::6', ipv4: 192.0.2.6}, ping: {families: [ipv6]}}\n";
    let inventory = Inventory::parse(text, Path::new("t")).unwrap();
    let families = |name: &str| {
        inventory
            .device(name)
            .unwrap()
            .ping
            .as_ref()
            .unwrap()
            .families
            .clone()
    };
    let (v4, v6) = (Family::Ipv4, Family::Ipv6);
    assert_eq!(families("four"), [v4]);
    assert_eq!(families("six"), [v6]);
    assert_eq!(families("both"), [v4, v6]);
    assert_eq!(families("dns"), [v4, v6]);
    assert_eq!(families("dns-four"), [v4]);
    assert_eq!(families("group-four"), [v4]);
    assert_eq!(families("told"), [v6]);
    assert_eq!(
        inventory.device("both").unwrap().address,
        Address::Ip(ip("192.0.2.3"))
    );
}

#[test]
fn labels_are_escaped_once() {
    assert_eq!(
        inventory::labels::render(&[("region", "a\\b \"c\"\nd")]),
        r#"region="a\\b \"c\"\nd""#
    );
    assert_eq!(inventory::labels::with("", "a", "b"), r#"a="b""#);
    assert_eq!(
        inventory::labels::with(r#"a="b""#, "c", "d"),
        r#"a="b",c="d""#
    );
}

#[test]
fn a_document_is_checked_without_a_file() {
    let mut document = full().document();
    let checked = Inventory::check(&document, Path::new("change")).unwrap();
    assert_eq!(checked.version(), full().version());
    document.devices[0].site = Some("nowhere".to_owned());
    let error = Inventory::check(&document, Path::new("change"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "change: devices[0].site: unknown site \"nowhere\"; expected a name from sites"
    );
}

#[test]
fn one_anchor_may_serve_every_device() {
    use std::fmt::Write as _;
    let mut text =
        "devices:\n  - &d {name: d0, address: 10.0.0.0, role: host, snmp: {module: if_mib}}\n"
            .to_owned();
    for n in 1..5000_u32 {
        writeln!(
            text,
            "  - {{<<: *d, name: d{n}, address: {}}}",
            std::net::Ipv4Addr::from((10 << 24) + n)
        )
        .unwrap();
    }
    let inventory = Inventory::parse(&text, Path::new("t")).unwrap();
    assert_eq!(inventory.devices().len(), 5000);
    assert_eq!(&*inventory.device("d4999").unwrap().role, "host");
}

#[test]
fn the_last_pattern_of_a_port_holds_and_the_device_speaks_after_its_groups() {
    let text = "groups:\n\
                - name: routers\n  defaults:\n    desired: any\n    ports: [{name: 'r*', desired: up}, {name: '*:1/*', desired: up}]\n\
                devices:\n\
                - {name: r1, address: 192.0.2.1, groups: [routers], ports: [{name: r3, desired: any}, {name: 'Gi0/*.10', desired: up}]}\n\
                - {name: r2, address: 192.0.2.2, desired: up, ports: [{name: 'eth*', desired: any}]}\n\
                - {name: r3, address: 192.0.2.3}\n";
    let inventory = Inventory::parse(text, Path::new("test.yaml")).unwrap();
    let desired = |device: &str, port: &str| inventory.device(device).unwrap().desired_of(port);
    for (device, port, expected) in [
        ("r1", "r2", Some(Desired::Up)),
        ("r1", "r3", Some(Desired::Any)),
        ("r1", "r33", Some(Desired::Up)),
        ("r1", "xe-0:1/2", Some(Desired::Up)),
        ("r1", "Gi0/1.10", Some(Desired::Up)),
        ("r1", "Gi0/1.100", Some(Desired::Any)),
        ("r1", "gi0/1.10", Some(Desired::Any)),
        ("r1", "lo", Some(Desired::Any)),
        ("r2", "lo", Some(Desired::Up)),
        ("r2", "eth", Some(Desired::Any)),
        ("r2", "eth0", Some(Desired::Any)),
        ("r3", "eth0", None),
    ] {
        assert_eq!(desired(device, port), expected, "{device} {port}");
    }
    let again = Inventory::parse(
        std::str::from_utf8(&inventory.json()).unwrap(),
        Path::new("json"),
    );
    assert_eq!(again.unwrap().version(), inventory.version());
}
