//! Has every service write what it keeps: once for each version, when it is released.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::Path;

use anyhow::ensure;
use serde_json::json;
use sotp_checks::tools;
use testkit::ssh::Device;
use testkit::{Server, TempDir, eventually, services::program};

use super::{
    AWAY, FORECAST, INVENTORY, LONG, REMEDIATOR, REPORTER, SSH_CONFIG, WAITING, ask, datagram, end,
    learnt, netflow, rum, start, syslog,
};

const RUNNING: &str = "Building configuration...\n\nCurrent configuration:\n!\nfrr version 8.4.4\nhostname r1\n!\nend\n";

/// Prometheus with these series, each sample a line of seconds and value.
async fn past(folder: &TempDir, series: &[(&str, Vec<(i64, f64)>)]) -> Server {
    let mut text = String::new();
    for (name, samples) in series {
        for (at, value) in samples {
            writeln!(text, "{name} {value} {at}").unwrap();
        }
    }
    let file = folder.write("past.om", text + "# EOF\n").unwrap();
    let data = folder.join("past");
    let [file, to] = [&file, &data].map(|path| path.display().to_string());
    let blocks = [
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--max-block-duration=744h",
        &file,
        &to,
    ];
    tools::run("promtool", &blocks).unwrap();
    Server::prometheus_over("scrape_configs: []\n", &data)
        .await
        .unwrap()
}

/// A closed month, its report, and the mail of it, which nobody took.
async fn write_reporter(folder: &Path) {
    let scratch = TempDir::new().unwrap();
    let start: i64 = 1_759_276_800;
    let month = (0..31 * 48)
        .map(|half| (start + half * 1_800, 1.0))
        .collect();
    let server = past(
        &scratch,
        &[("ping_up{device=\"r1\",site=\"waw\",role=\"router\"}", month)],
    )
    .await;
    std::fs::create_dir_all(folder.join("reporter")).unwrap();
    let file = folder.join("reporter/config.yaml");
    std::fs::write(&file, REPORTER.replace("http://127.0.0.1:9", &server.url)).unwrap();
    let config = format!("--config.file={}", file.display());
    let sent = tools::run(
        program("sotp-reporter"),
        &["run", &config, "--month=2025-10"],
    );
    assert!(sent.is_err(), "nobody takes mails: {sent:?}");
    assert!(folder.join("reporter/data/outbox/2025-10.json").is_file());
}

/// A version of a configuration, with what was found of it.
async fn write_ssh_config(folder: &Path) {
    let device = Device::new("r1", "sotp", "login")
        .answer("show running-config", RUNNING)
        .answer("show version", "FRRouting 8.4.4 (r1) on Linux(6.1.0).\n");
    let device = device.start().await.unwrap();
    let own = folder.join("ssh-config");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("known_hosts"), &device.known_host).unwrap();
    std::fs::write(own.join("login"), "login\n").unwrap();
    let port = device.address.port();
    let inventory = format!(
        "devices: [{{name: r1, address: 127.0.0.1, platform: frr, ssh: {{port: {port}, credentials: lab}}}}]\n"
    );
    std::fs::write(own.join("inventory.yaml"), inventory).unwrap();
    let process = start("sotp-ssh-config", folder, SSH_CONFIG).await;
    eventually(LONG, || async {
        let up = process
            .scrape()
            .await?
            .value("sshconfig_up", &[("device", "r1")]);
        ensure!(up == Some(1.0), "{up:?}");
        Ok(())
    })
    .await
    .unwrap();
    end(process).await;
}

/// What was learnt of a month.
async fn write_forecast(folder: &Path) {
    let scratch = TempDir::new().unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    let wave = (now - 40 * 86_400..now).step_by(300).map(|at| {
        let day = (at as f64 / 86_400.0 * std::f64::consts::TAU).sin();
        (
            at,
            (1e8 + 5e7 * day + (at * 7_919 % 1_000_003) as f64).round(),
        )
    });
    let server = past(&scratch, &[("kept_bits{device=\"r1\"}", wave.collect())]).await;
    let config = FORECAST.replace("http://127.0.0.1:9", &server.url);
    let process = start("sotp-forecast", folder, &config).await;
    learnt(&process, "written").await;
    end(process).await;
}

