//! Twenty thousand devices: what a start, a change, a scrape and a shard cost.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use testkit::{Process, TempDir, eventually};

const DEVICES: u32 = 20_000;
const MEGABYTE: f64 = 1024.0 * 1024.0;

fn inventory(last: &str) -> String {
    let mut text = "sites:\n".to_owned();
    for site in 0..100 {
        writeln!(
            text,
            "  - {{name: site-{site}, region: north, latitude: 50.0, longitude: {site}.5}}"
        )
        .unwrap();
    }
    text.push_str("groups:\n  - name: routers\n    defaults:\n      role: core\n      platform: frr\n      snmp: {module: if_mib, auth: lab_v3}\n      ssh: {credentials: lab}\n      flow:\n      syslog:\ndevices:\n");
    for n in 0..DEVICES {
        let name = if n == DEVICES - 1 {
            last.to_owned()
        } else {
            format!("router-{n}.example.net")
        };
        let address = std::net::Ipv4Addr::from((10 << 24) + n);
        writeln!(text, "  - name: {name}\n    address: {address}\n    site: site-{}\n    groups: [routers]\n    tags: [t{}]", n % 100, n % 7).unwrap();
    }
    text
}

/// It works, in bounded memory; times depend on the machine and its load, so they are printed and not judged.
#[tokio::test]
async fn twenty_thousand_devices_are_served() {
    let dir = TempDir::new().unwrap();
    let path = dir.write("inventory.yaml", inventory("last-1")).unwrap();
    let began = Instant::now();
    let process = Process::spawn(
        env!("CARGO_BIN_EXE_sotp-inventory"),
        [format!("--inventory.source={}", path.display())],
    )
    .await
    .unwrap();
    let started = began.elapsed();
    let timed = async |page: &str| {
        let began = Instant::now();
        let (status, body) = process.get(page).await.unwrap();
        assert_eq!(status, 200);
        (began.elapsed(), body)
    };
    let (whole, list) = timed("/sd/snmp").await;
    let list: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
    assert_eq!(list.len(), DEVICES as usize);
    let (shard, list) = timed("/sd/snmp?shard=3&of=10").await;
    let list: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
    assert!((1700..2300).contains(&list.len()), "{}", list.len());
    let (devices, _) = timed("/api/v1/devices").await;
    timed("/metrics").await;
    let (scrape, _) = timed("/metrics").await;

    dir.write("inventory.yaml", inventory("last-2")).unwrap();
    let began = Instant::now();
    eventually(Duration::from_secs(60), || async {
        let (status, _) = process.get("/api/v1/devices/last-2").await?;
        anyhow::ensure!(status == 200, "{status}");
        Ok(())
    })
    .await
    .unwrap();
    let change = began.elapsed();
    for round in 3..6 {
        let name = format!("last-{round}");
        dir.write("inventory.yaml", inventory(&name)).unwrap();
        eventually(Duration::from_secs(60), || async {
            let (status, _) = process.get(&format!("/api/v1/devices/{name}")).await?;
            anyhow::ensure!(status == 200, "{status}");
            Ok(())
        })
        .await
        .unwrap();
        timed("/metrics").await;
    }
    let resident = process
        .scrape()
        .await
        .unwrap()
        .value("process_resident_memory_bytes", &[])
        .unwrap();
    println!(
        "start {started:?}, change live {change:?}, /sd whole {whole:?}, /sd shard {shard:?}, /api/v1/devices {devices:?}, \
         scrape {scrape:?}, resident {:.0} MiB after 5 versions",
        resident / MEGABYTE
    );
    assert!(resident < 400.0 * MEGABYTE, "{resident}");
}
