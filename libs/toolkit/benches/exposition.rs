//! What one scrape of 10,000 targets costs: our encoder beside the `prometheus` crate, same series, same process, in turns.
//!
//! Per target: a histogram of 20 buckets and six counters, so about 290,000 lines. Prints a table and writes
//! `target/bench/toolkit.json`. Medians of several turns; only ratios mean anything on a shared machine.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so at once"
)]

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::{Compression, write::GzEncoder};
use prometheus::Encoder as _;
use toolkit::{Buckets, Encoder, Format, Kind, Labels};

const TARGETS: usize = 10_000;
const TURNS: usize = 9;
const COUNTERS: [&str; 6] = [
    "bench_requests_total",
    "bench_responses_total",
    "bench_lost_total",
    "bench_late_total",
    "bench_duplicates_total",
    "bench_errors_total",
];
/// At least so many times cheaper than the crate; the goal of the project for this.
const GOAL: f64 = 5.0;

fn main() {
    let bounds: Vec<f64> = (0..20).map(|i| 50e-6 * f64::powi(2.0, i)).collect();
    let registry = registered(&bounds);
    let ours = Ours::new(&bounds);
    let (mut mine, mut theirs, mut packed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut size, mut their_size) = (0, 0);
    for _ in 0..TURNS {
        let (took, body) = timed(|| ours.encode(size));
        (size, _) = (body.len(), mine.push(took));
        packed.push(timed(|| gzip(&body)).0);
        let (took, body) = timed(|| {
            let mut body = Vec::with_capacity(their_size);
            prometheus::TextEncoder::new()
                .encode(&registry.gather(), &mut body)
                .unwrap();
            body
        });
        (their_size, _) = (body.len(), theirs.push(took));
    }
    let (mine, theirs, packed) = (median(mine), median(theirs), median(packed));
    let ratio = theirs.as_secs_f64() / mine.as_secs_f64();
    println!(
        "{TARGETS} targets, {:.1} MB of text, median of {TURNS} turns",
        size as f64 / 1e6
    );
    println!(
        "{:<34} {:>10} {:>16} {:>7} {:>8} met",
        "figure", "ours", "prometheus crate", "ratio", "goal"
    );
    println!(
        "{:<34} {:>8.1}ms {:>14.1}ms {:>7.1} {:>8} {}",
        "encode one scrape",
        ms(mine),
        ms(theirs),
        ratio,
        format!(">= {GOAL}"),
        ratio >= GOAL
    );
    println!(
        "{:<34} {:>8.1}ms {:>16} {:>7} {:>8} -",
        "gzip of it, level 1",
        ms(packed),
        "-",
        "-",
        "-"
    );
    let figures = serde_json::json!([
        {"figure": "encode one scrape of 10,000 targets, ms", "ours": ms(mine), "peer": ms(theirs), "peer_name": "prometheus crate 0.14 TextEncoder", "ratio": ratio, "goal": GOAL, "met": ratio >= GOAL},
        {"figure": "gzip level 1 of that scrape, ms", "ours": ms(packed), "peer": null, "peer_name": null, "ratio": null, "goal": null, "met": null},
    ]);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("toolkit.json"),
        serde_json::to_string_pretty(&figures).unwrap(),
    )
    .unwrap();
}

/// The same figures as a service would keep them for us: labels rendered once, counts in arrays.
struct Ours {
    labels: Vec<Labels>,
    buckets: Buckets,
    counts: Vec<u64>,
}

impl Ours {
    fn new(bounds: &[f64]) -> Self {
        let labels = (0..TARGETS)
            .map(|i| Labels::new(pairs(i).iter().map(|(n, v)| (*n, v.as_str()))))
            .collect();
        Self {
            labels,
            buckets: Buckets::new(bounds),
            counts: (0..=bounds.len() as u64).map(|i| i * 1000).collect(),
        }
    }

    fn encode(&self, room: usize) -> Vec<u8> {
        let mut out = Encoder::with_capacity(Format::Text, room);
        for (index, name) in COUNTERS.iter().enumerate() {
            out.family(name, Kind::Counter, "A counter.");
            for labels in &self.labels {
                out.sample(labels, black_box(86_400 + index as u64));
            }
        }
        out.family("bench_rtt_seconds", Kind::Histogram, "A histogram.");
        for labels in &self.labels {
            out.histogram(labels, &self.buckets, black_box(&self.counts), 12.345_678);
        }
        out.finish()
    }
}

fn registered(bounds: &[f64]) -> prometheus::Registry {
    let registry = prometheus::Registry::new();
    let names = ["device", "site", "role", "family"];
    for name in COUNTERS {
        let family =
            prometheus::IntCounterVec::new(prometheus::Opts::new(name, "A counter."), &names)
                .unwrap();
        for i in 0..TARGETS {
            let pairs = pairs(i);
            family
                .with_label_values(&pairs.each_ref().map(|(_, v)| v.as_str()))
                .inc_by(86_400);
        }
        registry.register(Box::new(family)).unwrap();
    }
    let options = prometheus::HistogramOpts::new("bench_rtt_seconds", "A histogram.")
        .buckets(bounds.to_vec());
    let family = prometheus::HistogramVec::new(options, &names).unwrap();
    for i in 0..TARGETS {
        let pairs = pairs(i);
        let histogram = family.with_label_values(&pairs.each_ref().map(|(_, v)| v.as_str()));
        for bound in bounds {
            histogram.observe(*bound);
        }
    }
    registry.register(Box::new(family)).unwrap();
    registry
}

fn pairs(index: usize) -> [(&'static str, String); 4] {
    [
        ("device", format!("router-{index:05}.example.net")),
        ("site", format!("site-{:03}", index % 200)),
        ("role", "edge".to_owned()),
        ("family", "ipv4".to_owned()),
    ]
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let done = black_box(work());
    (began.elapsed(), done)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
