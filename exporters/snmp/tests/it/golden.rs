//! What users meet of the service, held to the files in `tests/golden`.

use std::net::UdpSocket;
use std::time::Duration;

use crate::agent::{self, Agent};
use testkit::{Golden, Spawn};

const EXPORTER: &str = env!("CARGO_BIN_EXE_sotp-snmp");
/// An interface, and every kind of vitals that a device can have.
const DEVICE: &str = include_str!("../golden/device.snmprec");

fn golden() -> Golden {
    Golden::new(EXPORTER, env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_command_line_is_that_of_the_golden_files() {
    golden().command_line();
}

#[tokio::test]
async fn the_series_are_those_of_the_golden_files() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let device = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let agent = Agent::from_snmprec(DEVICE).unwrap();
        agent::serve(&socket, &agent, Duration::ZERO);
    });
    let process = Spawn::new(EXPORTER)
        .args([
            "--traps.listen-address=127.0.0.1:0",
            "--snmp.failure=series",
        ])
        .start()
        .await
        .unwrap();
    let ask = async |path: &str| anyhow::Ok(process.get(path).await?.1);
    let whole = format!("/snmp?target={device}&module=system,if_mib,vitals");
    // Nobody answers there.
    let silent = "/snmp?target=127.0.0.1:9&module=system&snmp_timeout=1s";
    let both = async || anyhow::Ok(ask(&whole).await? + &ask(silent).await?);
    let golden = golden();
    let needed = ["sotp_device_temperature_celsius{", "snmp_error{"];
    golden
        .metrics("metrics-snmp.txt", &needed, both)
        .await
        .unwrap();
    let own = async || ask("/metrics").await;
    golden
        .metrics("metrics.txt", &["snmp_errors_total"], own)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_port_that_the_inventory_wants_up_says_so() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let device = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let agent = Agent::from_snmprec(DEVICE).unwrap();
        agent::serve(&socket, &agent, Duration::ZERO);
    });
    let dir = testkit::TempDir::new().unwrap();
    let devices = format!(
        "devices: [{{name: r1, address: 127.0.0.1, snmp: {{port: {}, auth: public_v2}}, ports: [{{name: '*', desired: up}}]}}]\n",
        device.port()
    );
    let devices = dir.write("inventory.yaml", devices).unwrap();
    let process = Spawn::new(EXPORTER)
        .args([format!("--inventory.source={}", devices.display())])
        .start()
        .await
        .unwrap();
    let ask = async || {
        let path = format!("/snmp?target={device}&auth=public_v2&module=if_mib");
        let page = process.get(&path).await?.1;
        let lines = page
            .lines()
            .filter(|line| line.contains("sotp_interface_desired_up"));
        anyhow::Ok(lines.map(|line| format!("{line}\n")).collect::<String>())
    };
    golden()
        .metrics("metrics-desired.txt", &["sotp_interface_desired_up{"], ask)
        .await
        .unwrap();
}
