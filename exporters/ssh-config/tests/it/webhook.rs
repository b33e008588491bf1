//! Who else is told of a change.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Samples, Spawn, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::world::{CONFIG, SECRETS, World, event, page, series};

/// The head and the body of each request.
type Requests = Arc<Mutex<Vec<(String, String)>>>;

/// Answers the first request that it is busy, and takes the others.
async fn listener() -> (std::net::SocketAddr, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Requests::default();
    let own = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            let (head, body) = loop {
                let mut bytes = [0; 4096];
                let count = stream.read(&mut bytes).await.unwrap();
                text.push_str(&String::from_utf8_lossy(&bytes[..count]));
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length: "))
                        .unwrap();
                    if body.len() == length.parse::<usize>().unwrap() {
                        break (head.to_owned(), body.to_owned());
                    }
                }
                assert!(count > 0, "{text}");
            };
            let first = {
                let mut requests = own.lock().unwrap();
                requests.push((head, body));
                requests.len() == 1
            };
            let status = if first { "503 Busy" } else { "200 OK" };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, requests)
}

#[tokio::test]
async fn change_is_told_signed_with_the_rules_that_it_breaks_until_it_is_taken() {
    let world = World::new().await;
    let (address, requests) = listener().await;
    world.configure(&format!(
        "webhook: {{url: 'http://{address}/api/v1/events/syslog', secret_file: events}}\n"
    ));
    let process = world.start().await;
    series(&process, "sshconfig_up", &[("device", "r1")], 1.0).await;
    series(&process, "sshconfig_up", &[("device", "r2")], 1.0).await;
    let changed = CONFIG.replace("log syslog informational\n", "").replace(
        "password s3cretBgp",
        "password s3cretBgp\n neighbor 198.18.0.2 description via s3",
    );
    world.r1.answer("show running-config", &changed);
    let fields = json!({"user": "alice"});
    let taken = event(
        &process,
        "configuration_change",
        "r1",
        fields,
        "s3cretEvents",
    );
    assert_eq!(taken.await, 200);
    let told = "sshconfig_webhook_changes_total";
    series(&process, told, &[("result", "taken")], 1.0).await;
    let samples = page(&process).await;
    assert_eq!(samples.value(told, &[("result", "failed")]), Some(1.0));

    let requests = requests.lock().unwrap().clone();
    // The first versions were nobody's change.
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert_eq!(requests[0].1, requests[1].1);
    let (head, body) = &requests[1];
    assert!(
        head.starts_with("POST /api/v1/events/syslog HTTP/1.1\r\n"),
        "{head}"
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s3cretEvents");
    let tag = ring::hmac::sign(&key, body.as_bytes());
    let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert!(
        head.contains(&format!("x-sotp-signature: sha256={hex}")),
        "{head}"
    );
    let event: Value = serde_json::from_str(body).unwrap();
    assert_eq!(event["event"], "configuration_change");
    assert_eq!(
        (&event["device"], &event["site"]),
        (&json!("r1"), &json!("ams"))
    );
    assert_eq!(event["fields"]["user"], "alice");
    assert_eq!(event["fields"]["rules_broken"], "frr-log-syslog");
    assert_eq!(
        event["sentence"],
        "alice changed the configuration of r1 (+1 -1), which now breaks frr-log-syslog"
    );
    let message = event["message"].as_str().unwrap();
    assert!(
        message.contains("\n-log syslog informational\n"),
        "{message}"
    );
    for secret in SECRETS {
        assert!(!body.contains(secret) && !head.contains(secret), "{body}");
    }
}

/// With the remediator itself at the other end: it takes the change for one by a person, and one that is signed with another secret for none.
#[tokio::test]
async fn remediator_takes_a_change_for_one_by_a_person() {
    let world = World::new().await;
    let config = "journal: {folder: journal}\nprometheus: {url: 'http://127.0.0.1:9'}\nevents: {secret_file: events}\n";
    let config = world.dir.write("remediator.yaml", config).unwrap();
    let remediator = Spawn::new(testkit::services::program("sotp-remediator"))
        .args([
            format!("--config.file={}", config.display()),
            format!(
                "--inventory.source={}",
                world.dir.join("inventory.yaml").display()
            ),
        ])
        .start()
        .await
        .unwrap();
    let url = remediator.url("/api/v1/events/syslog");
    world.configure(&format!("webhook: {{url: '{url}', secret_file: events}}\n"));
    let process = world.start().await;
    series(&process, "sshconfig_up", &[("device", "r1")], 1.0).await;
    let changed = CONFIG.replace("to r2", "to r2 by fibre");
    world.r1.answer("show running-config", &changed);
    let fields = json!({"user": "alice"});
    let kind = "configuration_change";
    assert_eq!(
        event(&process, kind, "r1", fields, "s3cretEvents").await,
        200
    );
    let told = "sshconfig_webhook_changes_total";
    series(&process, told, &[("result", "taken")], 1.0).await;
    let changes = async || {
        let page = remediator.get("/metrics").await.unwrap().1;
        let samples = Samples::parse(&page).unwrap();
        samples.sum("remediator_person_changes_total", &[])
    };
    assert!((changes().await - 1.0).abs() < f64::EPSILON);

    world.dir.write("others", "of somebody else\n").unwrap();
    let path = world.dir.join("ssh-config.yaml");
    let held = std::fs::read_to_string(&path).unwrap();
    let wrong = held.replace(
        &format!("{url}', secret_file: events"),
        &format!("{url}', secret_file: others"),
    );
    assert_ne!(held, wrong);
    std::fs::write(path, wrong).unwrap();
    let reloaded = async || {
        let time = "sotp_config_last_reload_success_timestamp_seconds";
        page(&process).await.value(time, &[]).unwrap()
    };
    let before = reloaded().await;
    process.hang_up().unwrap();
    eventually(Duration::from_secs(20), || async {
        anyhow::ensure!(reloaded().await > before, "not reloaded");
        Ok(())
    })
    .await
    .unwrap();
    world.r1.answer("show running-config", CONFIG);
    let fields = json!({"user": "alice"});
    assert_eq!(
        event(&process, kind, "r1", fields, "s3cretEvents").await,
        200
    );
    series(&process, told, &[("result", "refused")], 1.0).await;
    assert!((changes().await - 1.0).abs() < f64::EPSILON);
}
