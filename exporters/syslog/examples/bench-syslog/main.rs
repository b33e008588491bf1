//! Measures the service end to end against the double of Loki, beside rsyslog and syslog-ng, in one run.
//!
//! It first finds the highest rate at which a receiver that only counts loses none on this machine; every side is
//! then offered that rate. Each message carries a number; what is missing at the end is lost. All on loopback.
//! Prints a table and writes `target/bench/syslog.json`; `syslog-parts.json` beside it has everything that was counted.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot measure has nothing else to do"
)]
#![allow(clippy::print_stdout, reason = "its table is what it is for")]

mod load;
mod process;
mod service;
mod translator;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use clap::Parser as _;
use serde_json::{Value, json};
use testkit::{Figures, Goal};
use tokio::io::AsyncWriteExt as _;

use load::{Seen, Sending};
use process::{Running, bare};
use service::{Service, SetUp, say};

/// Measures sotp-syslog beside rsyslog and syslog-ng.
#[derive(Debug, clap::Parser)]
struct Flags {
    /// Seconds of each run under load.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Seconds that Loki is away.
    #[arg(long, default_value_t = 30.0)]
    away_seconds: f64,
    /// Messages per second while Loki is away, without a limit on Loki's side; no more than the bare receiver's rate.
    #[arg(long, default_value_t = 100_000)]
    away_rate: u64,
    /// Seconds of the long time without Loki.
    #[arg(long, default_value_t = 600.0)]
    outage_seconds: f64,
    /// Messages per second in it.
    #[arg(long, default_value_t = 20_000)]
    outage_rate: u64,
    /// Everything in some two minutes: 8 seconds under load, 8 without Loki, 60 in the long time without it.
    #[arg(long)]
    short: bool,
    /// Messages per second while Loki is away, under Loki's default limit of 4 MB/s.
    #[arg(long, default_value_t = 2_000)]
    limited_rate: u64,
    /// Rates to try, messages per second, highest first.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "200000,150000,120000,100000,80000,60000,40000,25000,10000"
    )]
    rates: Vec<u64>,
    /// The service to measure; that beside this program when none is named.
    #[arg(long, value_name = "PATH")]
    service: Option<PathBuf>,
    /// Only these parts: translate, floor, ours, beside, away, outage, limited, tls, kill.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

fn per_million(cpu: f64, count: u64) -> f64 {
    cpu / (count.max(1) as f64 / 1e6)
}

/// The highest rate at which a receiver that only counts loses none, twice in a row.
fn floor(rates: &[u64]) -> Value {
    let time = Duration::from_secs(3);
    let mut tried = Vec::new();
    for &rate in rates {
        let mut best: Option<Value> = None;
        for _ in 0..2 {
            let (sent, got, cpu) = bare(rate, time);
            let lost = sent.saturating_sub(got);
            say(&format!("bare receiver at {rate}/s: {lost} of {sent} lost"));
            let one = json!({"rate": rate, "sent": sent, "lost": lost, "cpu_seconds_per_million": per_million(cpu, got)});
            tried.push(one.clone());
            best = (lost == 0).then_some(one);
            if best.is_none() {
                break;
            }
        }
        if let Some(best) = best {
            return json!({"rate": rate, "cpu_seconds_per_million": best["cpu_seconds_per_million"], "tried": tried});
        }
    }
    json!({"rate": rates.last(), "cpu_seconds_per_million": null, "tried": tried})
}

async fn ours(binary: &Path, rate: u64, time: Duration) -> Value {
    let most = (rate as f64 * time.as_secs_f64()) as u64 + 1;
    let service = Service::start(binary, most, SetUp::default()).await;
    let idle = service.running.as_ref().unwrap().used();
    let to = service.udp;
    let sending =
        tokio::task::spawn_blocking(move || load::datagrams(to, rate, time, &Sending::default()));
    let (sent, took) = sending.await.unwrap();
    let tail = service.stored(sent).await;
    let used = service.running.as_ref().unwrap().used();
    let stored = service.seen.unique();
    json!({
        "offered_per_second": sent as f64 / took, "sent": sent, "stored": stored, "lost": sent - stored,
        "doubled": service.seen.doubled(), "strange": service.seen.strange(), "tail_seconds": tail,
        "cpu_seconds_per_million": per_million(used.cpu - idle.cpu, stored), "peak_bytes": used.peak,
        "losses": service.losses().await,
    })
}

