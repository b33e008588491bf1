//! What users meet of the service, held to the files in `tests/golden`, and who may send and ask what.

use serde_json::json;
use testkit::{Golden, Process, Signal, Spawn, TempDir, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_sotp-remediator");

fn golden() -> Golden {
    Golden::new(BINARY, env!("CARGO_MANIFEST_DIR"))
}

/// The service with two people, a token for webhooks, and a folder of its own.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) process: Process,
}

fn flags(dir: &TempDir) -> [String; 3] {
    [
        format!("--config.file={}", dir.join("config.yaml").display()),
        format!("--web.config.file={}", dir.join("web.yaml").display()),
        format!(
            "--inventory.source={}",
            dir.join("inventory.yaml").display()
        ),
    ]
}

pub(crate) async fn start(dir: &TempDir, env: &[(&str, &str)]) -> Process {
    let spawn = env.iter().fold(
        Spawn::new(BINARY).args(flags(dir)),
        |spawn, (key, value)| spawn.env(*key, *value),
    );
    spawn.start().await.unwrap()
}

impl Place {
    pub(crate) async fn with(inventory: &str, config: &str) -> Self {
        Self::within(TempDir::new().unwrap(), inventory, config, &[]).await
    }

    /// In a folder with files that it needs, and with variables.
    pub(crate) async fn within(
        dir: TempDir,
        inventory: &str,
        config: &str,
        env: &[(&str, &str)],
    ) -> Self {
        Self::whose(dir, inventory, "", config, env).await
    }

    /// The same with more in its access section, which comes behind a comma.
    pub(crate) async fn whose(
        dir: TempDir,
        inventory: &str,
        access: &str,
        config: &str,
        env: &[(&str, &str)],
    ) -> Self {
        let hash = bcrypt::hash("word", 4).unwrap();
        let users = ["alice", "bob", "eve", "am"]
            .map(|user| format!("  {user}: '{hash}'\n"))
            .concat();
        dir.write("web.yaml", format!("basic_auth_users:\n{users}"))
            .unwrap();
        dir.write("webhook.token", "token-of-alertmanager\n")
            .unwrap();
        dir.write("inventory.yaml", inventory).unwrap();
        let access = format!(
            "access: {{web_users: {{alice: operator, bob: operator, eve: viewer}}{access}}}\naudit: {{folder: audit}}\n\
             webhook: {{bearer_token_file: webhook.token, web_users: [am]}}\n"
        );
        dir.write("config.yaml", format!("{access}{config}"))
            .unwrap();
        let process = start(&dir, env).await;
        let place = Self { dir, process };
        place.ready().await;
        place
    }

    /// Everything on record.
    pub(crate) fn records(&self) -> String {
        let files = std::fs::read_dir(self.dir.join("audit")).unwrap();
        let read = files.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok());
        read.collect()
    }

    pub(crate) async fn ready(&self) {
        eventually(std::time::Duration::from_secs(20), || async {
            let (status, text) = self.ask("GET", "/-/ready", "alice", None).await?;
            anyhow::ensure!(status == 200, "{status} {text}");
            Ok(())
        })
        .await
        .unwrap();
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        user: &str,
        body: Option<&serde_json::Value>,
    ) -> anyhow::Result<(u16, serde_json::Value)> {
        let mut request = testkit::client()
            .request(method.parse()?, self.process.url(path))
            .basic_auth(user, Some("word"));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((
            status,
            serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)),
        ))
    }
}

const INVENTORY: &str = "devices: [{name: r1, address: 192.0.2.1, platform: frr, ssh: {}}]\n";

