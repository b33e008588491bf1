//! What the campus must do.

use std::time::{Duration, Instant};

use crate::net::Net;

/// How long a packet may take another way.
const DETOUR: Duration = Duration::from_secs(10);

/// Ten routers with all their neighbours.
pub(super) fn routers(net: &Net) {
    let status = net.status();
    let nodes = status["nodes"].as_array().unwrap();
    let full: usize = nodes
        .iter()
        .map(|node| node["ospf"].as_array().unwrap().len())
        .sum();
    let up: usize = nodes
        .iter()
        .map(|node| node["bgp"].as_array().unwrap().len())
        .sum();
    assert_eq!(
        (
            nodes.iter().filter(|node| node["kind"] == "router").count(),
            full,
            up
        ),
        (10, 32, 8)
    );
}

/// Two ways out of every access router: one core may go.
pub(super) fn a_core_may_go(net: &Net) {
    for link in ["core1-dist1", "core1-dist2", "core1-dist3"] {
        assert!(net.lab(&["break", link]).status.success());
    }
    net.assert_echo("h1", "198.18.0.104", DETOUR);
    net.assert_echo("box", "198.18.0.103", DETOUR);
}

/// `sotp-snmp discover` from one address, by what OSPF and BGP tell of neighbours. Ten routers take their seconds to come up.
pub(super) fn one_address_leads_to_every_router(net: &Net) {
    let config = net.folder.join("snmp.yml");
    let community = net.secret("snmp_community");
    std::fs::write(
        &config,
        format!(
            "auths: {{lab: {{community: {community}, only_for: {{networks: [198.18.0.0/24]}}}}}}\n"
        ),
    )
    .unwrap();
    let topology = concat!(env!("CARGO_MANIFEST_DIR"), "/topologies/campus.toml");
    let topology: toml::Table = std::fs::read_to_string(topology).unwrap().parse().unwrap();
    let mut expected: Vec<String> = (topology["router"].as_array().unwrap().iter())
        .map(|router| {
            let of = |key: &str| router[key].as_str().unwrap();
            format!("{},{},{}", of("name"), of("loopback"), of("site"))
        })
        .collect();
    expected.sort();
    assert_eq!(expected.len(), 10);
    let program = testkit::services::program("sotp-snmp");
    let program = program.display().to_string();
    let file = config.display().to_string();
    let argv = [
        program.as_str(),
        "discover",
        "198.18.0.3",
        "--config.file",
        &file,
    ];
    // The last adjacency may come up after the network is up.
    let began = Instant::now();
    loop {
        let csv = net.exec("box", &argv);
        let found: Vec<String> = (csv.lines().skip(1))
            .map(|line| line.splitn(4, ',').take(3).collect::<Vec<_>>().join(","))
            .collect();
        if found == expected {
            // What each device picked: the accesses speak no BGP, the providers do.
            let with = |module: &str| csv.lines().filter(|line| line.contains(module)).count();
            assert_eq!((with("if_mib,"), with(",vitals")), (10, 10), "{csv}");
            assert!(with("\"bgp,") >= 4 && with(",ospf,") >= 8, "{csv}");
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{csv}");
    }
}
