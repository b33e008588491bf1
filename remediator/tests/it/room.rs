//! A disk without room: webhooks are answered 503, nothing is begun, and all goes on by itself when there is room.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use testkit::{Spawn, TempDir, eventually};

const WAIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn full_disk_refuses_alerts_and_loses_none_that_was_taken() {
    if !nix::unistd::geteuid().is_root() {
        testkit::skip("a file system of its own needs root");
        return;
    }
    let dir = TempDir::new().unwrap();
    let journal = dir.join("journal");
    std::fs::create_dir(&journal).unwrap();
    // The journal on a disk of its own, which nobody else sees.
    let wrapper = dir
        .write(
            "small-disk",
            format!(
                "#!/bin/sh\nexec unshare -m --propagation private sh -c 'mount -t tmpfs -o size=1m tmpfs \"$0\" && exec \"$@\"' {} {} \"$@\"\n",
                journal.display(),
                env!("CARGO_BIN_EXE_sotp-remediator")
            ),
        )
        .unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    dir.write("token", "secret-token\n").unwrap();
    dir.write("config.yaml", "webhook: {bearer_token_file: token}\n")
        .unwrap();
    dir.write(
        "inventory.yaml",
        "devices: [{name: r1, address: 192.0.2.1, platform: frr}]\n",
    )
    .unwrap();
    let config = format!("--config.file={}", dir.join("config.yaml").display());
    let source = dir.join("inventory.yaml");
    let source = format!("--inventory.source={}", source.display());
    let process = Spawn::new(&wrapper).args([config, source]).start();
    let process = process.await.unwrap();
    let send = async |port: usize| {
        let alert = json!({"status": "firing", "startsAt": "2026-01-01T00:00:00Z", "fingerprint": format!("{port:016x}"),
            "labels": {"alertname": "InterfaceShut", "device": "r1", "ifName": format!("p{port}"), "text": "x".repeat(2_000)}});
        let sent = testkit::client()
            .post(process.url("/api/v1/webhook/alertmanager"))
            .bearer_auth("secret-token")
            .body(json!({"version": "4", "alerts": [alert]}).to_string());
        sent.send().await.unwrap().status().as_u16()
    };
    eventually(WAIT, || async {
        anyhow::ensure!(send(0).await == 200, "{}", process.log());
        Ok(())
    })
    .await
    .unwrap();

    // The disk as the process sees it, without any room from now on.
    let seen = format!("/proc/{}/root{}", process.pid(), journal.display());
    let filler = Path::new(&seen).join("filler");
    let full = std::fs::write(&filler, vec![0; 1 << 20]);
    assert!(full.is_err(), "the disk has more room than it should");
    let mut taken = vec![0];
    eventually(WAIT, || async {
        anyhow::ensure!(send(1).await == 503, "there is still room");
        Ok(())
    })
    .await
    .unwrap();
    for port in 2..40 {
        let status = send(port).await;
        assert!(status == 200 || status == 503, "{status}");
        if status == 200 {
            taken.push(port);
        }
    }
    eventually(WAIT, || async {
        let (_, page) = process.get("/metrics").await?;
        anyhow::ensure!(page.contains("\nremediator_paused 1\n"), "it goes on");
        let said = process.log();
        anyhow::ensure!(said.contains("the journal cannot be written"), "{said}");
        Ok(())
    })
    .await
    .unwrap();

    std::fs::remove_file(&filler).unwrap();
    eventually(WAIT, || async {
        let (_, page) = process.get("/metrics").await?;
        anyhow::ensure!(
            page.contains("\nremediator_paused 0\n"),
            "it does not go on"
        );
        anyhow::ensure!(send(99).await == 200, "{}", process.log());
        Ok(())
    })
    .await
    .unwrap();
    taken.push(99);
    // Each that was taken has its one job; the last of them may just be made.
    eventually(WAIT, || async {
        let (_, text) = process.get("/api/v1/jobs?limit=1000").await?;
        let jobs: serde_json::Value = serde_json::from_str(&text)?;
        let jobs = jobs["jobs"].as_array().cloned().unwrap_or_default();
        let mut ports: Vec<usize> = jobs
            .iter()
            .filter_map(|job| job["port"].as_str()?.strip_prefix('p')?.parse().ok())
            .collect();
        ports.sort_unstable();
        let mut twice = ports.clone();
        twice.dedup();
        assert_eq!(ports, twice, "none twice");
        for port in &taken {
            anyhow::ensure!(
                ports.contains(port),
                "p{port} of {taken:?} has no job: {ports:?}"
            );
        }
        Ok(())
    })
    .await
    .unwrap();
}
