//! A real router: FRR behind sshd in a namespace of its own, a real Alertmanager in front, the real program between them.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Router, TempDir, eventually, skip};

use crate::golden::Place;

struct Alertmanager {
    child: Child,
    address: String,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Alertmanager {
    async fn start(dir: &TempDir, webhook: &str) -> Self {
        let token = dir.join("webhook.token").display().to_string();
        let config = format!(
            "route: {{receiver: remediator, group_by: [alertname, device, ifName], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\n\
             receivers:\n  - name: remediator\n    webhook_configs:\n      - url: '{webhook}'\n        send_resolved: true\n        \
             http_config: {{basic_auth: {{username: am, password_file: '{token}'}}}}\n"
        );
        dir.write("webhook.token", "word\n").unwrap();
        let config = dir.write("alertmanager.yaml", config).unwrap();
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let program = if Path::new("/usr/bin/prometheus-alertmanager").exists() {
            "prometheus-alertmanager"
        } else {
            "alertmanager"
        };
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.join("am").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--cluster.listen-address=", "--log.level=warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("alertmanager is installed (Debian package prometheus-alertmanager)");
        let own = Self { child, address };
        eventually(Duration::from_secs(20), || async {
            let status = testkit::client()
                .get(format!("http://{}/-/ready", own.address))
                .send()
                .await?
                .status();
            anyhow::ensure!(status == 200, "{status}");
            Ok(())
        })
        .await
        .unwrap();
        own
    }

    async fn tell(&self, port: &str, firing: bool) {
        let now = jiff::Timestamp::now();
        let ends = if firing {
            now + Duration::from_secs(600)
        } else {
            now
        };
        let alert = json!([{"labels": {"alertname": "InterfaceShut", "device": "r1", "ifName": port, "severity": "warning"},
            "endsAt": ends.to_string()}]);
        let url = format!("http://{}/api/v2/alerts", self.address);
        let sent = testkit::client()
            .post(url)
            .header("content-type", "application/json")
            .body(alert.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 200);
    }
}

/// Tells that an alert is over, and waits until the service was told: Alertmanager sends one that comes back before that as the same.
async fn over(place: &Place, alertmanager: &Alertmanager, port: &str, count: u32) {
    alertmanager.tell(port, false).await;
    let line = format!("remediator_webhook_alerts_total{{status=\"resolved\"}} {count}");
    eventually(Duration::from_secs(20), || async {
        let (_, page) = place.ask("GET", "/metrics", "eve", None).await?;
        let page = page.as_str().unwrap_or_default();
        anyhow::ensure!(page.lines().any(|own| own == line), "no {line}");
        Ok(())
    })
    .await
    .unwrap();
}

async fn newest(place: &Place, state: &str, port: &str) -> Value {
    eventually(Duration::from_secs(20), || async {
        let (_, jobs) = place
            .ask("GET", "/api/v1/jobs?limit=1", "eve", None)
            .await?;
        let job = jobs["jobs"][0].clone();
        anyhow::ensure!(job["state"] == state && job["port"] == port, "{jobs}");
        Ok(job)
    })
    .await
    .unwrap()
}

/// Some ten seconds: a router and an Alertmanager are started, five incidents told.
#[tokio::test(flavor = "multi_thread")]
async fn port_that_fell_is_up_again_what_a_person_shut_is_asked_for_and_the_console_answers() {
    if let Some(why) = Router::missing() {
        return skip(&why);
    }
    let router = Router::start().await.unwrap();
    let inventory = format!(
        "sites: [{{name: lab}}]\n\
         groups: [{{name: routers, defaults: {{site: lab, role: edge, platform: frr, ssh: {{credentials: lab}}}}}}]\n\
         devices: [{{name: r1, address: {}, groups: [routers], ports: [{{name: eth2, desired: up}}]}}]\n",
        router.address()
    );
    let config = format!(
        "levels: [{{runbook: port-up, group: routers, level: auto}}]\nsuccesses_before_auto: 0\n\
         rails: {{per_device: 20, per_site: 20, cooldown: [1ms, 1ms, 1ms, 1ms, 1ms], flap_count: 20}}\n\
         ssh:\n  known_hosts_file: known_hosts\n  credentials:\n    lab:\n      repair: {{user: fixer, key_file: '{0}'}}\n      \
         console: {{user: reader, key_file: '{0}'}}\n",
        router.key().display()
    );
    let place = Place::with(&inventory, &config).await;
    place
        .dir
        .write("known_hosts", router.known_hosts())
        .unwrap();
    let alertmanager = Alertmanager::start(
        &place.dir,
        &place.process.url("/api/v1/webhook/alertmanager"),
    )
    .await;

    // Down without a human: no login, no line in the configuration.
    router.exec(&["ip", "link", "set", "eth1", "down"]).unwrap();
    let began = Instant::now();
    alertmanager.tell("eth1", true).await;
    let job = newest(&place, "succeeded", "eth1").await;
    let seconds = began.elapsed().as_secs_f64();
    assert!(router.is_up("eth1").unwrap(), "{job}");
    assert!(seconds < 10.0, "{seconds} s from the alert to the proof");
    println!("from the alert to the proven repair: {seconds:.2} s");
    over(&place, &alertmanager, "eth1", 1).await;

    // Shut by an operator: proposed, not touched.
    router.person("eth1", "shutdown").unwrap();
    alertmanager.tell("eth1", true).await;
    let job = newest(&place, "awaiting_approval", "eth1").await;
    assert!(!router.is_up("eth1").unwrap());
    let path = format!("/api/v1/jobs/{}/approve", job["id"].as_str().unwrap());
    let other = json!({"plan_hash": "0000"});
    assert_eq!(
        place
            .ask("POST", &path, "alice", Some(&other))
            .await
            .unwrap()
            .0,
        409
    );
    let plan = json!({"plan_hash": job["plan_hash"]});
    assert_eq!(
        place
            .ask("POST", &path, "eve", Some(&plan))
            .await
            .unwrap()
            .0,
        403
    );
    assert!(!router.is_up("eth1").unwrap());
    // Two clicks at once: one of them counts.
    let (one, two) = tokio::join!(
        place.ask("POST", &path, "alice", Some(&plan)),
        place.ask("POST", &path, "bob", Some(&plan))
    );
    let mut both = [one.unwrap().0, two.unwrap().0];
    both.sort_unstable();
    assert_eq!(both, [202, 409]);
    newest(&place, "succeeded", "eth1").await;
    assert!(router.is_up("eth1").unwrap());

    // Shut by an operator, and wanted up by the inventory.
    router.person("eth2", "shutdown").unwrap();
    alertmanager.tell("eth2", true).await;
    newest(&place, "succeeded", "eth2").await;
    assert!(router.is_up("eth2").unwrap());
    // Hands off, whatever the inventory wants.
    over(&place, &alertmanager, "eth2", 2).await;
    router
        .person("eth2", "description sotp-hold until the new optic is there")
        .unwrap();
    router.person("eth2", "shutdown").unwrap();
    alertmanager.tell("eth2", true).await;
    newest(&place, "suppressed", "eth2").await;
    assert!(!router.is_up("eth2").unwrap());

    console(&place, &router).await;
}

/// The console as a known caller, its answer, and the record of it.
async fn console(place: &Place, router: &Router) {
    let command = json!({"devices": ["r1"], "command": "show version"});
    let (status, accepted) = place
        .ask("POST", "/v1/commands", "alice", Some(&command))
        .await
        .unwrap();
    assert_eq!(status, 202, "{accepted}");
    let at = accepted["location"].as_str().unwrap().to_owned();
    let answer = eventually(Duration::from_secs(10), || async {
        let (_, job) = place.ask("GET", &at, "eve", None).await?;
        anyhow::ensure!(job["state"] == "done", "{job}");
        Ok(job)
    })
    .await
    .unwrap();
    let text = answer["answers"][0]["text"].as_str().unwrap();
    assert!(
        answer["answers"][0]["ok"] == true && text.contains("FRRouting"),
        "{answer}"
    );
    assert_eq!(answer["requester"]["subject"], "alice");
    let records = place.records();
    assert!(
        records.contains("command.run") && records.contains("alice"),
        "{records}"
    );
    // What is accepted is one word in one command: nothing of it reconfigures the router.
    let before = router
        .exec(&["vtysh", "-c", "show running-config"])
        .unwrap();
    for value in [
        "eth1",
        "eth1.10",
        "no-such",
        "lo",
        "eth1\nconfigure",
        "eth1\rshutdown",
        "eth1;reload",
        "eth1|x",
        "?",
        "-c",
    ] {
        let command = json!({"devices": ["r1"], "command": "show interface {ifname}", "parameters": {"ifname": value}});
        let (status, said) = place
            .ask("POST", "/v1/commands", "alice", Some(&command))
            .await
            .unwrap();
        let fit = value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
            && !value.starts_with('-');
        assert_eq!(status, if fit { 202 } else { 422 }, "{value:?}: {said}");
    }
    eventually(Duration::from_secs(10), || async {
        let (_, all) = place.ask("GET", "/api/v1/commands", "eve", None).await?;
        let running = all["commands"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|job| job["state"] != "done")
            .count();
        anyhow::ensure!(running == 0, "{all}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(
        router
            .exec(&["vtysh", "-c", "show running-config"])
            .unwrap(),
        before
    );
}
