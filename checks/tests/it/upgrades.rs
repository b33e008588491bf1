//! What earlier versions stored, opened by the programs of today: `checks/testdata/upgrades/VERSION.tar.gz` holds the state folders that the
//! programs of that version wrote. `SOTP_UPDATE=1` writes those of this version that are not there; that is done once, when it is released.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;
use sotp_checks::{root, tools};
use testkit::loki::Loki;
use testkit::{Process, Spawn, TempDir, client, eventually, services::program};

mod written;

/// Long enough for a loaded machine; nothing waits for it when all is well.
const LONG: Duration = Duration::from_secs(60);
/// Lines, faults and the like that wait in each queue.
const WAITING: usize = 20;
/// Nobody listens there.
const AWAY: &str = "http://127.0.0.1:9/loki/api/v1/push";

/// A service over its state folder.
async fn start(name: &str, folder: &Path, config: &str) -> Process {
    let app = name.trim_start_matches("sotp-");
    std::fs::create_dir_all(folder.join(app)).unwrap();
    let file = folder.join(app).join("config.yaml");
    std::fs::write(&file, config).unwrap();
    let mut args = vec![
        format!("--config.file={}", file.display()),
        "--drain.timeout=2s".to_owned(),
    ];
    if !["sotp-rum", "sotp-reporter", "sotp-forecast"].contains(&name) {
        // That of the inventory is its own, and is edited.
        let inventory = folder.join(app).join("inventory.yaml");
        if !inventory.exists() {
            let devices = "devices: [{name: r1, address: 127.0.0.1, platform: frr, ssh: {}, flow: {sources: [127.0.0.1]}}]\n";
            std::fs::write(&inventory, devices).unwrap();
        }
        args.push(format!("--inventory.source={}", inventory.display()));
    }
    let process = Spawn::new(program(name)).args(args).start().await;
    process.unwrap_or_else(|error| panic!("{name}: {error:#}"))
}

async fn end(mut process: Process) {
    process.terminate().unwrap();
    process.wait(LONG).await.unwrap();
}

