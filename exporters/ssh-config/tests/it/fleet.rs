use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::world::{CONFIG, World, ask, asked, event, page, series};

const R1: &[(&str, &str)] = &[("device", "r1")];

#[tokio::test]
async fn device_says_what_it_is_and_whether_its_configuration_is_saved() {
    let world = World::new().await;
    let process = world.start().await;
    let switch: &[(&str, &str)] = &[("device", "r6")];
    series(&process, "sshconfig_unsaved", switch, 1.0).await;
    let samples = page(&process).await;
    let info = [
        ("device", "r6"),
        ("model", "DCS-7050"),
        ("serial", "SSJ1"),
        ("version", "4.29.2F"),
    ];
    assert_eq!(samples.value("sshconfig_device_info", &info), Some(1.0));
    assert_eq!(
        samples.value("sshconfig_unsaved", R1),
        None,
        "nothing to compare with"
    );
}

#[tokio::test]
async fn fleet_is_asked_as_one() {
    let world = World::new().await;
    let copy = world.dir.join("copy.git");
    let made = Command::new("git")
        .args(["init", "-q", "--bare"])
        .arg(&copy)
        .status();
    assert!(made.unwrap().success());
    world.configure(&format!("push: {{url: '{}'}}\n", copy.display()));
    let process = world.start().await;
    for device in ["r1", "r2", "r6"] {
        series(&process, "sshconfig_up", &[("device", device)], 1.0).await;
    }
    let changed = CONFIG.replace("to r2", "to r9");
    world.r1.answer("show running-config", &changed);
    let done = event(
        &process,
        "configuration_change",
        "r1",
        json!({"user": "bob"}),
        "s3cretEvents",
    );
    assert_eq!(done.await, 200);
    series(&process, "sshconfig_changes_total", R1, 1.0).await;

    let around = asked(&process, "/api/v1/history?minutes=60").await;
    let changes = around["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 4, "{around}");
    // Within one second no version is newer than another.
    let own = |change: &&serde_json::Value| change["device"] == "r1" && change["user"] == "bob";
    assert_eq!(changes.iter().filter(own).count(), 1, "{around}");
    let earlier = asked(&process, "/api/v1/history?at=1000000000").await;
    assert_eq!(earlier["changes"], json!([]));

    let found = asked(&process, "/api/v1/search?pattern=description.*r9").await;
    assert_eq!(
        found["matches"],
        json!([{"device": "r1", "line": 8, "section": ["interface eth1"], "text": " description to r9"}])
    );
    let narrowed = asked(&process, "/api/v1/search?pattern=hostname&platform=eos").await;
    assert_eq!(narrowed["matches"].as_array().unwrap().len(), 1);
    assert_eq!(
        ask(&process, "alice", "/api/v1/search?pattern=(").await.0,
        400
    );
    assert_eq!(
        ask(&process, "eve", "/api/v1/search?pattern=a").await.0,
        401
    );

    let sections = asked(&process, "/api/v1/devices/r1/diff?format=sections").await;
    assert_eq!(
        sections["sections"],
        json!([{"section": ["interface eth1"], "added": ["description to r9"], "removed": ["description to r2"], "moved": false}])
    );
    let restore = asked(&process, "/api/v1/devices/r1/restore").await;
    assert_eq!(
        restore["lines"],
        json!([
            "interface eth1",
            " no description to r9",
            " description to r2",
            " exit"
        ])
    );
    assert_eq!(
        asked(&process, "/api/v1/outliers").await["outliers"],
        json!([]),
        "too few peers"
    );

    testkit::eventually(Duration::from_secs(20), || async {
        let said = Command::new("git")
            .arg("-C")
            .arg(&copy)
            .args(["log", "--format=%an", "device/r1"])
            .output()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        match said.starts_with("bob\n") {
            true => Ok(()),
            false => Err(std::io::Error::other(said + &process.log()).into()),
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn waiver_holds_until_its_day_and_then_no_more() {
    for (until, violations) in [("2099-12-31", 0.0), ("2020-01-01", 1.0)] {
        let world = World::new().await;
        world.waive("frr-log-syslog", until);
        let text = CONFIG.replace("log syslog informational\n", "");
        world.r1.answer("show running-config", &text);
        let process = world.start().await;
        series(&process, "sshconfig_up", R1, 1.0).await;
        let labels = [("device", "r1"), ("rule", "frr-log-syslog")];
        series(&process, "sshconfig_rule_violations", &labels, violations).await;
        let ends = page(&process)
            .await
            .value("sshconfig_waiver_expires_timestamp_seconds", &labels);
        assert!(ends.is_some_and(|ends| ends > 1.5e9), "{ends:?}");
        let all = asked(&process, "/api/v1/violations").await;
        let found = &all["violations"].as_array().unwrap()[0];
        assert_eq!(
            (&found["waived"], &found["waiver"]["owner"]),
            (&json!(violations == 0.0), &json!("alice"))
        );
    }
}

#[tokio::test]
async fn line_that_all_peers_have_and_one_lacks_is_found() {
    let world = World::new().await;
    let mut inventory = std::fs::read_to_string(world.dir.join("inventory.yaml")).unwrap();
    let mut known = std::fs::read_to_string(world.dir.join("known_hosts")).unwrap();
    let mut peers = Vec::new();
    for number in 11..15 {
        let text = match number {
            14 => CONFIG.replace("log commands\n", ""),
            _ => CONFIG.to_owned(),
        };
        let peer = testkit::ssh::Device::new("p", "sotp", "s3cretLogin")
            .at([127, 0, 0, number].into())
            .answer("show running-config", &text)
            .start()
            .await
            .unwrap();
        inventory += &format!(
            " - {{name: p{number}, address: 127.0.0.{number}, role: edge, platform: frr, ssh: {{port: {}, credentials: lab}}}}\n",
            peer.address.port()
        ).replacen(' ', "", 1);
        known += &peer.known_host;
        peers.push(peer);
    }
    world.dir.write("inventory.yaml", inventory).unwrap();
    world.dir.write("known_hosts", known).unwrap();
    let path = world.dir.join("ssh-config.yaml");
    let held = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        held.replace("r5, r6]", "r5, r6, p11, p12, p13, p14]"),
    )
    .unwrap();
    let process = world.start().await;
    for device in ["r1", "r2", "p11", "p12", "p13", "p14"] {
        series(&process, "sshconfig_up", &[("device", device)], 1.0).await;
    }
    let found = asked(&process, "/api/v1/outliers").await;
    assert_eq!(
        found["outliers"],
        json!([{"device": "p14", "role": "edge", "platform": "frr", "section": [], "text": "log commands", "peers_with": 5, "peers": 6}])
    );
}

#[tokio::test]
async fn startup_version_and_chosen_answers_have_a_history_and_what_is_not_saved_is_shown() {
    let world = World::new().await;
    world.configure("outputs: [{platform: eos, name: vlans, command: show vlan, drop: [age]}]\n");
    let vlans = "VLAN  Name\n10    users\nage 5\n";
    world.r6.answer("show vlan", vlans);
    let process = world.start().await;
    let r6: &[(&str, &str)] = &[("device", "r6")];
    series(&process, "sshconfig_up", r6, 1.0).await;
    let get = async |path: &str| {
        let path = format!("/api/v1/devices/r6/{path}");
        let (status, text) = ask(&process, "alice", &path).await;
        assert_eq!(status, 200, "{path}: {text}");
        text
    };
    assert!(
        get("unsaved?format=unified")
            .await
            .contains("\n-hostname old\n+hostname r6\n")
    );
    assert!(
        get("configuration?of=startup")
            .await
            .contains("\nhostname old\n")
    );
    assert!(
        get("configuration?of=version")
            .await
            .contains("Software image version: 4.29.2F")
    );
    assert_eq!(
        get("configuration?of=vlans").await,
        "VLAN  Name\n10    users\n"
    );
    let (status, _) = ask(&process, "alice", "/api/v1/devices/r1/unsaved").await;
    assert_eq!(status, 404, "FRR shows none");
    let (status, _) = ask(
        &process,
        "alice",
        "/api/v1/devices/r6/configuration?of=../HEAD",
    )
    .await;
    assert_eq!(status, 400);

    // Another version and another age: only the former is a change, of that answer alone.
    world
        .r6
        .answer("show vlan", &vlans.replace("age 5", "age 6"));
    world.r6.answer(
        "show version",
        "Arista DCS-7050\nSerial number: SSJ1\nSoftware image version: 4.30.1F\n",
    );
    event(
        &process,
        "configuration_change",
        "r6",
        json!({}),
        "s3cretEvents",
    )
    .await;
    let version = |version: &'static str| {
        [
            ("device", "r6"),
            ("model", "DCS-7050"),
            ("serial", "SSJ1"),
            ("version", version),
        ]
    };
    series(&process, "sshconfig_device_info", &version("4.30.1F"), 1.0).await;
    let diff = get("diff?of=version&format=unified").await;
    assert!(
        diff.contains("\n-Software image version: 4.29.2F\n+Software image version: 4.30.1F\n"),
        "{diff}"
    );
    let count = async |of: &str| {
        let path = format!("/api/v1/devices/r6/versions?of={of}");
        asked(&process, &path).await["versions"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(
        (
            count("version").await,
            count("startup").await,
            count("vlans").await
        ),
        (2, 1, 1)
    );
    assert_eq!(
        count("configuration").await,
        1,
        "its configuration is the same"
    );
}
