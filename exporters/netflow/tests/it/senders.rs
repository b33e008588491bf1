//! softflowd of Debian as the sender, nfcapd and nfdump of Debian as the oracle for the same capture.

use std::path::Path;
use std::process::Command;

use testkit::{TempDir, eventually};

use crate::support::{self, DEVICES, free_port};

/// A capture (pcap, RFC draft-ietf-opsawg-pcap) of UDP packets: (source host, destination host, destination port, octets of payload, times).
fn capture(flows: &[(u8, u8, u16, u16, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [
        0xa1b2_c3d4_u32,
        0x0002_0004_u32.rotate_left(16),
        0,
        0,
        65_535,
        1,
    ] {
        out.extend(word.to_le_bytes());
    }
    let mut time = 0_u32;
    for (from, to, port, octets, times) in flows {
        for _ in 0..*times {
            time += 1;
            let ip_length = 28 + octets;
            let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
            frame.extend([0x45, 0]);
            frame.extend(ip_length.to_be_bytes());
            frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, *from, 198, 18, 1, *to]);
            frame.extend(40_000_u16.to_be_bytes());
            frame.extend(port.to_be_bytes());
            frame.extend((8 + octets).to_be_bytes());
            frame.extend([0, 0]);
            frame.resize(frame.len() + usize::from(*octets), 0);
            let length = u32::try_from(frame.len()).unwrap();
            for word in [
                1_700_000_000 + time / 1_000,
                time % 1_000 * 1_000,
                length,
                length,
            ] {
                out.extend(word.to_le_bytes());
            }
            out.extend(frame);
        }
    }
    out
}

const FLOWS: &[(u8, u8, u16, u16, u32)] = &[
    (1, 1, 443, 1_000, 300),
    (2, 1, 53, 60, 40),
    (3, 2, 5_201, 1_400, 700),
    (1, 2, 40_404, 10, 5),
];

/// Octets on layer 3.
fn bytes(of: impl Fn(&(u8, u8, u16, u16, u32)) -> bool) -> f64 {
    FLOWS
        .iter()
        .filter(|flow| of(flow))
        .map(|flow| f64::from(28 + flow.3) * f64::from(flow.4))
        .sum()
}

fn send(capture: &Path, version: &str, port: u16) {
    let status = Command::new("/usr/sbin/softflowd")
        .args([
            "-v",
            version,
            "-A",
            "milli",
            "-n",
            &format!("127.0.0.1:{port}"),
            "-r",
        ])
        .arg(capture)
        .output()
        .unwrap();
    assert!(status.status.success(), "{status:?}");
}

/// Octets by source and destination.
type Pairs = std::collections::BTreeMap<(String, String), f64>;

