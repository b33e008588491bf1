//! What is broken is told in words: labels that no device has, too many of them, a runbook with a typing error in it.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Signal, TempDir, eventually};

use crate::golden::Place;

const INVENTORY: &str =
    "devices: [{name: r1, address: 192.0.2.1, platform: frr, ssh: {port: 9}}]\n";

async fn told(place: &Place, labels: &Value) -> u16 {
    let body = json!({"version": "4", "status": "firing", "alerts": [
        {"status": "firing", "labels": labels, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "00ff"}]});
    let sent = place.ask("POST", "/api/v1/webhook/alertmanager", "am", Some(&body));
    sent.await.unwrap().0
}

async fn unmatched(place: &Place, reason: &str, count: u32) {
    let line = format!("remediator_alerts_unmatched_total{{reason=\"{reason}\"}} {count}");
    eventually(Duration::from_secs(60), || async {
        let (_, page) = place.ask("GET", "/metrics", "eve", None).await?;
        let page = page.as_str().unwrap_or_default();
        let own = page.lines().find(|own| own.contains(reason));
        anyhow::ensure!(own == Some(&line), "{own:?}, not {line}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn labels_that_nobody_could_mean_make_no_job_and_are_counted() {
    let place = Place::with(INVENTORY, "levels: [{level: auto}]\n").await;
    let shut = |port: &str| json!({"alertname": "InterfaceShut", "device": "r1", "ifName": port});
    for port in [
        "eth0\u{0}",
        "eth0\r\nreload",
        "eth0\u{1b}[2J",
        "eth0\u{202e}x",
    ] {
        assert_eq!(told(&place, &shut(port)).await, 200, "{port:?}");
    }
    unmatched(&place, "bad_port", 4).await;
    let mut many = shut("eth0");
    for number in 0..10_000 {
        many[format!("label_{number}")] = json!("x");
    }
    assert_eq!(told(&place, &many).await, 200);
    unmatched(&place, "bad_labels", 1).await;
    eventually(Duration::from_secs(60), || async {
        let log = place.process.log();
        anyhow::ensure!(log.contains("more than 64 labels"), "{log}");
        anyhow::ensure!(!log.contains('\u{1b}') && !log.contains('\u{0}'), "{log}");
        Ok(())
    })
    .await
    .unwrap();
    let (_, jobs) = place.ask("GET", "/api/v1/jobs", "eve", None).await.unwrap();
    assert_eq!(jobs["jobs"], json!([]), "{jobs}");
}

#[tokio::test]
async fn runbook_with_a_typing_error_is_told_with_its_place_and_the_old_ones_go_on() {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir(dir.join("runbooks")).unwrap();
    let good = include_str!("../../runbooks/port-up.yaml");
    let path = dir.join("runbooks/port-up.yaml");
    std::fs::write(&path, good.replace("title: Bring", "title: Slowly bring")).unwrap();
    let config = "runbooks: {folder: runbooks}\n";
    let place = Place::within(dir, INVENTORY, config, &[]).await;
    let title = async || {
        let (_, all) = place.ask("GET", "/api/v1/runbooks", "eve", None).await?;
        let mut all = all["runbooks"].as_array().cloned().unwrap_or_default();
        all.retain(|runbook| runbook["name"] == "port-up");
        anyhow::Ok(all[0]["title"].to_string())
    };
    assert!(title().await.unwrap().contains("Slowly bring"));
    std::fs::write(&path, good.replace("postcheck:", "postchek:")).unwrap();
    place.process.signal(Signal::SIGHUP).unwrap();
    eventually(Duration::from_secs(60), || async {
        let log = place.process.log();
        anyhow::ensure!(
            log.contains("port-up.yaml") && log.contains("postchek"),
            "{log}"
        );
        Ok(())
    })
    .await
    .unwrap();
    assert!(title().await.unwrap().contains("Slowly bring"));
    std::fs::write(&path, good).unwrap();
    place.process.signal(Signal::SIGHUP).unwrap();
    eventually(Duration::from_secs(60), || async {
        let now = title().await?;
        anyhow::ensure!(!now.contains("Slowly"), "{now}");
        Ok(())
    })
    .await
    .unwrap();
}
