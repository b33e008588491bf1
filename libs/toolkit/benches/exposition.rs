//! What one scrape of 10,000 targets costs: our encoder beside the `prometheus` crate, same series, same process, in turns.
//!
//! Per target: a histogram of 20 buckets and six counters, so about 290,000 lines. Prints a table and writes
//! `target/bench/toolkit.json`. Processor time, the least of several turns; only ratios mean anything on a shared machine.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so at once"
)]

use std::hint::black_box;

use prometheus::Encoder as _;
use testkit::{Figures, Goal, gzip, timed};
use toolkit::{Buckets, Encoder, Format, Kind, Labels};

const TARGETS: usize = 10_000;
const TURNS: usize = 15;
const COUNTERS: [&str; 6] = [
    "bench_requests_total",
    "bench_responses_total",
    "bench_lost_total",
    "bench_late_total",
    "bench_duplicates_total",
    "bench_errors_total",
];
/// At least so many times cheaper than the crate.
const GOAL: f64 = 5.0;
/// Milliseconds of processor time for a scrape, as text and with gzip.
const GOALS_MS: [f64; 2] = [25.0, 100.0];

fn main() {
    let bounds: Vec<f64> = (0..20).map(|i| 50e-6 * f64::powi(2.0, i)).collect();
    let registry = registered(&bounds);
    let ours = Ours::new(&bounds);
    let (mut mine, mut packed, mut theirs, mut theirs_packed) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // A service keeps the memory of the last body for the next.
    let (mut plain, mut small, mut their_plain) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        mine.push(timed(|| {
            plain = ours.encode(Encoder::reusing(Format::Text, std::mem::take(&mut plain)));
        }));
        packed.push(timed(|| {
            small = ours.encode(Encoder::gzip(Format::Text, std::mem::take(&mut small)));
        }));
        let text = timed(|| {
            their_plain.clear();
            prometheus::TextEncoder::new()
                .encode(&registry.gather(), &mut their_plain)
                .unwrap();
        });
        theirs.push(text);
        theirs_packed.push(text + timed(|| gzip(&their_plain)));
    }
    println!(
        "{TARGETS} targets, {:.1} MB of text, {:.1} MB with gzip, least of {TURNS} turns",
        plain.len() as f64 / 1e6,
        small.len() as f64 / 1e6
    );
    let mut figures = Figures::default();
    // The gzip is the same for both.
    for (how, ours, theirs, times, most) in [
        ("as text", least(mine), least(theirs), GOAL, GOALS_MS[0]),
        (
            "with gzip",
            least(packed),
            least(theirs_packed),
            1.0,
            GOALS_MS[1],
        ),
    ] {
        let figure = format!("CPU ms of one scrape of 10,000 targets {how}");
        let peer = Some(("prometheus crate", theirs));
        figures.add(&figure, ours, peer, Some(Goal::AtMost(most)));
        let figure = format!("times as much by the peer {how}");
        figures.add(&figure, ours, peer, Some(Goal::Times(times)));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = path.join("../../target/bench/toolkit.json");
    figures.finish(&path).unwrap();
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

    fn encode(&self, mut out: Encoder) -> Vec<u8> {
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

fn least(times: Vec<f64>) -> f64 {
    times.into_iter().fold(f64::INFINITY, f64::min)
}