/// What nfdump says of the same capture: octets and packets of all flows, and the octets of each pair.
async fn oracle(capture: &Path, version: &str) -> (f64, f64, Pairs) {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let mut nfcapd = Command::new("nfcapd")
        .args(["-p", &port.to_string(), "-b", "127.0.0.1", "-l"])
        .arg(folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // It says nowhere that it listens: its port is taken once it does.
    eventually(std::time::Duration::from_secs(10), || async {
        anyhow::ensure!(
            std::net::UdpSocket::bind(("127.0.0.1", port)).is_err(),
            "nfcapd does not listen"
        );
        Ok(())
    })
    .await
    .unwrap();
    send(capture, version, port);
    let sums = eventually(std::time::Duration::from_secs(20), || async {
        // It writes its buffer to the file when it is asked to end.
        let waiting = std::fs::read_to_string("/proc/net/udp")?;
        let hex = format!(":{port:04X} ");
        let line = waiting
            .lines()
            .find(|line| line.contains(&hex))
            .unwrap_or_default();
        let queued = line
            .split_whitespace()
            .nth(4)
            .unwrap_or("0:0")
            .rsplit(':')
            .next()
            .unwrap_or("0")
            .to_owned();
        anyhow::ensure!(u64::from_str_radix(&queued, 16)? == 0, "datagrams wait");
        Ok(())
    });
    sums.await.unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(nfcapd.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    nfcapd.wait().unwrap();
    let nfdump = |more: &[&str]| {
        let told = Command::new("nfdump")
            .args(["-q", "-N", "-R"])
            .arg(folder.path())
            .args(more)
            .output()
            .unwrap();
        String::from_utf8(told.stdout).unwrap()
    };
    let text = nfdump(&["-o", "fmt:%byt,%pkt"]);
    let pairs = nfdump(&["-A", "srcip,dstip", "-o", "fmt:%sa,%da,%byt"]);
    let pairs = pairs.lines().filter_map(|line| {
        let mut parts = line.split(',').map(str::trim);
        let pair = (parts.next()?.to_owned(), parts.next()?.to_owned());
        Some((pair, parts.next()?.parse().ok()?))
    });
    let pairs = pairs.collect();
    let sum = |column: usize| {
        text.lines()
            .filter_map(|line| line.split(',').nth(column))
            .map(|number| {
                number
                    .trim()
                    .parse::<f64>()
                    .unwrap_or_else(|_| panic!("{text}"))
            })
            .sum()
    };
    (sum(0), sum(1), pairs)
}

#[tokio::test]
async fn softflowd_is_told_as_nfdump_tells_it_in_each_version() {
    let files = TempDir::new().unwrap();
    let path = files.join("packets.pcap");
    std::fs::write(&path, capture(FLOWS)).unwrap();
    for version in ["5", "9", "10"] {
        let place = support::start(DEVICES, "").await;
        send(&path, version, place.port);
        let all = bytes(|_| true);
        let samples = place
            .until("all octets", |samples| {
                samples.sum("netflow_bytes_total", &[("device", "r1")]) >= all
            })
            .await;
        let told = |name: &str, labels: &[(&str, &str)]| samples.sum(name, labels);
        let nfdump = oracle(&path, version).await;
        let (_, page) = place
            .process
            .get("/flows/top?by=pair&from=10m")
            .await
            .unwrap();
        let answer: serde_json::Value = serde_json::from_str(&page).unwrap();
        let mut pairs = Pairs::new();
        let windows = ["last", "running"].map(|which| answer[which].as_array().unwrap());
        for row in windows
            .into_iter()
            .flatten()
            .flat_map(|table| table["rows"].as_array().unwrap())
        {
            let end = |name: &str| row[name].as_str().unwrap().to_owned();
            *pairs
                .entry((end("source"), end("destination")))
                .or_default() += row["bytes"].as_f64().unwrap();
        }
        let ours = (
            told("netflow_bytes_total", &[]),
            told("netflow_packets_total", &[]),
            pairs,
        );
        assert_eq!(ours, nfdump, "version {version}");
        assert_eq!(ours.0, all);
        let of = |name: &str| told("netflow_application_bytes_total", &[("application", name)]);
        assert_eq!(of("quic"), bytes(|flow| flow.2 == 443));
        assert_eq!(of("dns"), bytes(|flow| flow.2 == 53));
        assert_eq!(of("iperf3"), bytes(|flow| flow.2 == 5_201));
        assert_eq!(of("other"), bytes(|flow| flow.2 == 40_404));
        assert_eq!(
            told("netflow_protocol_bytes_total", &[("protocol", "udp")]),
            all
        );
        assert_eq!(told("netflow_malformed_datagrams_total", &[]), 0.0);
        assert_eq!(
            told("netflow_lost_records_total", &[]) + told("netflow_lost_datagrams_total", &[]),
            0.0
        );
        // Nothing is lost between the named and the rest, whoever they are.
        for dimension in ["source", "destination", "pair"] {
            let sum = told(&format!("netflow_top_{dimension}_bytes_total"), &[]);
            assert_eq!(sum, all, "{dimension}");
        }
        let (_, page) = place
            .process
            .get("/flows/top?by=pair&device=r1")
            .await
            .unwrap();
        let answer: serde_json::Value = serde_json::from_str(&page).unwrap();
        let first = &answer["running"][0]["rows"][0];
        assert_eq!(
            (first["source"].as_str(), first["destination"].as_str()),
            (Some("198.18.0.3"), Some("198.18.1.2"))
        );
        assert_eq!(first["bytes"].as_f64(), Some(bytes(|flow| flow.2 == 5_201)));
    }
}

/// pmacct's sfprobe samples every packet of the capture and sends them by sFlow version 5, a few in a datagram: what has arrived is the first so
/// many packets of the capture, to the octet. The last few wait in it for more.
#[tokio::test]
async fn sflow_of_pmacct_is_told_to_the_octet() {
    let files = TempDir::new().unwrap();
    let path = files.join("packets.pcap");
    std::fs::write(&path, capture(FLOWS)).unwrap();
    let place = support::start(DEVICES, "").await;
    let config = format!(
        "daemonize: false\npcap_savefile: {}\npcap_savefile_wait: true\nplugins: sfprobe[p]\nsfprobe_receiver[p]: 127.0.0.1:{}\n\
         sfprobe_agentip[p]: 127.0.0.1\nsampling_rate: 1\nsfprobe_ifspeed[p]: 100000000\n",
        path.display(),
        place.port
    );
    std::fs::write(files.join("pmacctd.conf"), config).unwrap();
    let mut pmacctd = Command::new("/usr/sbin/pmacctd")
        .arg("-f")
        .arg(files.join("pmacctd.conf"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let packets: u32 = FLOWS.iter().map(|flow| flow.4).sum();
    // It keeps the last ones until it ends: a datagram that is not full, or two on a busy machine.
    let samples = place
        .until("nearly every packet", |samples| {
            samples.sum("netflow_packets_total", &[("device", "r1")]) > f64::from(packets) - 20.0
        })
        .await;
    // It keeps its plugin as a child of its own, and ends it when it is asked to.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pmacctd.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    pmacctd.wait().unwrap();
    let told = |name: &str, labels: &[(&str, &str)]| samples.sum(name, labels);
    let arrived = told("netflow_packets_total", &[]);
    let each = FLOWS
        .iter()
        .flat_map(|flow| std::iter::repeat_n(f64::from(28 + flow.3), flow.4 as usize));
    let all: f64 = each.take(arrived as usize).sum();
    assert_eq!(told("netflow_bytes_total", &[]), all);
    let of = |name: &str| told("netflow_application_bytes_total", &[("application", name)]);
    assert_eq!(of("quic"), bytes(|flow| flow.2 == 443));
    assert_eq!(of("dns"), bytes(|flow| flow.2 == 53));
    assert_eq!(told("netflow_malformed_datagrams_total", &[]), 0.0);
    assert_eq!(told("netflow_lost_datagrams_total", &[]), 0.0);
    for dimension in ["source", "destination", "pair"] {
        let sum = told(&format!("netflow_top_{dimension}_bytes_total"), &[]);
        assert_eq!(sum, all, "{dimension}");
    }
}

#[tokio::test]
async fn who_is_no_device_is_counted_and_shown_and_nothing_else() {
    let elsewhere = DEVICES.replace("sources: [127.0.0.1]", "sources: [198.18.0.9]");
    let place = support::start(&elsewhere, "").await;
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    sender
        .send_to(&[0, 9, 0, 0], ("127.0.0.1", place.port))
        .unwrap();
    let samples = place
        .until("a stranger", |samples| {
            samples.value("netflow_unknown_exporter_datagrams_total", &[]) == Some(1.0)
        })
        .await;
    assert_eq!(
        samples.sum("netflow_malformed_datagrams_total", &[]),
        0.0,
        "it was not even read"
    );
    let (_, page) = place.process.get("/flows/unknown").await.unwrap();
    assert_eq!(page, r#"[{"address":"127.0.0.1","datagrams":1}]"#);
}

/// The window is a second, so that the test need not wait a minute.
#[tokio::test]
async fn the_exact_table_of_a_window_is_one_line_in_loki_for_each_dimension() {
    let loki = testkit::loki::Loki::start(None).await.unwrap();
    let config = format!("window: 1s\nloki: {{url: '{}'}}\n", loki.push_url());
    let files = TempDir::new().unwrap();
    let path = files.join("packets.pcap");
    std::fs::write(&path, capture(FLOWS)).unwrap();
    let place = support::start(DEVICES, &config).await;
    send(&path, "9", place.port);
    let tables = eventually(std::time::Duration::from_secs(15), || async {
        let entries = loki.entries();
        let tables: Vec<serde_json::Value> = entries
            .iter()
            .map(|entry| serde_json::from_str(&entry.line))
            .collect::<Result<_, _>>()?;
        anyhow::ensure!(tables.len() >= 3, "{} lines", tables.len());
        Ok(tables)
    })
    .await
    .unwrap();
    let pairs: Vec<_> = tables
        .iter()
        .filter(|table| table["by"] == "pair")
        .collect();
    let sum: f64 = pairs
        .iter()
        .filter_map(|table| table["bytes"].as_f64())
        .sum();
    assert_eq!(sum, bytes(|_| true), "{tables:?}");
    assert_eq!(pairs[0]["rows"][0]["source"], "198.18.0.3");
    assert!(
        place.files.join("data/lines").is_dir(),
        "the queue is beside the configuration"
    );
}