/// Has every service write what it keeps, but for those whose folder is there.
pub(super) async fn write(folder: &Path) {
    if !folder.join("reporter").exists() {
        write_reporter(folder).await;
    }
    if !folder.join("ssh-config").exists() {
        write_ssh_config(folder).await;
    }
    if !folder.join("forecast").exists() {
        write_forecast(folder).await;
    }
    if !folder.join("syslog").exists() {
        write_others(folder).await;
    }
}

async fn write_others(folder: &Path) {
    let [port] = crate::ports::free();
    let process = start("sotp-syslog", folder, &syslog(port, AWAY)).await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..WAITING {
        let line = format!("<14>1 - r1 test - - - waiting {number}.");
        socket
            .send_to(line.as_bytes(), ("127.0.0.1", port))
            .unwrap();
    }
    eventually(LONG, || async {
        let taken = process
            .scrape()
            .await?
            .sum("syslog_messages_received_total", &[]);
        ensure!(taken >= WAITING as f64, "{taken}");
        Ok(())
    })
    .await
    .unwrap();
    end(process).await;

    let process = start("sotp-rum", folder, &rum(AWAY)).await;
    for number in 0..WAITING {
        let fault = json!({"meta": {"app": {"name": "shop"}, "page": {"url": "http://x/d/a"}},
            "exceptions": [{"type": "E", "value": format!("waiting {number}.")}]});
        let (status, said) = ask(&process, "POST", "/collect", Some(fault)).await;
        assert_eq!(status, 202, "{said}");
    }
    end(process).await;

    let [port] = crate::ports::free();
    let process = start("sotp-netflow", folder, &netflow(port)).await;
    // Template 256: octets and the sampler. Options template 300: sampler and its interval; sampler 5 takes 1 of 100.
    let sets = [
        &[0, 0, 0, 16, 1, 0, 0, 2, 0, 1, 0, 4, 0, 48, 0, 1][..],
        &[
            0, 1, 0, 20, 1, 44, 0, 4, 0, 4, 0, 48, 0, 1, 0, 34, 0, 4, 0, 0,
        ],
        &[1, 44, 0, 9, 5, 0, 0, 0, 100],
    ];
    let told = datagram(1, &sets.concat());
    socket.send_to(&told, ("127.0.0.1", port)).unwrap();
    eventually(LONG, || async {
        ensure!(folder.join("netflow/templates.json").is_file(), "not yet");
        Ok(())
    })
    .await
    .unwrap();
    end(process).await;

    std::fs::create_dir_all(folder.join("remediator")).unwrap();
    std::fs::write(folder.join("remediator/token"), "token\n").unwrap();
    let process = start("sotp-remediator", folder, REMEDIATOR).await;
    let alert = json!({"version": "4", "status": "firing", "alerts": [{"status": "firing", "startsAt": "2026-01-01T00:00:00Z",
        "labels": {"alertname": "InterfaceShut", "device": "r1", "ifName": "eth0"}, "fingerprint": "00ff"}]});
    let path = "/api/v1/webhook/alertmanager";
    eventually(LONG, || async {
        let (status, said) = ask(&process, "POST", path, Some(alert.clone())).await;
        ensure!(status == 200, "{status} {said}");
        Ok(())
    })
    .await
    .unwrap();
    let (status, said) = ask(
        &process,
        "PUT",
        "/api/v1/switch",
        Some(json!({"paused": true, "reason": "upgrade"})),
    )
    .await;
    assert_eq!(status, 200, "{said}");
    end(process).await;

    let process = start("sotp-inventory", folder, INVENTORY).await;
    let device = json!({"name": "r2", "address": "192.0.2.2"});
    let (status, said) = ask(&process, "POST", "/api/v1/devices", Some(device)).await;
    assert_eq!(status, 201, "{said}");
    end(process).await;
}