type Start = fn(&Path, std::net::SocketAddr, &Path) -> Option<Running>;

/// A program that writes a plain file, at the same rate.
fn beside(start: Start, rate: u64, time: Duration) -> Value {
    let folder = tempfile::tempdir_in(".").unwrap();
    let (to, file) = (
        process::free_port(),
        folder.path().canonicalize().unwrap().join("out.log"),
    );
    let folder_path = folder.path().canonicalize().unwrap();
    let Some(mut running) = start(&folder_path, to, &file) else {
        return json!({"absent": "it is not installed or does not start"});
    };
    let idle = running.used();
    let (sent, took) = load::datagrams(to, rate, time, &Sending::default());
    std::thread::sleep(Duration::from_secs(1));
    let used = running.used();
    // It writes what it still holds when it is asked to end.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(running.0.id()).unwrap());
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    let begin = Instant::now();
    while running.0.try_wait().unwrap().is_none() && begin.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let seen = Seen::new(sent);
    let text = std::fs::read(&file).unwrap_or_default();
    for line in text.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        seen.note(line);
    }
    json!({
        "offered_per_second": sent as f64 / took, "sent": sent, "stored": seen.unique(), "lost": sent - seen.unique(),
        "strange": seen.strange(),
        "cpu_seconds_per_million": per_million(used.cpu - idle.cpu, seen.unique()), "peak_bytes": used.peak,
    })
}

/// Loki answers 503 for a while; then it is back and the backlog is drained.
async fn away(binary: &Path, rate: u64, time: Duration, limit: Option<f64>) -> Value {
    let most = (rate as f64 * time.as_secs_f64()) as u64 + 1;
    let set_up = SetUp { limit, tls: None };
    let service = Service::start(binary, most, set_up).await;
    service
        .loki
        .always(Some(testkit::loki::Misbehave::Status(503, "away")));
    let to = service.udp;
    let idle = service.running.as_ref().unwrap().used();
    let sending =
        tokio::task::spawn_blocking(move || load::datagrams(to, rate, time, &Sending::default()));
    let (sent, _) = sending.await.unwrap();
    let full = service.running.as_ref().unwrap().used();
    service.loki.always(None);
    // The pause between attempts is no part of the draining.
    let begin = Instant::now();
    while service.seen.unique() == 0 && begin.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let waited = begin.elapsed().as_secs_f64();
    let drained = service.stored(sent).await;
    let used = service.running.as_ref().unwrap().used();
    let stored = service.seen.unique();
    let refused = service
        .metrics()
        .await
        .sum("syslog_pushes_total", &[("code", "429")]);
    json!({
        "rate": rate, "away_seconds": time.as_secs_f64(), "limit_bytes_per_second": limit,
        "sent": sent, "stored": stored, "lost": sent - stored, "doubled": service.seen.doubled(),
        "retry_wait_seconds": waited, "drain_seconds": drained,
        "times_real_time": stored as f64 / drained / rate as f64,
        "answers_429": refused, "peak_bytes_away": full.peak, "peak_bytes": used.peak,
        "cpu_seconds_per_million": per_million(used.cpu - idle.cpu, stored),
        "losses": service.losses().await,
    })
}

