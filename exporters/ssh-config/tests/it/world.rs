//! A program, its files and two devices.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::loki::Loki;
use testkit::ssh::{Device, Running};
use testkit::{Process, Spawn, TempDir};

pub(crate) const EXPORTER: &str = env!("CARGO_BIN_EXE_sotp-ssh-config");
/// What no output may hold.
pub(crate) const SECRETS: [&str; 3] = ["s3cretBgp", "s3cretLogin", "s3cretEvents"];
/// A whole configuration of FRR that breaks no rule of the starter set.
pub(crate) const CONFIG: &str = "Building configuration...\n\nCurrent configuration:\n!\nfrr version 8.4.4\nhostname r1\nlog syslog informational\nlog commands\n!\ninterface eth1\n description to r2\nexit\n!\nrouter bgp 65001\n neighbor 198.18.0.2 remote-as 65002\n neighbor 198.18.0.2 password s3cretBgp\nexit\n!\nend\n";

/// One of EOS, of which the same is true.
pub(crate) const SWITCH: &str = "! Command: show running-config\n! device: r6 (DCS-7050, EOS-4.29.2F)\n!\nhostname r6\n!\nno aaa root\nntp server 198.18.0.1\nntp server 198.18.0.2\nlogging host 198.18.0.9\n!\nend\n";

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) r1: Running,
    /// A switch of another platform.
    pub(crate) r6: Running,
    pub(crate) r2: Running,
    pub(crate) loki: Loki,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::of(|device| device).await
    }

    /// With two devices that are changed before they start.
    pub(crate) async fn of(change: impl Fn(Device) -> Device) -> Self {
        let device = |name: &str| {
            let device = Device::new(name, "sotp", "s3cretLogin")
                .answer("show running-config", CONFIG)
                .answer(
                    "show version",
                    "FRRouting 8.4.4 (r1) on Linux(6.1.0).\nmore\n",
                );
            change(device)
        };
        let r6 = Device::new("r6", "sotp", "s3cretLogin")
            .at([127, 0, 0, 6].into())
            .answer("terminal width 32767", "")
            .answer("show running-config", SWITCH)
            .answer("show startup-config", &SWITCH.replace("r6", "old"))
            .answer(
                "show version",
                "Arista DCS-7050\nSerial number: SSJ1\nSoftware image version: 4.29.2F\n",
            )
            .start()
            .await
            .unwrap();
        let r1 = device("r1").start().await.unwrap();
        let r2 = device("r2")
            .at([127, 0, 0, 2].into())
            .start()
            .await
            .unwrap();
        let dir = TempDir::new().unwrap();
        let loki = Loki::start(None).await.unwrap();
        let inventory = format!(
            "sites: [{{name: ams}}]\ndevices:\n\
             - {{name: r1, address: 127.0.0.1, site: ams, role: edge, platform: frr, ssh: {{port: {}, credentials: lab}}}}\n\
             - {{name: r2, address: 127.0.0.2, site: ams, role: edge, platform: frr, ssh: {{port: {}, credentials: lab}}}}\n\
             - {{name: r6, address: 127.0.0.6, role: switch, platform: eos, ssh: {{port: {}, credentials: lab}}}}\n\
             - {{name: r3, address: 127.0.0.3, platform: frr, ssh: {{port: 9, credentials: lab}}}}\n\
             - {{name: r4, address: 127.0.0.4, platform: frr, ssh: {{credentials: nobody}}}}\n\
             - {{name: r5, address: 127.0.0.5, platform: toaster, ssh: {{credentials: lab}}}}\n",
            r1.address.port(),
            r2.address.port(),
            r6.address.port()
        );
        dir.write("inventory.yaml", inventory).unwrap();
        dir.write(
            "known_hosts",
            format!("{}{}{}", r1.known_host, r2.known_host, r6.known_host),
        )
        .unwrap();
        dir.write("password", "s3cretLogin\n").unwrap();
        dir.write("events", "s3cretEvents\n").unwrap();
        let hash = bcrypt::hash("reads", 4).unwrap();
        dir.write(
            "web.yaml",
            format!("basic_auth_users: {{alice: {hash}, eve: {hash}}}\n"),
        )
        .unwrap();
        let config = format!(
            "every: 1h\nsettle: 200ms\nhost_keys: {{file: known_hosts}}\nevents: {{secret_file: events}}\n\
             credentials: [{{name: lab, user: sotp, password_file: password, devices: [r1, r2, r3, r5, r6]}}]\n\
             loki: {{url: '{}'}}\naccess: {{web_users: {{alice: operator}}}}\naudit: {{folder: audit}}\n",
            loki.push_url()
        );
        dir.write("ssh-config.yaml", config).unwrap();
        Self {
            dir,
            r1,
            r6,
            r2,
            loki,
        }
    }

    /// Adds to the configuration.
    pub(crate) fn configure(&self, text: &str) {
        let path = self.dir.join("ssh-config.yaml");
        let held = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, held + text).unwrap();
    }

    /// The starter rules for FRR, with a waiver for r1.
    pub(crate) fn waive(&self, rule: &str, until: &str) {
        let rules = include_str!("../../rules/frr.yaml");
        let waiver = format!(
            "waivers:\n  - {{rule: {rule}, devices: [r1], owner: alice, until: '{until}', reason: it is being mended}}\n"
        );
        std::fs::create_dir_all(self.dir.join("rules")).unwrap();
        self.dir
            .write("rules/frr.yaml", rules.to_owned() + &waiver)
            .unwrap();
        self.configure("rules: rules\n");
    }

    pub(crate) async fn start(&self) -> Process {
        self.spawn().start().await.unwrap()
    }

    pub(crate) fn spawn(&self) -> Spawn {
        let at = |name: &str| self.dir.join(name).display().to_string();
        Spawn::new(EXPORTER).args([
            format!("--config.file={}", at("ssh-config.yaml")),
            format!("--inventory.source={}", at("inventory.yaml")),
            format!("--web.config.file={}", at("web.yaml")),
        ])
    }

    /// Everything that is on disk below the data folder, packed objects as git shows them.
    pub(crate) fn archived(&self) -> String {
        let git = |args: &[&str]| {
            let output = std::process::Command::new("git")
                .current_dir(self.dir.join("ssh-config/archive.git"))
                .args(args)
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        git(&["log", "--all", "-p", "--format=fuller"])
    }
}

