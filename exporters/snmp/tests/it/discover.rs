//! `sotp-snmp discover`, and neighbours that nobody watches.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::agent::{self, Agent};
use testkit::{Samples, Spawn, TempDir};

const EXPORTER: &str = env!("CARGO_BIN_EXE_sotp-snmp");

/// A device with these lines beside its system group, at an address of the loopback network.
fn device(address: &str, port: u16, name: &str, more: &str) -> u16 {
    let text = format!(
        "1.3.6.1.2.1.1.1.0|4|a router\n1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.8072.3.2.10\n1.3.6.1.2.1.1.3.0|67|4711\n1.3.6.1.2.1.1.5.0|4|{name}\n\
         1.3.6.1.2.1.1.6.0|4|Fra 1, rack 7\n1.3.6.1.2.1.2.2.1.8.1|2|1\n{more}"
    );
    let mut agent = Agent::from_snmprec(&text).unwrap();
    agent.community = b"inside".to_vec();
    let socket = UdpSocket::bind((address, port)).unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || agent::serve(&socket, &agent, Duration::ZERO));
    port
}

fn discover(dir: &TempDir, args: &[&str]) -> Output {
    std::fs::write(
        dir.join("snmp.yml"),
        "auths:
  elsewhere: {community: outside, only_for: {networks: [198.18.0.0/15]}}
  anywhere: {community: inside}
  here: {community: inside, only_for: {networks: [127.7.7.0/29]}}
modules:
  if_mib:
    walk: [1.3.6.1.2.1.2.2.1.8]
    metrics: [{name: ifOperStatus, oid: 1.3.6.1.2.1.2.2.1.8, type: gauge, help: h, indexes: [{labelname: ifIndex, type: gauge}]}]
  cisco:
    walk: [1.3.6.1.4.1.9.9.48]
    metrics: [{name: x, oid: 1.3.6.1.4.1.9.9.48.1, type: gauge, help: h}]
",
    )
    .unwrap();
    Command::new(EXPORTER)
        .arg("discover")
        .arg("--config.file")
        .arg(dir.join("snmp.yml"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[test]
fn neighbours_are_found_from_one_address_within_what_an_auth_allows() {
    let dir = TempDir::new().unwrap();
    // An OSPF neighbour by its router identifier, a BGP peer that is not to be asked, an LLDP neighbour by its management address.
    let port = device(
        "127.7.7.1",
        0,
        "core",
        "1.3.6.1.2.1.4.20.1.2.127.7.7.1|2|1\n1.3.6.1.2.1.14.10.1.3.127.7.7.6.0|64|127.7.7.2\n1.3.6.1.2.1.15.3.1.1.127.9.9.9|64|127.9.9.8\n\
         1.0.8802.1.1.2.1.4.1.1.9.0.1.1|4|switch\n1.0.8802.1.1.2.1.4.2.1.3.0.1.1.1.4.127.7.7.3|2|2\n",
    );
    // The same name at another device; and this one names the first by an address that it has too.
    device(
        "127.7.7.2",
        port,
        "core",
        "1.3.6.1.2.1.4.20.1.2.127.7.7.2|2|1\n1.3.6.1.2.1.14.10.1.3.127.7.7.5.0|64|127.7.7.1\n",
    );
    device("127.7.7.3", port, "Access \"switch\", 3", "");
    // It would answer, but no auth is for it.
    device("127.9.9.8", port, "foreign", "");
    let (port, rate) = (port.to_string(), "--rate=1000");
    let found = discover(&dir, &["127.7.7.1", "--port", &port, rate]);
    let (out, said) = (text(&found.stdout), text(&found.stderr));
    assert!(found.status.success(), "{said}");
    assert_eq!(
        out,
        "name,address,site,snmp_module,snmp_auth\nAccess-switch-3,127.7.7.3,Fra-1-rack-7,\"if_mib\",here\n\
         core,127.7.7.1,Fra-1-rack-7,\"if_mib\",here\ncore-2,127.7.7.2,Fra-1-rack-7,\"if_mib\",here\n",
        "{said}"
    );
    assert!(
        said.contains("127.9.9.8: not asked, no auth is for it: bgp neighbour of core"),
        "{said}"
    );
    // Without following; a site for all.
    let one = discover(
        &dir,
        &[
            "127.7.7.1/32",
            "--port",
            &port,
            "--no-follow",
            "--site",
            "lab",
        ],
    );
    assert_eq!(
        text(&one.stdout),
        "name,address,site,snmp_module,snmp_auth\ncore,127.7.7.1,lab,\"if_mib\",here\n"
    );
    assert!(!(text(&found.stdout) + &said).contains("inside"));
}

#[test]
fn a_network_that_no_auth_is_bound_to_is_not_asked() {
    let dir = TempDir::new().unwrap();
    for (args, message) in [
        (
            &["127.7.7.0/28"][..],
            "127.7.7.0/28: no auth is for this network",
        ),
        (
            &["127.7.7.1", "--auth=elsewhere"],
            "127.7.7.1/32: no auth is for this network",
        ),
        (
            &["127.7.7.1", "--auth=anywhere"],
            "127.7.7.1/32: no auth is for this network",
        ),
        (&["127.7.7.1", "--auth=nobody"], "no auth nobody"),
        (&["198.18.0.0/15"], "more than 65536 addresses"),
    ] {
        let output = discover(&dir, args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(message) && output.stdout.is_empty(), "{said}");
    }
}

#[tokio::test]
async fn a_neighbour_that_the_inventory_lacks_is_a_series() {
    let dir = TempDir::new().unwrap();
    let mut more = String::new();
    for (index, name) in (1..).zip(["sw1.example.net", "SW2", "sw3"]) {
        let _ = writeln!(more, "1.0.8802.1.1.2.1.4.1.1.9.0.{index}.1|4|{name}");
    }
    more +=
        "1.3.6.1.2.1.14.10.1.6.127.0.0.9.0|2|8\n1.3.6.1.2.1.14.10.1.3.127.0.0.9.0|64|127.0.0.8\n";
    let port = device("127.0.0.1", 0, "core", &more);
    std::fs::write(
        dir.join("inventory.yaml"),
        format!(
            "devices:\n- {{name: core, address: 127.0.0.1, snmp: {{port: {port}}}}}\n- {{name: sw1, address: 127.0.0.2}}\n- {{name: sw2, address: 127.0.0.3}}\n"
        ),
    )
    .unwrap();
    let config = "auths: {public_v2: {community: inside}}\n";
    std::fs::write(dir.join("snmp.yml"), config).unwrap();
    let process = Spawn::new(EXPORTER)
        .args([
            format!("--config.file={}", dir.join("snmp.yml").display()),
            format!(
                "--inventory.source={}",
                dir.join("inventory.yaml").display()
            ),
        ])
        .start()
        .await
        .unwrap();
    let path = format!("/snmp?target=127.0.0.1:{port}&module=lldp,ospf");
    let unwatched = testkit::eventually(Duration::from_secs(30), || async {
        let (status, text) = process.get(&path).await?;
        anyhow::ensure!(status == 200, "{text}");
        Ok(text)
    });
    let samples = Samples::parse(&unwatched.await.unwrap()).unwrap();
    let mut all: Vec<(String, String)> = samples
        .select("snmp_neighbor_unwatched", &[])
        .map(|sample| {
            let label = |name: &str| sample.labels[name].clone();
            (label("protocol"), label("neighbor"))
        })
        .collect();
    all.sort();
    let expected = [("lldp", "sw3"), ("ospf", "127.0.0.8")];
    assert_eq!(
        all,
        expected.map(|(protocol, neighbor)| (protocol.to_owned(), neighbor.to_owned()))
    );
}
