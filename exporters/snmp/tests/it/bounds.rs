//! What a stranger or a device can make the real binary do has bounds.

use std::net::UdpSocket;
use std::time::Duration;

use crate::agent::{self, Agent};
use testkit::{Process, Samples, Spawn, TempDir};

const CONFIG: &str = "auths: {core: {community: core-secret}, site: {community: site-secret, only_for: {sites: [ber1]}}}
modules: {m: {walk: [1.3.6.1.4.1.9.1], metrics: [{name: a, oid: 1.3.6.1.4.1.9.1.1, type: DisplayString, help: a, indexes: [{labelname: i, type: gauge}]}]}}
";

async fn start(folder: &TempDir, flags: &[&str]) -> Process {
    let file = folder.write("snmp.yml", CONFIG).unwrap();
    Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args(["--config.file", file.to_str().unwrap()])
        .args(flags.iter().copied())
        .start()
        .await
        .unwrap()
}

/// Whether a scrape sends anything, and its status.
async fn asks(process: &Process, target: &UdpSocket, auth: &str) -> (bool, u16) {
    let address = target.local_addr().unwrap();
    let response = testkit::client()
        .get(process.url(&format!("/snmp?target={address}&auth={auth}&module=m")))
        .header("X-Prometheus-Scrape-Timeout-Seconds", "0.4")
        .send()
        .await
        .unwrap();
    target.set_nonblocking(true).unwrap();
    let mut buffer = [0; 4096];
    let mut came = false;
    while let Ok(length) = target.recv(&mut buffer) {
        came |= length > 0;
    }
    (came, response.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_go_where_the_inventory_and_the_flags_say() {
    let [device, stranger] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let folder = TempDir::new().unwrap();
    let port = device.local_addr().unwrap().port();
    let devices = format!(
        "sites: [{{name: fra1}}]\ndevices: [{{name: r1, address: 127.0.0.1, site: fra1, snmp: {{port: {port}}}}}]\n"
    );
    let inventory = folder.write("inventory.yaml", &devices).unwrap();
    let source = format!("--inventory.source={}", inventory.display());
    // What may be asked does not answer: 500, after something was sent.
    let (sent, refused) = ((true, 500), (false, 403));
    for (flags, to_device, to_stranger, restricted) in [
        (vec![source.as_str()], sent, refused, 1.0),
        (vec![source.as_str(), "--snmp.any-target"], sent, sent, 0.0),
        (vec![], sent, sent, 0.0),
        (vec!["--snmp.targets=198.18.0.0/15"], refused, refused, 1.0),
        (
            vec!["--snmp.targets=198.18.0.0/15", "--snmp.targets=127.0.0.1"],
            sent,
            sent,
            1.0,
        ),
    ] {
        let process = start(&folder, &flags).await;
        assert_eq!(
            asks(&process, &device, "core").await,
            to_device,
            "{flags:?}"
        );
        assert_eq!(
            asks(&process, &stranger, "core").await,
            to_stranger,
            "{flags:?}"
        );
        assert_eq!(asks(&process, &device, "site").await, refused, "{flags:?}");
        let (_, text) = process.get("/metrics").await.unwrap();
        let samples = Samples::parse(&text).unwrap();
        assert_eq!(
            samples.value("snmp_targets_restricted", &[]),
            Some(restricted)
        );
        let counted = samples.value("snmp_errors_total", &[("reason", "not_allowed")]);
        assert!(counted.unwrap() >= 1.0);
    }
}

/// Megabytes that a process holds.
fn megabytes(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_that_answer_without_end_cost_what_was_allowed() {
    let folder = TempDir::new().unwrap();
    let process = start(&folder, &["--snmp.max-memory=32MiB"]).await;
    let endless = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = socket.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let request = agent::read(&buffer[..length]).unwrap();
                let next = match request.oids[0].as_slice() {
                    [1, 3, 6, 1, 4, 1, 9, 1, 1, row] => row + 1,
                    _ => 1,
                };
                let rows: String = (next..next + 30)
                    .map(|row| format!("1.3.6.1.4.1.9.1.1.{row}|4|{}\n", "x".repeat(900)))
                    .collect();
                let mut agent = Agent::from_snmprec(&rows).unwrap();
                agent.largest = 60_000;
                agent.community = request.community.clone();
                let _ = socket.send_to(&agent.respond(&request), from);
            }
        });
        target
    };
    let scrapes = (0..4).map(|_| {
        let path = format!("/snmp?target={}&auth=core&module=m", endless());
        let request = testkit::client()
            .get(process.url(&path))
            .header("X-Prometheus-Scrape-Timeout-Seconds", "30");
        tokio::spawn(async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    });
    let scrapes: Vec<_> = scrapes.collect();
    for scrape in scrapes {
        let (status, text) = scrape.await.unwrap();
        assert_eq!(status, 500);
        assert!(text.contains("too_large"), "{text}");
    }
    let held = megabytes(&process);
    assert!(held < 150, "{held} MB");
    let (_, text) = process.get("/metrics").await.unwrap();
    let samples = Samples::parse(&text).unwrap();
    assert_eq!(samples.value("snmp_scrape_memory_bytes", &[]), Some(0.0));
    // The room is there again.
    let mut agent = Agent::from_snmprec("1.3.6.1.4.1.9.1.1.1|4|one\n").unwrap();
    agent.community = b"core-secret".to_vec();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap();
    std::thread::spawn(move || agent::serve(&socket, &agent, Duration::ZERO));
    let path = format!("/snmp?target={target}&auth=core&module=m");
    let (status, text) = process.get(&path).await.unwrap();
    assert_eq!(status, 200, "{text}");
}
