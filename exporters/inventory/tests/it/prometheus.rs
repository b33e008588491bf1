//! A real Prometheus that discovers its targets from the real binary.

use std::time::Duration;

use serde_json::Value;
use testkit::{Process, Server, TempDir, eventually};

/// Prometheus asks each second, and the file is looked at twice a second.
const SEEN: Duration = Duration::from_secs(10);

/// The discovered addresses of a job, sorted, each with its labels.
async fn targets(server: &Server, job: &str) -> anyhow::Result<Vec<(String, Value)>> {
    let data = server.api("targets?state=active").await?;
    let active = data["activeTargets"].as_array().unwrap().clone();
    let of_job = active
        .into_iter()
        .filter(|target| target["scrapePool"] == job);
    let mut targets: Vec<_> = of_job
        .map(|target| {
            let labels = target["labels"].clone();
            (labels["instance"].as_str().unwrap().to_owned(), labels)
        })
        .collect();
    targets.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(targets)
}

async fn has(server: &Server, job: &str, expected: &[&str]) -> Vec<Value> {
    eventually(SEEN, || async {
        let targets = targets(server, job).await?;
        let addresses: Vec<&str> = targets
            .iter()
            .map(|(address, _)| address.as_str())
            .collect();
        anyhow::ensure!(
            addresses == expected,
            "{job}: {addresses:?}, expected {expected:?}"
        );
        Ok(targets.into_iter().map(|(_, labels)| labels).collect())
    })
    .await
    .unwrap()
}

fn device(n: u8) -> String {
    format!("  - {{name: r{n}, address: 192.0.2.{n}, groups: [routers]}}\n")
}

fn inventory(devices: &[u8]) -> String {
    let list: String = devices.iter().map(|n| device(*n)).collect();
    format!(
        "sites: [{{name: lab}}]\n\
         groups: [{{name: routers, defaults: {{site: lab, role: core, platform: frr, snmp: {{module: if_mib, auth: lab_v3}}}}}}]\n\
         devices:\n{list}"
    )
}

#[tokio::test]
async fn targets_come_and_go_with_the_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.write("inventory.yaml", inventory(&[1, 2])).unwrap();
    let binary = env!("CARGO_BIN_EXE_sotp-inventory");
    let flags = [
        format!("--inventory.source={}", path.display()),
        "--inventory.shrink-limit=1".to_owned(),
    ];
    let service = Process::spawn(binary, flags).await.unwrap();
    let at = service.address();
    let job = |name: &str, page: &str| {
        format!(
            "  - job_name: {name}\n    metrics_path: /none\n    http_sd_configs:\n      \
             - {{url: 'http://{at}{page}', refresh_interval: 1s}}\n    relabel_configs:\n      \
             - {{source_labels: [__address__], target_label: instance}}\n      \
             - {{source_labels: [__param_module], target_label: module}}\n      \
             - {{source_labels: [__param_auth], target_label: auth}}\n      \
             - {{target_label: __address__, replacement: '{at}'}}\n"
        )
    };
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n  - job_name: inventory\n    \
         static_configs: [{{targets: ['{at}']}}]\n{}{}{}{}",
        job("ping", "/sd/ping"),
        job("snmp", "/sd/snmp"),
        job("first", "/sd/ping?shard=0&of=2"),
        job("second", "/sd/ping?shard=1&of=2"),
    );
    let prometheus = Server::prometheus(&config).await.unwrap();

    has(&prometheus, "ping", &["192.0.2.1", "192.0.2.2"]).await;
    let snmp = has(&prometheus, "snmp", &["192.0.2.1", "192.0.2.2"]).await;
    for (label, value) in [
        ("device", "r1"),
        ("site", "lab"),
        ("role", "core"),
        ("platform", "frr"),
        ("module", "if_mib"),
        ("auth", "lab_v3"),
    ] {
        assert_eq!(snmp[0][label], value, "{}", snmp[0]);
    }

    std::fs::write(&path, inventory(&[2, 3, 4])).unwrap();
    has(
        &prometheus,
        "ping",
        &["192.0.2.2", "192.0.2.3", "192.0.2.4"],
    )
    .await;
    eventually(SEEN, || async {
        let (first, second) = (
            targets(&prometheus, "first").await?,
            targets(&prometheus, "second").await?,
        );
        anyhow::ensure!(first.len() + second.len() == 3, "{first:?} and {second:?}");
        anyhow::ensure!(first.iter().all(|target| !second.contains(target)));
        Ok(())
    })
    .await
    .unwrap();

    // A bad file changes nothing; an empty one takes every target away.
    std::fs::write(&path, "devices: {").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    has(
        &prometheus,
        "ping",
        &["192.0.2.2", "192.0.2.3", "192.0.2.4"],
    )
    .await;
    std::fs::write(&path, inventory(&[4])).unwrap();
    has(&prometheus, "ping", &["192.0.2.4"]).await;
    has(&prometheus, "snmp", &["192.0.2.4"]).await;
    std::fs::write(&path, "").unwrap();
    has(&prometheus, "ping", &[]).await;

    // The series arrive too, and follow the file.
    std::fs::write(&path, inventory(&[7])).unwrap();
    eventually(SEEN, || async {
        let result = prometheus.query("sotp_device_info").await?;
        anyhow::ensure!(
            result.len() == 1 && result[0]["metric"]["device"] == "r7",
            "{result:?}"
        );
        anyhow::ensure!(result[0]["metric"]["address"] == "192.0.2.7", "{result:?}");
        Ok(())
    })
    .await
    .unwrap();
}
