//! Approvals: by another person than who asked, once, and in time.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::ssh::{Device, Running};
use testkit::{TempDir, eventually};

use crate::golden::Place;

/// A router with a port that is shut, and the service in front of it.
async fn place(more: &str) -> (Running, Place) {
    let device = Device::new("r1", "fixer", "s3cret")
        .answer("show interface eth1", "Interface eth1 is down\n")
        .answer("show running-config", "hostname r1\nend\n");
    let device = device.start().await.unwrap();
    let inventory = format!(
        "devices: [{{name: r1, address: 127.0.0.1, platform: frr, ssh: {{port: {}, credentials: lab}}}}]\n",
        device.address.port()
    );
    let dir = TempDir::new().unwrap();
    dir.write("known_hosts", &device.known_host).unwrap();
    dir.write("password", "s3cret\n").unwrap();
    let config = format!(
        "levels: [{{level: approve}}]\n{more}\
         ssh: {{known_hosts_file: known_hosts, credentials: {{lab: {{repair: {{user: fixer, password_file: password}}}}}}}}\n"
    );
    (device, Place::within(dir, &inventory, &config, &[]).await)
}

/// Starts the runbook as `user` and waits for its plan.
async fn waits(place: &Place, user: &str) -> Value {
    let wanted = json!({"runbook": "port-up", "device": "r1", "port": "eth1"});
    let run = place.ask("POST", "/api/v1/jobs", user, Some(&wanted)).await;
    let (status, started) = run.unwrap();
    assert_eq!(status, 202, "{started}");
    stands(place, started["job"].as_str().unwrap(), "awaiting_approval").await
}

async fn stands(place: &Place, id: &str, state: &str) -> Value {
    let path = format!("/api/v1/jobs/{id}");
    eventually(Duration::from_secs(60), || async {
        let (_, job) = place.ask("GET", &path, "eve", None).await?;
        anyhow::ensure!(job["state"] == state, "{job}");
        Ok(job)
    })
    .await
    .unwrap()
}

/// Status and kind of what is answered to an approval.
async fn approve(place: &Place, job: &Value, user: &str) -> (u16, String) {
    let path = format!("/api/v1/jobs/{}/approve", job["id"].as_str().unwrap());
    let plan = json!({"plan_hash": job["plan_hash"]});
    let answer = place.ask("POST", &path, user, Some(&plan)).await;
    let (status, said) = answer.unwrap();
    let kind = said["type"].as_str().unwrap_or_default();
    (status, kind.rsplit('/').next().unwrap().to_owned())
}

#[tokio::test]
async fn who_asked_for_it_does_not_approve_it_and_somebody_else_does_once() {
    let (device, place) = place("").await;
    let job = waits(&place, "alice").await;
    let own = approve(&place, &job, "alice").await;
    assert_eq!(own, (403, "own-request".to_owned()));
    assert_eq!(approve(&place, &job, "eve").await.0, 403, "a viewer");
    let waiting = stands(&place, job["id"].as_str().unwrap(), "awaiting_approval").await;
    assert!(waiting["approver"].is_null(), "{waiting}");
    let opened = || device.typed().contains(&"no shutdown".to_owned());
    assert!(!opened(), "{:?}", device.typed());
    assert_eq!(approve(&place, &job, "bob").await.0, 202);
    eventually(Duration::from_secs(60), || async {
        anyhow::ensure!(opened(), "{:?}", device.typed());
        Ok(())
    })
    .await
    .unwrap();
    device.answer("show interface eth1", "Interface eth1 is up\n");
    let done = stands(&place, job["id"].as_str().unwrap(), "succeeded").await;
    let both = (&done["requester"]["subject"], &done["approver"]["subject"]);
    assert_eq!(both, (&json!("alice"), &json!("bob")));
    let again = approve(&place, &job, "bob").await;
    assert_eq!(again, (409, "not-waiting".to_owned()));
    let typed = device.typed();
    let opened = typed.iter().filter(|line| *line == "no shutdown").count();
    assert_eq!(opened, 1);
    // The refusal is on record too.
    let records = place.records();
    let refused = |line: &&str| line.contains("job.approve") && line.contains("refused");
    let refused = records.lines().find(refused);
    assert!(
        refused.is_some_and(|line| line.contains("alice")),
        "{records}"
    );
}

#[tokio::test]
async fn approval_that_comes_too_late_changes_nothing() {
    let (device, place) = place("approval_within: 1s\n").await;
    let job = waits(&place, "alice").await;
    let expires = job["expires"].as_i64().unwrap();
    let left = expires - jiff::Timestamp::now().as_millisecond();
    tokio::time::sleep(Duration::from_millis(left.clamp(0, 2_000) as u64)).await;
    // Whether the engine has said so already or not.
    let (status, kind) = approve(&place, &job, "bob").await;
    assert!(
        status == 409 && ["expired", "not-waiting"].contains(&&*kind),
        "{status} {kind}"
    );
    let over = stands(&place, job["id"].as_str().unwrap(), "expired").await;
    assert!(over["approver"].is_null(), "{over}");
    let typed = device.typed();
    assert!(!typed.contains(&"no shutdown".to_owned()), "{typed:?}");
}
