//! A Linux host by SSH without a terminal: a service that failed is restarted, once, and one that the host does not have is not.

use std::time::Duration;

use serde_json::json;
use testkit::ssh::Device;
use testkit::{TempDir, eventually};

use crate::golden::Place;

const SHOW: &str =
    "systemctl show --no-pager --property=Id,LoadState,ActiveState,SubState,UnitFileState -- ";
const RESTART: &str = "sudo -n systemctl restart -- nginx.service";

fn state(unit: &str, load: &str, active: &str) -> String {
    format!("Id={unit}\nLoadState={load}\nActiveState={active}\nSubState=\nUnitFileState=enabled\n")
}

#[tokio::test]
async fn service_that_failed_is_restarted_and_proven() {
    let host = Device::new("h1", "fixer", "s3cret")
        .answer(
            &format!("{SHOW}nginx.service"),
            &state("nginx.service", "loaded", "failed"),
        )
        .answer(
            &format!("{SHOW}other.service"),
            &state("other.service", "not-found", "inactive"),
        )
        .answer(RESTART, "");
    let host = host.start().await.unwrap();
    let inventory = format!(
        "devices: [{{name: h1, address: 127.0.0.1, platform: linux, ssh: {{port: {}, credentials: hosts}}}}]\n",
        host.address.port()
    );
    let config = "levels: [{runbook: service-restart, level: auto}]\nsuccesses_before_auto: 0\nverify_every: 50ms\n\
        ssh: {known_hosts_file: known_hosts, credentials: {hosts: {repair: {user: fixer, password_file: password}}}}\n";
    let dir = TempDir::new().unwrap();
    dir.write("known_hosts", &host.known_host).unwrap();
    dir.write("password", "s3cret\n").unwrap();
    let place = Place::within(dir, &inventory, config, &[]).await;
    for (n, unit) in ["other.service", "nginx.service", "nginx.service; reboot"]
        .into_iter()
        .enumerate()
    {
        let webhook = json!({"version": "4", "status": "firing", "alerts": [{"status": "firing",
            "labels": {"alertname": "HostServiceFailed", "device": "h1", "name": unit},
            "startsAt": "2026-01-01T00:00:00Z", "fingerprint": format!("a{n}")}]});
        let path = "/api/v1/webhook/alertmanager";
        assert_eq!(
            place
                .ask("POST", path, "am", Some(&webhook))
                .await
                .unwrap()
                .0,
            200
        );
    }
    eventually(Duration::from_secs(20), || async {
        let typed = host.typed();
        anyhow::ensure!(typed.iter().any(|line| line == RESTART), "{typed:?}");
        Ok(())
    })
    .await
    .unwrap();
    host.answer(
        &format!("{SHOW}nginx.service"),
        &state("nginx.service", "loaded", "active"),
    );
    let jobs = eventually(Duration::from_secs(20), || async {
        let (_, jobs) = place.ask("GET", "/api/v1/jobs", "eve", None).await?;
        let states: Vec<_> = jobs["jobs"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|job| (job["port"].clone(), job["state"].clone()))
            .collect();
        let wanted = [
            ("nginx.service", "succeeded"),
            ("other.service", "escalated"),
        ];
        let there = |(unit, state): &(&str, &str)| states.contains(&(json!(unit), json!(state)));
        anyhow::ensure!(states.len() == 2 && wanted.iter().all(there), "{jobs}");
        Ok(jobs)
    })
    .await
    .unwrap();
    let typed = host.typed();
    let changing: Vec<_> = typed
        .iter()
        .filter(|line| !line.starts_with(SHOW))
        .collect();
    assert_eq!(changing, [RESTART], "{jobs}");
}
