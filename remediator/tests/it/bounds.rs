//! Sessions of the console: sixteen in all, whatever is asked for.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use testkit::ssh::{Device, Fault};
use testkit::{TempDir, eventually};

use crate::golden::Place;

/// Devices that are asked; more than sessions.
const DEVICES: usize = 24;

#[tokio::test]
async fn a_command_on_many_devices_has_sixteen_sessions_at_a_time() {
    let (mut running, mut hosts) = (Vec::new(), String::new());
    let mut inventory = "devices:\n".to_owned();
    for number in 1..=DEVICES {
        let device = Device::new(&format!("r{number}"), "sotp", "hunter2")
            .at([127, 0, 1, u8::try_from(number).unwrap()].into())
            .answer("show version", "FRRouting 8.4.4\nand more\nand more\n")
            .fault(Fault::Stall(5));
        let device = device.start().await.unwrap();
        hosts.push_str(&device.known_host);
        let (ip, port) = (device.address.ip(), device.address.port());
        writeln!(
            inventory,
            "- {{name: r{number}, address: {ip}, platform: frr, ssh: {{port: {port}, credentials: lab}}}}"
        )
        .unwrap();
        running.push(device);
    }
    let dir = TempDir::new().unwrap();
    dir.write("known_hosts", hosts).unwrap();
    dir.write("password", "hunter2\n").unwrap();
    let names: Vec<String> = (1..=DEVICES).map(|number| format!("r{number}")).collect();
    let config = "ssh:\n  known_hosts_file: known_hosts\n  credentials:\n    lab: {repair: {user: sotp, password_file: password}, console: {user: sotp, password_file: password}}\n";
    let place = Place::within(dir, &inventory, config, &[]).await;
    let body = json!({"devices": names, "command": "show version"});
    let answer = place
        .ask("POST", "/v1/commands", "alice", Some(&body))
        .await;
    let answer = answer.unwrap();
    assert_eq!(answer.0, 202, "{}", answer.1);
    let asked = || {
        let devices = running.iter();
        devices.filter(|device| !device.typed().is_empty()).count()
    };
    eventually(Duration::from_secs(30), || async {
        anyhow::ensure!(asked() >= 16, "{} sessions", asked());
        Ok(())
    })
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(asked(), 16);
    // They wait; nobody else does.
    let (status, _) = place.ask("GET", "/api/v1/jobs", "eve", None).await.unwrap();
    assert_eq!(status, 200);
}