/// One TLS connection that sends as fast as it is read.
async fn tls(binary: &Path, time: Duration) -> Value {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let set_up = SetUp {
        limit: None,
        tls: Some((certificate.pem(), key.serialize_pem())),
    };
    let most = 40_000_000;
    let service = Service::start(binary, most, set_up).await;
    testkit::crypto();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let socket = tokio::net::TcpStream::connect(service.tcp).await.unwrap();
    let mut stream = connector
        .connect("localhost".try_into().unwrap(), socket)
        .await
        .unwrap();
    let idle = service.running.as_ref().unwrap().used();
    let (begin, mut sent) = (Instant::now(), 0u64);
    let (mut bytes, mut one) = (Vec::new(), Vec::new());
    while begin.elapsed() < time && sent < most - 100 {
        bytes.clear();
        for _ in 0..100 {
            one.clear();
            load::message(sent, &mut one);
            bytes.extend_from_slice(one.len().to_string().as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(&one);
            sent += 1;
        }
        stream.write_all(&bytes).await.unwrap();
    }
    stream.shutdown().await.unwrap();
    // What reading costs is told apart from what pushing costs: read all, then push the rest.
    let took = begin.elapsed().as_secs_f64();
    service.stored(sent).await;
    let used = service.running.as_ref().unwrap().used();
    let stored = service.seen.unique();
    json!({
        "sent": sent, "stored": stored, "lost": sent - stored, "per_second": sent as f64 / took,
        "per_core_second": stored as f64 / (used.cpu - idle.cpu),
        "cpu_seconds_per_million": per_million(used.cpu - idle.cpu, stored), "peak_bytes": used.peak,
    })
}

/// Killed under load, started again: what was sent until then and never arrived.
async fn kill(binary: &Path, rate: u64) -> Value {
    let time = Duration::from_secs(4);
    let most = rate * time.as_secs() + 1;
    let mut service = Service::start(binary, most, SetUp::default()).await;
    let to = service.udp;
    let control = Arc::new(Sending::default());
    let told = control.clone();
    let sending = tokio::task::spawn_blocking(move || load::datagrams(to, rate, time, &told));
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    // What was sent until now is held against it, wherever it is: in the kernel, in the process, on disk.
    let sent = control.sent.load(Relaxed);
    drop(service.running.take());
    control.stop.store(true, Relaxed);
    sending.await.unwrap();
    service.run().await;
    service.stored(sent).await;
    let lost = sent - service.seen.below(sent);
    json!({
        "rate": rate, "sent": sent, "stored": sent - lost, "lost": lost,
        "lost_milliseconds": lost as f64 / rate as f64 * 1e3,
        "doubled_deliveries": service.seen.doubled(), "losses": service.losses().await,
    })
}

fn figures(result: &Value) -> Figures {
    let mut out = Figures::default();
    // What was left out by `--only` gives no figure.
    let mut add = |part: &str, field: &str, scale: f64, name: String, goal: Option<Goal>| {
        if let Some(value) = result[part][field].as_f64() {
            out.add(&name, value * scale, None, goal);
        }
    };
    let megabytes = 1e-6;
    let rate = |part: &str| format!("{:.0}/s", result[part]["rate"].as_f64().unwrap_or(0.0));
    let none = Some(Goal::AtMost(0.0));
    let small = Some(Goal::AtMost(64.0));
    add(
        "floor",
        "rate",
        1.0,
        "UDP messages a second of which a bare receiver loses none".into(),
        None,
    );
    add(
        "ours",
        "offered_per_second",
        1.0,
        "UDP messages a second offered to us".into(),
        None,
    );
    add("ours", "lost", 1.0, "of these lost".into(), none);
    add("ours", "peak_bytes", megabytes, "peak MB".into(), small);
    for part in ["away", "outage", "limited"] {
        let seconds = result[part]["away_seconds"].as_f64().unwrap_or(0.0);
        let limit = if part == "limited" { ", 4 MB/s" } else { "" };
        let name = format!("Loki away {seconds:.0} s at {}{limit}: ", rate(part));
        add(part, "lost", 1.0, format!("{name}lost"), none);
        add(
            part,
            "peak_bytes",
            megabytes,
            format!("{name}peak MB"),
            small,
        );
        let drain = Some(Goal::AtLeast(5.0));
        add(
            part,
            "times_real_time",
            1.0,
            format!("{name}drained, times real time"),
            drain,
        );
        add(part, "answers_429", 1.0, format!("{name}answers 429"), none);
    }
    let tls = Some(Goal::AtLeast(100_000.0));
    add(
        "tls",
        "per_core_second",
        1.0,
        "TLS messages a core-second".into(),
        tls,
    );
    add("tls", "lost", 1.0, "of these lost".into(), none);
    let name = format!("ms of UDP lost by kill -9 at {}", rate("kill"));
    add(
        "kill",
        "lost_milliseconds",
        1.0,
        name,
        Some(Goal::AtMost(100.0)),
    );
    let million = Some(Goal::AtLeast(1e6));
    add(
        "translator",
        "header_per_second",
        1.0,
        "one core: headers a second".into(),
        None,
    );
    add(
        "translator",
        "translate_per_second",
        1.0,
        "one core: translations a second".into(),
        million,
    );
    let name = "one core: header, translation and sentence a second";
    add(
        "translator",
        "header_translate_sentence_per_second",
        1.0,
        name.into(),
        None,
    );

    let cpu = |part: &str| result[part]["cpu_seconds_per_million"].as_f64();
    // What docs/sizing.md reads.
    let name = "CPU seconds a million UDP messages, to Loki's double";
    if let Some(ours) = cpu("ours") {
        out.add(name, ours, None, None);
    }
    for (part, peer, goal) in [
        ("rsyslog", "rsyslog, file", Some(Goal::Times(1.0))),
        ("syslog_ng", "syslog-ng, file", None),
    ] {
        if let (Some(ours), Some(theirs)) = (cpu("ours"), cpu(part)) {
            out.add(name, ours, Some((peer, theirs)), goal);
        }
    }
    out
}

#[tokio::main]
async fn main() {
    // The bare receiver is this program itself.
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, address] = &arguments[..]
        && word == "receive"
    {
        return process::receive(address.parse().unwrap());
    }
    let mut flags = Flags::parse();
    if flags.short {
        (flags.seconds, flags.away_seconds, flags.outage_seconds) = (8.0, 8.0, 60.0);
    }
    let wanted = |part: &str| flags.only.is_empty() || flags.only.iter().any(|o| o == part);
    let here = std::env::current_exe().unwrap();
    let folder = here.parent().and_then(Path::parent).unwrap();
    let binary = flags.service.clone();
    let binary = binary.unwrap_or_else(|| folder.join("sotp-syslog"));
    assert!(
        binary.exists(),
        "build the service first: {}",
        binary.display()
    );
    let time = Duration::from_secs_f64(flags.seconds);
    let away_time = Duration::from_secs_f64(flags.away_seconds);
    let mut result = json!({});
    let mut note = |name: &str, value: Value| {
        say(&format!("{name}: {value}"));
        result[name] = value;
    };
    if wanted("translate") {
        note("translator", translator::measure());
    }
    let mut rate = flags.rates[0];
    if wanted("floor") {
        let found = floor(&flags.rates);
        rate = found["rate"].as_u64().unwrap();
        note("floor", found);
    }
    if wanted("ours") || wanted("beside") {
        note("ours", ours(&binary, rate, time).await);
    }
    if wanted("beside") {
        note("rsyslog", beside(process::rsyslog, rate, time));
        note("syslog_ng", beside(process::syslog_ng, rate, time));
    }
    if wanted("away") {
        let rate = flags.away_rate.min(rate);
        note("away", away(&binary, rate, away_time, None).await);
    }
    if wanted("outage") {
        let time = Duration::from_secs_f64(flags.outage_seconds);
        note("outage", away(&binary, flags.outage_rate, time, None).await);
    }
    if wanted("limited") {
        note(
            "limited",
            away(&binary, flags.limited_rate, away_time, Some(4e6)).await,
        );
    }
    if wanted("tls") {
        note("tls", tls(&binary, time.min(Duration::from_secs(8))).await);
    }
    if wanted("kill") {
        note("kill", kill(&binary, rate).await);
    }
    let folder = Path::new("target/bench");
    figures(&result)
        .finish(&folder.join("syslog.json"))
        .unwrap();
    let text = serde_json::to_string_pretty(&result).unwrap();
    std::fs::write(folder.join("syslog-parts.json"), text).unwrap();
}