async fn ask(process: &Process, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
    let mut request = client().request(method.parse().unwrap(), process.url(path));
    if let Some(body) = body {
        // Whoever asks from this machine with nothing of the kind is the admin.
        request = match path {
            "/collect" => request.header("origin", "https://shop.example.net"),
            "/api/v1/webhook/alertmanager" => request.header("authorization", "Bearer token"),
            _ => request,
        };
        let request_body = body.to_string();
        request = request
            .header("content-type", "application/json")
            .body(request_body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn syslog(port: u16, loki: &str) -> String {
    format!(
        "listen: {{udp: [{{address: '127.0.0.1:{port}'}}], tcp: []}}\nspool: {{path: spool, max_bytes: 67108864, reserve_bytes: 1048576}}\n\
         dead_letters: {{path: dead.jsonl}}\nloki: [{{name: main, url: '{loki}'}}]\n"
    )
}

fn rum(loki: &str) -> String {
    format!(
        "origins: ['https://shop.example.net']\napps: [shop]\nloki: {{url: '{loki}'}}\nqueue: {{path: lines}}\n"
    )
}

fn netflow(port: u16) -> String {
    format!("listen: ['127.0.0.1:{port}']\naccounting: arrival\ntemplates: templates.json\n")
}

const REMEDIATOR: &str = "journal: {folder: journal}\nprometheus: {url: 'http://127.0.0.1:9'}\nwebhook: {bearer_token_file: token}\n\
     levels: [{runbook: port-up, level: propose}]\naccess: {loopback: admin}\naudit: {folder: audit}\n";
const INVENTORY: &str = "access: {loopback: admin}\naudit: {folder: audit}\n";

const REPORTER: &str = "prometheus: {url: 'http://127.0.0.1:9'}\nstale_after: 1h\n\
     mail: {server: localhost, port: 9, from: sotp@example.net, to: [noc@example.net]}\n";
const SSH_CONFIG: &str = "every: 1h\nhost_keys: {file: known_hosts}\n\
     credentials: [{name: lab, user: sotp, password_file: login, devices: [r1]}]\naccess: {loopback: admin}\naudit: {folder: audit}\n";
const FORECAST: &str = "prometheus: {url: 'http://127.0.0.1:9'}\nstate_file: known\n\
     forecasts: [{name: kept_bits_per_second, query: 'kept_bits'}]\n";

async fn learnt(process: &Process, version: &str) {
    eventually(LONG, || async {
        let page = process.scrape().await?;
        let known = page.value(
            "forecast_series",
            &[("forecast", "kept_bits_per_second"), ("state", "ok")],
        );
        ensure!(
            known == Some(1.0),
            "{version}: {known:?}\n{}",
            process.log()
        );
        Ok(())
    })
    .await
    .unwrap();
}

/// NetFlow v9 of domain 7 with these sets.
fn datagram(sequence: u8, sets: &[u8]) -> Vec<u8> {
    let mut out = vec![
        0, 9, 0, 1, 0, 0, 0x13, 0x88, 0x65, 0x53, 0xf1, 0, 0, 0, 0, sequence, 0, 0, 0, 7,
    ];
    out.extend(sets);
    out
}

/// What was stored is used.
async fn read(folder: &Path, version: &str) {
    let loki = Loki::start(None).await.unwrap();
    let [port, other] = crate::ports::free();
    let processes = [
        start("sotp-syslog", folder, &syslog(port, &loki.push_url())).await,
        start("sotp-rum", folder, &rum(&loki.push_url())).await,
    ];
    eventually(LONG, || async {
        let entries = loki.entries();
        for (job, process) in ["syslog", "rum"].iter().zip(&processes) {
            let lines = entries.iter().filter(|entry| entry.get("job") == Some(job));
            let text: String = lines.map(|entry| entry.line.as_str()).collect();
            let missing = (0..WAITING).find(|it| !text.contains(&format!("waiting {it}.")));
            ensure!(
                missing.is_none(),
                "{version}: {job}: {missing:?}\n{}",
                process.log()
            );
        }
        Ok(())
    })
    .await
    .unwrap();

    // A template of before, and the sampling rate: 70 octets of one packet of a hundred.
    // An exporter is known by its port, which another program may have now: it has moved.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = folder.join("netflow/templates.json");
    let mut stored: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    stored["streams"][0][0]["port"] = socket.local_addr().unwrap().port().into();
    std::fs::write(&file, stored.to_string()).unwrap();
    let process = start("sotp-netflow", folder, &netflow(other)).await;
    let data = datagram(2, &[1, 0, 0, 9, 0, 0, 0, 70, 5]);
    socket.send_to(&data, ("127.0.0.1", other)).unwrap();
    eventually(LONG, || async {
        let told = process.scrape().await?.sum("netflow_bytes_total", &[]);
        ensure!(
            (told - 7_000.0).abs() < 0.5,
            "{version}: {told}\n{}",
            process.log()
        );
        Ok(())
    })
    .await
    .unwrap();

    let process = start("sotp-remediator", folder, REMEDIATOR).await;
    eventually(LONG, || async {
        let (_, jobs) = ask(&process, "GET", "/api/v1/jobs", None).await;
        ensure!(
            jobs.contains("port-up") && jobs.contains("eth0"),
            "{version}: {jobs}"
        );
        let (_, switch) = ask(&process, "GET", "/api/v1/switch", None).await;
        ensure!(switch.contains("upgrade"), "{version}: {switch}");
        Ok(())
    })
    .await
    .unwrap();

    let process = start("sotp-reporter", folder, REPORTER).await;
    let (_, reports) = ask(&process, "GET", "/api/v1/reports", None).await;
    assert!(
        reports.contains("2025-10") && reports.contains("queued"),
        "{version}: {reports}"
    );
    let (_, devices) = ask(
        &process,
        "GET",
        "/api/v1/reports/2025-10/files/devices.csv",
        None,
    )
    .await;
    assert!(devices.contains("r1"), "{version}: {devices}");
    // Of its closed month, for Prometheus has nothing.
    let config = format!(
        "--config.file={}",
        folder.join("reporter/config.yaml").display()
    );
    let again = format!("--output={}", folder.join("again").display());
    let made = tools::run(
        program("sotp-reporter"),
        &["render", &config, "--month=2025-10", &again],
    );
    assert!(made.is_ok(), "{version}: {made:?}");

    let process = start("sotp-ssh-config", folder, SSH_CONFIG).await;
    let (_, kept) = ask(&process, "GET", "/api/v1/devices/r1/configuration", None).await;
    assert!(kept.contains("hostname r1"), "{version}: {kept}");
    let (_, versions) = ask(&process, "GET", "/api/v1/devices/r1/versions", None).await;
    assert!(versions.contains("\"added\":5"), "{version}: {versions}");
    // Nobody listens where the device was: what is told of it is what was written.
    eventually(LONG, || async {
        let page = process.scrape().await?;
        let name = "sshconfig_last_success_timestamp_seconds";
        let known = page.value(name, &[("device", "r1")]);
        ensure!(
            known.is_some_and(|known| known > 1.7e9),
            "{version}: {known:?}"
        );
        Ok(())
    })
    .await
    .unwrap();

    let process = start("sotp-forecast", folder, FORECAST).await;
    learnt(&process, version).await;

    let process = start("sotp-inventory", folder, INVENTORY).await;
    let (_, device) = ask(&process, "GET", "/api/v1/devices/r2", None).await;
    assert!(device.contains("192.0.2.2"), "{version}: {device}");
    let (_, versions) = ask(&process, "GET", "/api/v1/versions", None).await;
    assert!(versions.contains("r2"), "{version}: {versions}");
    // Each log goes on from the record where it ended.
    for app in ["inventory", "remediator"] {
        let log = folder.join(app).join("audit").display().to_string();
        let said = tools::run(program("sotp-audit"), &["verify", &log]);
        assert!(said.is_ok(), "{version}: {app}: {said:?}");
    }
    let (status, page) = ask(&process, "GET", "/api/v1/audit", None).await;
    assert!(
        status == 200 && page.contains("device/r2"),
        "{version}: {page}"
    );
}

fn archives() -> PathBuf {
    root().join("checks/testdata/upgrades")
}

#[tokio::test]
async fn what_each_earlier_version_stored_is_taken_over() {
    if std::env::var_os("SOTP_UPDATE").is_some() {
        let folder = TempDir::new().unwrap();
        let archive = archives().join(concat!(env!("CARGO_PKG_VERSION"), ".tar.gz"));
        let (archive, own) = (
            archive.display().to_string(),
            folder.path().display().to_string(),
        );
        if Path::new(&archive).exists() {
            tools::run("tar", &["--no-same-owner", "-xzf", &archive, "-C", &own]).unwrap();
        }
        written::write(folder.path()).await;
        tools::run(
            "tar",
            &[
                "--exclude=*.sample",
                "--owner=0",
                "--group=0",
                "-czf",
                &archive,
                "-C",
                &own,
                ".",
            ],
        )
        .unwrap();
    }
    let mut count = 0;
    for archive in sotp_checks::files(&archives(), ".tar.gz").unwrap() {
        let folder = TempDir::new().unwrap();
        let (file, to) = (
            archive.display().to_string(),
            folder.path().display().to_string(),
        );
        tools::run("tar", &["--no-same-owner", "-xzf", &file, "-C", &to]).unwrap();
        read(folder.path(), &file).await;
        count += 1;
    }
    assert!(count > 0, "nothing was stored by any version");
}
