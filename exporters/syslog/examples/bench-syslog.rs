//! Measures the service end to end against the double of Loki, and the translator by itself.
//!
//! `bench-syslog BINARY SECONDS RATE…` writes `target/bench/syslog.json`. Each message carries a number; what is
//! missing in the double is lost. Everything stays on loopback.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot measure has nothing else to do"
)]

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sotp_syslog::header;
use sotp_syslog::translate::Translator;
use testkit::loki::Loki;

/// CPU seconds of a process so far (utime and stime of proc(5), 100 ticks a second) and its peak memory in bytes.
fn used(child: &Child) -> (f64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    (
        ticks / 100.0,
        peak.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1024,
    )
}

fn message(number: u64) -> String {
    format!(
        "<189>{number}: r1: *Nov 14 08:30:56.699 UTC: %LINEPROTO-5-UPDOWN: Line protocol on Interface GigabitEthernet0/{}, changed state to {}",
        number % 48,
        if number.is_multiple_of(2) {
            "up"
        } else {
            "down"
        }
    )
}

/// Sends at a rate, as evenly as the machine lets it; gives the number sent and the time it took.
fn send(to: SocketAddr, rate: u64, seconds: u64) -> (u64, f64) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (begin, total) = (Instant::now(), rate * seconds);
    let mut sent = 0;
    while sent < total {
        let due = ((begin.elapsed().as_secs_f64() * rate as f64) as u64).min(total);
        while sent < due {
            if socket.send_to(message(sent).as_bytes(), to).is_ok() {
                sent += 1;
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    (sent, begin.elapsed().as_secs_f64())
}

async fn run(binary: &str, rate: u64, seconds: u64) -> serde_json::Value {
    let loki = Loki::start(None).await.unwrap();
    loki.limits(|l| l.rate = None);
    let seen: Arc<Mutex<(HashSet<u64>, u64)>> = Arc::default();
    let sink = seen.clone();
    loki.sink(move |_, _, line| {
        let text = std::str::from_utf8(line).unwrap();
        let number = text.split(['>', ':']).nth(1).unwrap().parse().unwrap();
        let mut seen = sink.lock().unwrap();
        seen.1 += u64::from(!seen.0.insert(number));
    });
    let folder = tempfile::tempdir_in(".").unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("i.yaml"), "sites: [{name: lab}]\ndevices: [{name: r1, address: 192.0.2.1, site: lab, role: router, syslog: {sources: [127.0.0.1]}}]\n").unwrap();
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = format!(
        "listen: {{udp: [{{address: '{port}'}}], tcp: []}}\nloki: [{{name: main, url: '{}', bytes_per_second: 0}}]\n",
        loki.push_url()
    );
    std::fs::write(path("s.yaml"), config).unwrap();
    let mut child = Command::new(binary)
        .args(["--web.listen-address=127.0.0.1:0", "--log.level=error"])
        .arg(format!("--web.port-file={}", path("port").display()))
        .arg(format!("--config.file={}", path("s.yaml").display()))
        .arg(format!("--inventory.source={}", path("i.yaml").display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !path("port").exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let idle = used(&child).0;
    let (sent, took) = tokio::task::spawn_blocking(move || send(port, rate, seconds))
        .await
        .unwrap();
    let mut last = (0, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let count = seen.lock().unwrap().0.len() as u64;
        if count != last.0 {
            last = (count, Instant::now());
        }
        if count == sent || last.1.elapsed() > Duration::from_secs(3) {
            break;
        }
    }
    let (cpu, peak) = used(&child);
    let address = std::fs::read_to_string(path("port")).unwrap();
    let body = testkit::client()
        .get(format!("http://{}/metrics", address.trim()))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let metrics = testkit::Samples::parse(&body).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let seen = seen.lock().unwrap();
    let stored = seen.0.len() as u64;
    serde_json::json!({
        "offered_per_second": rate, "seconds": took, "sent": sent, "stored": stored, "lost": sent - stored, "doubled": seen.1,
        "kernel_dropped": metrics.sum("syslog_kernel_dropped_total", &[]),
        "cpu_seconds_per_million": (cpu - idle) / (stored.max(1) as f64 / 1e6), "peak_bytes": peak,
    })
}

fn translate() -> serde_json::Value {
    let translator = Translator::built_in().unwrap();
    let lines: Vec<String> = translator
        .rules()
        .iter()
        .filter(|r| r.vendor.starts_with("cisco_ios") && r.key.contains('-'))
        .map(|r| {
            let (facility, name) = r.key.rsplit_once('-').unwrap();
            format!(
                "<189>521: r1: *Nov 14 08:30:56.699 UTC: %{facility}-3-{name}: {}",
                r.example
            )
        })
        .collect();
    let headers: Vec<_> = lines.iter().map(|l| header::parse(l)).collect();
    let rate = |work: &mut dyn FnMut(usize) -> bool| {
        let begin = Instant::now();
        let (mut count, mut known) = (0u64, 0u64);
        while begin.elapsed() < Duration::from_secs(2) {
            for at in 0..lines.len() {
                known += u64::from(work(at));
            }
            count += lines.len() as u64;
        }
        (
            count as f64 / begin.elapsed().as_secs_f64(),
            known as f64 / count as f64,
        )
    };
    let (parsed, _) = rate(&mut |at| header::parse(&lines[at]).mnemonic.is_some());
    let (translated, known) = rate(&mut |at| translator.translate(&headers[at]).is_some());
    let mut sentence = String::new();
    let (both, _) = rate(&mut |at| {
        sentence.clear();
        let found = translator.translate(&header::parse(&lines[at]));
        if let Some(found) = &found {
            found.sentence(&mut sentence);
        }
        found.is_some()
    });
    serde_json::json!({
        "header_per_second": parsed, "translate_per_second": translated, "header_translate_sentence_per_second": both, "known": known,
    })
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, binary, seconds, rates @ ..] = &arguments[..] else {
        panic!("bench-syslog BINARY SECONDS RATE…")
    };
    let mut result = serde_json::json!({"translator": translate(), "udp": []});
    println!("{}", result["translator"]);
    for rate in rates {
        let one = run(binary, rate.parse().unwrap(), seconds.parse().unwrap()).await;
        println!("{one}");
        result["udp"].as_array_mut().unwrap().push(one);
    }
    std::fs::create_dir_all("target/bench").unwrap();
    std::fs::write(
        "target/bench/syslog.json",
        serde_json::to_string_pretty(&result).unwrap(),
    )
    .unwrap();
}
