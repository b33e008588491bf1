//! Twenty thousand devices in the real binary, edited: what a list, a change and a shard cost, and how much memory.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed bench")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;

#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/it/support.rs"]
mod support;

use support::{Place, send};

const DEVICES: u32 = 20_000;
/// How often each is asked.
const TIMES: u32 = 50;

fn inventory() -> String {
    let mut text = "sites:\n".to_owned();
    for site in 0..100 {
        writeln!(text, "  - {{name: site-{site}, region: north}}").unwrap();
    }
    text.push_str("groups:\n  - name: routers\n    defaults: {role: core, platform: frr, snmp: {module: if_mib, auth: lab_v3}}\ndevices:\n");
    for n in 0..DEVICES {
        let address = std::net::Ipv4Addr::from((10 << 24) + n);
        writeln!(text, "  - name: router-{n}.example.net\n    address: {address}\n    site: site-{}\n    groups: [routers]\n    tags: [t{}]", n % 100, n % 7).unwrap();
    }
    text
}

/// The 95th of a hundred.
fn p95(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() * 95 / 100].as_secs_f64() * 1e3
}

#[tokio::main]
async fn main() {
    // `cargo test` runs benches too, with this flag.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let place = Place::new(&inventory());
    let service = place.start().await;
    let timed = async |path: &str| {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let began = Instant::now();
            let answer = service.get(path).await;
            times.push(began.elapsed());
            assert_eq!(answer.status, 200, "{path}");
        }
        p95(times)
    };
    let page = timed("/api/v1/devices?site=site-7&limit=100").await;
    let shard = timed("/sd/snmp?shard=3&of=10").await;
    let whole = timed("/api/v1/devices").await;
    let mut times = Vec::new();
    let mut file = Vec::new();
    for n in 0..TIMES {
        let path = format!("/api/v1/devices/router-{}.example.net", n * 97);
        let seen = service.get(&format!("{path}?form=written")).await;
        let mut entry = seen.body.clone();
        entry["tags"] = json!([format!("changed-{n}")]);
        let began = Instant::now();
        let put = service.put(&path, &seen.tag, &entry).await;
        times.push(began.elapsed());
        assert_eq!(put.status, 200, "{}", put.text);
    }
    let change = p95(times);
    // What it takes until the commit is made and the branch stands at it, one change at a time.
    let branch = place.dir.join("network/.git/refs/heads/main");
    service.get("/api/v1/versions?limit=1").await;
    for n in 0..20 {
        let body = json!({"name": format!("new-{n}"), "address": format!("172.16.0.{n}")});
        let before = std::fs::read(&branch).unwrap();
        let began = Instant::now();
        let added = send(service.json("POST", "/api/v1/devices", &body)).await;
        assert_eq!(added.status, 201, "{}", added.text);
        while std::fs::read(&branch).unwrap() == before {
            assert!(began.elapsed() < Duration::from_secs(60), "no commit");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        file.push(began.elapsed());
    }
    let committed = p95(file);
    let scrape = send(service.request("GET", "/metrics")).await.text;
    let resident = scrape
        .lines()
        .find_map(|line| line.strip_prefix("process_resident_memory_bytes "))
        .unwrap();
    let resident = resident.parse::<f64>().unwrap() / 1e6;
    let mut found = testkit::Figures::default();
    for (figure, ours, most) in [
        ("list: a page of 100 of a site, p95 ms", page, Some(50.0)),
        ("change: one device, on disk, p95 ms", change, Some(50.0)),
        ("http_sd: one shard of ten, p95 ms", shard, Some(20.0)),
        (
            "memory: resident MB after the changes",
            resident,
            Some(200.0),
        ),
        ("list: all 20,000 devices, p95 ms", whole, None),
        ("change: until it is in git, p95 ms", committed, None),
    ] {
        found.add(figure, ours, None, most.map(testkit::Goal::AtMost));
    }
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench/inventory.json");
    found.finish(&path).unwrap();
}