fn webhook(port: &str) -> serde_json::Value {
    json!({"version": "4", "status": "firing", "alerts": [
        {"status": "firing", "labels": {"alertname": "InterfaceShut", "device": "r1", "ifName": port},
         "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "00ff"}]})
}

#[test]
fn the_command_line_is_that_of_the_golden_files() {
    golden().command_line();
}

#[tokio::test]
async fn the_series_are_those_of_the_golden_file_and_events_are_born_at_0() {
    // Nothing is pushed as long as nothing happens.
    let config = "levels: [{level: auto}]\nloki: {url: 'http://127.0.0.1:9/loki/api/v1/push'}\n";
    let place = Place::with(INVENTORY, config).await;
    let page = async || {
        let (_, page) = place.ask("GET", "/metrics", "alice", None).await?;
        Ok(page.as_str().unwrap_or_default().to_owned())
    };
    let needed = [
        "remediator_actions_total{mode=\"auto\",outcome=\"succeeded\",runbook=\"port-up\"} 0",
        "remediator_suppressed_total{rail=\"blast_radius\"} 0",
        "remediator_commands_total{verdict=\"answered\"} 0",
        "remediator_active 1",
        "remediator_lines_total{result=\"queued\"} 0",
    ];
    golden()
        .metrics("metrics.txt", &needed, page)
        .await
        .unwrap();
}

#[tokio::test]
async fn webhook_is_taken_from_known_senders_only_and_is_in_the_journal_when_it_is_answered() {
    let place = Place::with(INVENTORY, "levels: [{level: propose}]\n").await;
    for (user, body, status) in [
        ("eve", webhook("eth0"), 401),
        ("am", json!({"version": "3", "alerts": []}), 400),
        ("am", json!({"my": "template"}), 400),
        ("am", webhook("eth0"), 200),
        ("am", webhook("eth0"), 200),
    ] {
        let answer = place
            .ask("POST", "/api/v1/webhook/alertmanager", user, Some(&body))
            .await
            .unwrap();
        assert_eq!(answer.0, status, "{user} {body} {}", answer.1);
    }
    let jobs = eventually(std::time::Duration::from_secs(10), || async {
        let (_, jobs) = place.ask("GET", "/api/v1/jobs", "eve", None).await?;
        anyhow::ensure!(jobs["jobs"][0]["state"] == "escalated", "{jobs}");
        Ok(jobs)
    })
    .await
    .unwrap();
    assert_eq!(
        jobs["jobs"].as_array().unwrap().len(),
        1,
        "sent twice, one job: {jobs}"
    );
    // No credential for the device is configured: people are told so.
    let id = jobs["jobs"][0]["id"].as_str().unwrap();
    let (status, job) = place
        .ask("GET", &format!("/api/v1/jobs/{id}"), "eve", None)
        .await
        .unwrap();
    assert_eq!(status, 200);
    assert!(
        job["reason"]
            .as_str()
            .unwrap()
            .contains("ssh.credentials.default.repair"),
        "{job}"
    );
    assert_eq!(job["rows"][0]["to"], "matched");
}

#[tokio::test]
async fn second_instance_waits_for_the_lock_and_works_when_the_first_is_gone() {
    let mut first = Place::with(INVENTORY, "").await;
    let second = start(&first.dir, &[]).await;
    let ask = async |process: &Process| {
        let request = testkit::client()
            .post(process.url("/api/v1/webhook/alertmanager"))
            .basic_auth("am", Some("word"));
        request
            .body(webhook("eth0").to_string())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(
        ask(&second).await,
        503,
        "it does not take what it cannot keep"
    );
    assert_eq!(ask(&first.process).await, 200);
    first.process.signal(Signal::SIGKILL).unwrap();
    first.process = second;
    first.ready().await;
    let (_, jobs) = first.ask("GET", "/api/v1/jobs", "eve", None).await.unwrap();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1, "{jobs}");
}

/// A device that takes a connection and says nothing keeps the command running until the process is gone.
#[tokio::test]
async fn a_command_that_ran_when_the_process_was_killed_is_unknown() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let inventory = format!(
        "devices: [{{name: r1, address: 127.0.0.1, platform: frr, ssh: {{port: {}}}}}]\n",
        silent.local_addr().unwrap().port()
    );
    let dir = TempDir::new().unwrap();
    dir.write("password", "word\n").unwrap();
    let config = "ssh: {credentials: {default: {repair: {user: a, password_file: password}, console: {user: a, password_file: password}}}}\n";
    let mut place = Place::within(dir, &inventory, config, &[]).await;
    let command = json!({"devices": ["r1"], "command": "show version"});
    let (status, accepted) = place
        .ask("POST", "/v1/commands", "alice", Some(&command))
        .await
        .unwrap();
    assert_eq!(status, 202, "{accepted}");
    let at = accepted["location"].as_str().unwrap().to_owned();
    let (_, job) = place.ask("GET", &at, "eve", None).await.unwrap();
    assert_eq!(job["state"], "running", "{job}");
    place.process.signal(Signal::SIGKILL).unwrap();
    place
        .process
        .wait(std::time::Duration::from_secs(5))
        .await
        .unwrap();
    place.process = start(&place.dir, &[]).await;
    place.ready().await;
    let (_, job) = place.ask("GET", &at, "eve", None).await.unwrap();
    assert_eq!(job["state"], "unknown", "{job}");
    assert_eq!(job["answers"], json!([]), "{job}");
    assert!(job["updated"].as_i64() > job["created"].as_i64(), "{job}");
}

#[tokio::test]
async fn console_refuses_what_is_not_on_the_list_and_who_may_not() {
    let place = Place::with(INVENTORY, "").await;
    let command = |command: &str, name: &str, value: &str| json!({"devices": ["r1"], "command": command, "parameters": {name: value}});
    for (user, body, status) in [
        (
            "eve",
            json!({"devices": ["r1"], "command": "show version"}),
            403,
        ),
        (
            "alice",
            json!({"devices": ["r1"], "command": "show running-config"}),
            422,
        ),
        (
            "alice",
            json!({"devices": ["r1"], "command": "show version\rreload"}),
            422,
        ),
        (
            "alice",
            json!({"devices": ["r77"], "command": "show version"}),
            422,
        ),
        (
            "alice",
            json!({"devices": [], "command": "show version"}),
            422,
        ),
        (
            "alice",
            command(
                "show interface {ifname}",
                "ifname",
                "r2\rconfigure terminal",
            ),
            422,
        ),
        (
            "alice",
            command("show interface {ifname}", "ifname", "r2|more"),
            422,
        ),
        (
            "alice",
            command("show interface {ifname}", "ifname", "-c"),
            422,
        ),
        (
            "alice",
            command("show interface {ifname}", "ifname", "r2?"),
            422,
        ),
        (
            "alice",
            json!({"devices": ["r1"], "command": "show version", "shell": "sh"}),
            400,
        ),
    ] {
        let answer = place
            .ask("POST", "/v1/commands", user, Some(&body))
            .await
            .unwrap();
        assert_eq!(answer.0, status, "{user} {body} {}", answer.1);
    }
    let (_, said) = place
        .ask(
            "POST",
            "/v1/commands?validate=true",
            "alice",
            Some(&command("show interface {ifname}", "ifname", "r2")),
        )
        .await
        .unwrap();
    assert_eq!(said["sends"][0]["command"], "show interface r2", "{said}");
    assert_eq!(
        place
            .ask("GET", "/api/v1/commands", "eve", None)
            .await
            .unwrap()
            .1["commands"],
        json!([])
    );
}

#[tokio::test]
async fn switch_stops_for_an_operator_and_goes_on_for_an_admin_only() {
    let place = Place::with(INVENTORY, "").await;
    let put = async |user: &str, paused: bool| {
        place
            .ask(
                "PUT",
                "/api/v1/switch",
                user,
                Some(&json!({"paused": paused, "reason": "storm"})),
            )
            .await
            .unwrap()
            .0
    };
    assert_eq!(
        (
            put("eve", true).await,
            put("alice", true).await,
            put("alice", false).await
        ),
        (403, 200, 403)
    );
    let (_, switch) = place
        .ask("GET", "/api/v1/switch", "eve", None)
        .await
        .unwrap();
    assert_eq!(
        (&switch["paused"], &switch["by"]),
        (&json!(true), &json!("alice"))
    );
    let again = start(&place.dir, &[]).await;
    let mut place = place;
    place.process.signal(Signal::SIGKILL).unwrap();
    place.process = again;
    place.ready().await;
    assert_eq!(
        place
            .ask("GET", "/api/v1/switch", "eve", None)
            .await
            .unwrap()
            .1["paused"],
        json!(true),
        "a stop outlives the process"
    );
}

#[tokio::test]
async fn committed_interface_is_what_is_served() {
    let place = Place::with(INVENTORY, "").await;
    let (_, served) = place
        .ask("GET", "/api/v1/openapi.json", "eve", None)
        .await
        .unwrap();
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/remediator.openapi.json");
    let served = serde_json::to_string_pretty(&served).unwrap() + "\n";
    testkit::golden::hold(&path, &served);
}

#[tokio::test]
async fn every_route_is_described_and_everything_described_is_a_route() {
    let place = Place::with(INVENTORY, "").await;
    let debug = ["--log.level=debug", "--log.format=json"].map(str::to_owned);
    let process = Process::spawn(BINARY, flags(&place.dir).into_iter().chain(debug))
        .await
        .unwrap();
    let (_, document) = place
        .ask("GET", "/api/v1/openapi.json", "eve", None)
        .await
        .unwrap();
    let routes = testkit::interface::routes(&process).await.unwrap();
    assert_eq!(routes, testkit::interface::described(&document));
}
