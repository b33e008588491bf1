//! What devices answered on the console is for who may read it of each of them, and each reading is on record.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::ssh::Device;
use testkit::{TempDir, eventually};

use crate::golden::Place;

#[tokio::test]
async fn answers_are_read_by_who_has_the_right_to_each_device_and_on_record() {
    let (mut devices, mut hosts, mut running) = (String::new(), String::new(), Vec::new());
    for (name, group, last) in [("r1", "core", 1), ("r2", "edge", 2)] {
        let device = Device::new(name, "reader", "s3cret")
            .at([127, 0, 3, last].into())
            .answer("show version", &format!("FRRouting 8.4 of {name}\n"));
        let device = device.start().await.unwrap();
        let (ip, port) = (device.address.ip(), device.address.port());
        devices.push_str(&format!(
            "  - {{name: {name}, address: {ip}, groups: [{group}], platform: frr, ssh: {{port: {port}, credentials: lab}}}}\n"
        ));
        hosts.push_str(&device.known_host);
        running.push(device);
    }
    let inventory = format!("groups: [{{name: core}}, {{name: edge}}]\ndevices:\n{devices}");
    let dir = TempDir::new().unwrap();
    dir.write("known_hosts", hosts).unwrap();
    dir.write("password", "s3cret\n").unwrap();
    let login = "{user: reader, password_file: password}";
    let config = format!(
        "ssh: {{known_hosts_file: known_hosts, credentials: {{lab: {{repair: {login}, console: {login}}}}}}}\n"
    );
    let rules = ", rules: [{verbs: [answer.read], role: viewer, device_groups: [edge]}, {verbs: [answer.read], role: operator}]";
    let place = Place::whose(dir, &inventory, rules, &config, &[]).await;

    let mut ids = Vec::new();
    for names in [&["r1"][..], &["r2"], &["r1", "r2"]] {
        let command = json!({"devices": names, "command": "show version"});
        let asked = place.ask("POST", "/v1/commands", "alice", Some(&command));
        let (status, accepted) = asked.await.unwrap();
        assert_eq!(status, 202, "{accepted}");
        let id = accepted["job"].as_str().unwrap().to_owned();
        done(&place, &id).await;
        ids.push(id);
    }
    for (user, statuses) in [
        ("eve", [403, 200, 403]),
        ("bob", [200; 3]),
        // Known to the web server and to nobody else.
        ("am", [401; 3]),
    ] {
        for (id, status) in ids.iter().zip(statuses) {
            for path in ["/v1/commands", "/api/v1/commands"] {
                let answer = place.ask("GET", &format!("{path}/{id}"), user, None).await;
                let (found, said) = answer.unwrap();
                assert_eq!(found, status, "{user} {id}: {said}");
                assert_eq!(said.to_string().contains("FRRouting"), status == 200);
            }
        }
    }
    // The list says what was asked of whom, and nothing of what was answered.
    let (_, all) = place
        .ask("GET", "/api/v1/commands", "eve", None)
        .await
        .unwrap();
    assert_eq!(all["commands"].as_array().unwrap().len(), 3, "{all}");
    assert!(!all.to_string().contains("FRRouting"), "{all}");
    eventually(Duration::from_secs(60), || async {
        let records = place.records();
        let read = |user: &str, id: &str| {
            let line = |line: &str| {
                line.contains("answer.read")
                    && line.contains(&format!("\"subject\":\"{user}\""))
                    && line.contains(id)
            };
            records.lines().any(line)
        };
        anyhow::ensure!(read("eve", &ids[1]) && read("bob", &ids[0]), "{records}");
        anyhow::ensure!(!read("eve", &ids[2]), "{records}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Waits for the answers, which alice may read.
async fn done(place: &Place, id: &str) -> Value {
    eventually(Duration::from_secs(60), || async {
        let path = format!("/v1/commands/{id}");
        let (_, job) = place.ask("GET", &path, "alice", None).await?;
        anyhow::ensure!(job["state"] == "done", "{job}");
        Ok(job)
    })
    .await
    .unwrap()
}

/// Without an access section nobody is known, and nobody reads what others asked before.
#[tokio::test]
async fn without_an_access_section_nobody_reads_an_answer() {
    let device = Device::new("r1", "reader", "s3cret").answer("show version", "FRRouting 8.4\n");
    let device = device.start().await.unwrap();
    let inventory = format!(
        "devices: [{{name: r1, address: 127.0.0.1, platform: frr, ssh: {{port: {}, credentials: lab}}}}]\n",
        device.address.port()
    );
    let dir = TempDir::new().unwrap();
    dir.write("known_hosts", &device.known_host).unwrap();
    dir.write("password", "s3cret\n").unwrap();
    let login = "{user: reader, password_file: password}";
    let config = format!(
        "ssh: {{known_hosts_file: known_hosts, credentials: {{lab: {{repair: {login}, console: {login}}}}}}}\n"
    );
    let mut place = Place::within(dir, &inventory, &config, &[]).await;
    let command = json!({"devices": ["r1"], "command": "show version"});
    let asked = place.ask("POST", "/v1/commands", "alice", Some(&command));
    let id = asked.await.unwrap().1["job"].as_str().unwrap().to_owned();
    done(&place, &id).await;
    place.process.signal(testkit::Signal::SIGTERM).unwrap();
    place.process.wait(Duration::from_secs(60)).await.unwrap();
    place.dir.write("config.yaml", config).unwrap();
    place.process = crate::golden::start(&place.dir, &[]).await;
    place.ready().await;
    let path = format!("/v1/commands/{id}");
    let (status, said) = place.ask("GET", &path, "alice", None).await.unwrap();
    assert_eq!(status, 403, "{said}");
    assert!(!said.to_string().contains("FRRouting"), "{said}");
}