/// What the program answers to `user`.
pub(crate) async fn ask(process: &Process, user: &str, path: &str) -> (u16, String) {
    let answer = testkit::client()
        .get(process.url(path))
        .basic_auth(user, Some("reads"))
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

pub(crate) async fn asked(process: &Process, path: &str) -> Value {
    let (status, body) = ask(process, "alice", path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

pub(crate) async fn page(process: &Process) -> testkit::Samples {
    testkit::Samples::parse(&ask(process, "alice", "/metrics").await.1).unwrap()
}

/// Waits until a series of `device` has a value.
pub(crate) async fn series(process: &Process, name: &str, labels: &[(&str, &str)], value: f64) {
    testkit::eventually(Duration::from_secs(20), || async {
        let found = page(process).await.value(name, labels);
        if found == Some(value) {
            return Ok(());
        }
        Err(
            std::io::Error::other(format!("{name}{labels:?} is {found:?}; {}", process.log()))
                .into(),
        )
    })
    .await
    .unwrap();
}

/// An event as sotp-syslog sends it.
pub(crate) async fn event(
    process: &Process,
    kind: &str,
    device: &str,
    fields: Value,
    secret: &str,
) -> u16 {
    let fields = json!({"fields": fields});
    event_with(process, kind, device, fields, secret).await.0
}

/// An event with further members; what is answered.
pub(crate) async fn event_with(
    process: &Process,
    kind: &str,
    device: &str,
    members: Value,
    secret: &str,
) -> (u16, String) {
    let mut body = json!({"version": 1, "event": kind, "device": device});
    if let (Some(body), Value::Object(members)) = (body.as_object_mut(), members) {
        body.extend(members);
    }
    let body = body.to_string();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let tag: String = ring::hmac::sign(&key, body.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let request = testkit::client()
        .post(process.url("/api/v1/events"))
        .basic_auth("eve", Some("reads"));
    let answer = request
        .header("x-sotp-signature", format!("sha256={tag}"))
        .body(body)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}
