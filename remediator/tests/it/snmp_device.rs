//! SNMP before a repair: a real agent on a real router, asked by way of the real sotp-snmp.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Process, Router, Spawn, TempDir, eventually, skip};

use crate::golden::Place;

const SNMPD: &str = "/usr/sbin/snmpd";

/// The agent of the router's kernel at port 161, and one at port 1161 that says of `eth2` that it is up whatever the kernel says.
fn agents(router: &Router, dir: &TempDir) {
    let link = router.exec(&["ip", "-o", "link", "show", "eth2"]).unwrap();
    let index = link.split(':').next().unwrap();
    let path = |name: &str| dir.join(name).display().to_string();
    for (port, more) in [
        (161, String::new()),
        (
            1161,
            format!("override 1.3.6.1.2.1.2.2.1.7.{index} integer 1\n"),
        ),
    ] {
        let text = format!("agentaddress udp:{port}\nrocommunity public\n{more}");
        let own = format!("{port}.conf");
        dir.write(&own, text).unwrap();
        let (conf, log, state) = (path(&own), path(&format!("{port}.log")), path("state"));
        let dir = path("");
        let environment = [
            format!("SNMP_PERSISTENT_DIR={state}"),
            format!("SNMPCONFPATH={dir}"),
            "MIBS=".to_owned(),
        ];
        let mut command = vec!["env"];
        command.extend(environment.iter().map(String::as_str));
        command.extend([SNMPD, "-C", "-c", &conf, "-Lf", &log]);
        router.exec(&command).unwrap();
    }
}

/// The one sample that sotp-snmp has of a port.
async fn admin(snmp: &Process, target: &str, port: &str) -> anyhow::Result<f64> {
    let path = format!("/snmp?target={target}&module=if_mib");
    let (status, page) = snmp.get(&path).await?;
    anyhow::ensure!(status == 200, "{status} {page}");
    let name = format!("ifName=\"{port}\"");
    let mut lines = page.lines();
    let line = lines.find(|line| line.starts_with("ifAdminStatus{") && line.contains(&name));
    let value = line.and_then(|line| line.rsplit(' ').next());
    Ok(value
        .ok_or_else(|| anyhow::anyhow!("no {port}: {page}"))?
        .parse()?)
}

async fn incident(place: &Place, device: &str, port: &str, state: &str) -> Value {
    let alert = json!({"version": "4", "status": "firing", "alerts": [
        {"status": "firing", "labels": {"alertname": "InterfaceShut", "device": device, "ifName": port},
         "startsAt": jiff::Timestamp::now().to_string(), "fingerprint": format!("{:x}", device.len() + port.len())}]});
    let told = place.ask("POST", "/api/v1/webhook/alertmanager", "am", Some(&alert));
    assert_eq!(told.await.unwrap().0, 200);
    let path = format!("/api/v1/jobs?limit=1&device={device}");
    eventually(Duration::from_secs(60), || async {
        let (_, jobs) = place.ask("GET", &path, "eve", None).await?;
        let job = jobs["jobs"][0].clone();
        anyhow::ensure!(job["state"] == state && job["port"] == port, "{jobs}");
        Ok(job)
    })
    .await
    .unwrap()
}

/// Some five seconds: a router, two agents and sotp-snmp are started.
#[tokio::test(flavor = "multi_thread")]
async fn port_is_opened_where_the_agent_says_that_it_is_shut_and_nowhere_else() {
    if let Some(why) = Router::missing() {
        return skip(&why);
    }
    if !std::path::Path::new(SNMPD).exists() {
        return skip("snmpd is not installed (Debian package snmpd)");
    }
    let router = Router::start().await.unwrap();
    let dir = TempDir::new().unwrap();
    for port in ["eth1", "eth2"] {
        router.exec(&["ip", "link", "set", port, "down"]).unwrap();
    }
    agents(&router, &dir);
    let snmp = Spawn::new(testkit::services::program("sotp-snmp"))
        .args(["--snmp.targets=198.18.0.0/15"])
        .start()
        .await
        .unwrap();
    let (own, other) = (
        format!("{}:161", router.address()),
        format!("{}:1161", router.other_address()),
    );
    for (target, port, value) in [(&own, "eth1", 2.0), (&other, "eth2", 1.0)] {
        eventually(Duration::from_secs(60), || async {
            let found = admin(&snmp, target, port).await?;
            anyhow::ensure!(found == value, "{target} {port}: {found}");
            Ok(())
        })
        .await
        .unwrap();
    }

    let device = |name: &str, address: &str, port: u16| {
        format!(
            "  - {{name: {name}, address: {address}, platform: frr, ssh: {{credentials: lab}}, snmp: {{port: {port}}}}}\n"
        )
    };
    let inventory = format!(
        "devices:\n{}{}",
        device("r1", router.address(), 161),
        device("r2", router.other_address(), 1161)
    );
    let config = format!(
        "levels: [{{level: auto}}]\nsuccesses_before_auto: 0\nsnmp: {{url: '{}'}}\n\
         ssh: {{known_hosts_file: known_hosts, credentials: {{lab: {{repair: {{user: fixer, key_file: '{}'}}}}}}}}\n",
        snmp.url(""),
        router.key().display()
    );
    let place = Place::with(&inventory, &config).await;
    place
        .dir
        .write("known_hosts", router.known_hosts())
        .unwrap();
    // Of this port the router and its agent say the same.
    let job = incident(&place, "r1", "eth1", "succeeded").await;
    assert!(router.is_up("eth1").unwrap(), "{job}");
    let asked = job["plan"]["evidence"].to_string();
    assert!(asked.contains("SNMP ifAdminStatus"), "{job}");
    // Of this one the agent says that nobody shut it: whoever is right, nothing is typed.
    let job = incident(&place, "r2", "eth2", "cancelled").await;
    assert!(!router.is_up("eth2").unwrap(), "{job}");
    assert!(job["reason"].to_string().contains("SNMP"), "{job}");
    // And when nobody can be asked, people look.
    drop(snmp);
    let job = incident(&place, "r1", "eth2", "escalated").await;
    assert!(!router.is_up("eth2").unwrap(), "{job}");
    assert!(job["reason"].to_string().contains("SNMP"), "{job}");
}
