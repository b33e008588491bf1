//! What one scrape of the service with 10,000 targets costs, beside the `prometheus` crate with the same series, in the same run, in turns.
//!
//! The page is the service's own: every family it has, from counters filled as a minute of probing would fill them; one target in ten has
//! lost requests and one in a hundred failed ones. The crate gets what a reading of that page found. Prints a table and writes
//! `target/bench/ping-page.json`. Processor time, the least of several turns.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so at once"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use netio::option::Family;
use prometheus::Encoder as _;
use sotp_ping::accounting::Timing;
use sotp_ping::config::Config;
use sotp_ping::echo::Mode;
use sotp_ping::engine::{ProbeProfile, Spec};
use sotp_ping::metrics::Metrics;
use sotp_ping::reason::Reason;
use sotp_ping::resolve::Ages;
use sotp_ping::targets::{Row, Rows};
use testkit::{Figures, Goal, Sample, Samples, gzip, timed};
use toolkit::{Collect as _, Encoder, Format, Labels, Live};

const TARGETS: usize = 10_000;
const TURNS: usize = 12;
/// Milliseconds of processor time for a scrape, as text and with gzip.
const GOALS_MS: [f64; 2] = [25.0, 100.0];
const PEER: &str = "prometheus crate";

fn main() {
    let metrics = service();
    let text = encoded(&metrics, Encoder::new(Format::Text));
    let text = String::from_utf8(text).unwrap();
    let registry = registered(&text);
    let lines = text.lines().filter(|line| !line.starts_with('#')).count();

    let [
        mut mine,
        mut packed,
        mut open,
        mut protobuf,
        mut theirs,
        mut theirs_packed,
    ] = [(); 6].map(|()| f64::INFINITY);
    // The service keeps the memory of the last body for the next.
    let [mut plain, mut small, mut their_plain] = [(); 3].map(|()| Vec::new());
    for _ in 0..TURNS {
        least(&mut mine, || {
            let memory = std::mem::take(&mut plain);
            plain = encoded(&metrics, Encoder::reusing(Format::Text, memory));
        });
        least(&mut packed, || {
            let memory = std::mem::take(&mut small);
            small = encoded(&metrics, Encoder::gzip(Format::Text, memory));
        });
        least(&mut open, || {
            let memory = std::mem::take(&mut plain);
            plain = encoded(&metrics, Encoder::reusing(Format::OpenMetrics, memory));
        });
        least(&mut protobuf, || {
            let memory = std::mem::take(&mut plain);
            plain = encoded(&metrics, Encoder::reusing(Format::Protobuf, memory));
        });
        let text = timed(|| {
            their_plain.clear();
            let families = registry.gather();
            prometheus::TextEncoder::new()
                .encode(&families, &mut their_plain)
                .unwrap();
        });
        theirs = theirs.min(text);
        theirs_packed = theirs_packed.min(text + timed(|| gzip(&their_plain)));
    }

    let mut figures = Figures::default();
    let mut add = |figure: &str, ours, peer: Option<f64>, goal| {
        figures.add(figure, ours, peer.map(|peer| (PEER, peer)), goal);
    };
    add(
        "lines of the page, of 10,000 targets",
        lines as f64,
        None,
        None,
    );
    add("its size, MB", text.len() as f64 / 1e6, None, None);
    add(
        "its size with gzip, MB",
        small.len() as f64 / 1e6,
        None,
        None,
    );
    let [goal, goal_gzip] = GOALS_MS.map(|most| Some(Goal::AtMost(most)));
    add("CPU ms of a scrape as text", mine, Some(theirs), goal);
    add("CPU ms with gzip", packed, Some(theirs_packed), goal_gzip);
    add("CPU ms as OpenMetrics", open, None, goal);
    add(
        "CPU ms as protobuf, with native histograms",
        protobuf,
        None,
        None,
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench/ping-page.json");
    figures.finish(&path).unwrap();
}

/// The collector of the service with the targets of 10,000 devices.
fn service() -> Metrics {
    let mut rows = Rows::default();
    for index in 0..TARGETS {
        rows.add(row(index), []);
    }
    let config = Config::parse("", Path::new("ping.yaml")).unwrap();
    Metrics::new(
        Arc::new(ArcSwap::from_pointee(rows.view())),
        Arc::default(),
        &[
            (Family::V4, Mode::Unprivileged),
            (Family::V6, Mode::Unprivileged),
        ],
        Live::fixed(config),
        Arc::new(Ages::default()),
    )
}

fn row(index: usize) -> Row {
    let labels = Labels::new([
        ("device", format!("router-{index:05}.example.net").as_str()),
        ("site", &format!("site-{:03}", index % 200)),
        ("role", "edge"),
        ("family", "ipv4"),
    ]);
    let [_, high, middle, low] = (index as u32).to_be_bytes();
    let address = IpAddr::from([198, 18 + high, middle, low]);
    let second = 1_000_000_000;
    let profile = ProbeProfile {
        family: Family::V4,
        timing: Timing {
            burst: 1,
            spacing: second,
            interval: second,
            timeout: 2 * second,
            down_after: 3,
        },
        size: 56,
        out: netio::control::Outgoing::default(),
    };
    let row = Row {
        labels,
        says_address: false,
        zone: None,
        spec: Spec {
            profile: Arc::new(profile),
            address: Some(address),
            phase: 0,
        },
        counters: Arc::default(),
    };
    let mut random = fastrand::Rng::with_seed(index as u64);
    let near = random.u64(200_000..80_000_000);
    row.counters.write(|writer| {
        for _ in 0..60 {
            writer.made();
            writer.answered(near + random.u64(..near / 10));
            writer.varied(random.u64(..near / 10));
            writer.concluded(true);
        }
        if index.is_multiple_of(10) {
            for _ in 0..2 {
                writer.made();
                writer.lost();
                writer.concluded(false);
            }
            writer.burst(2);
        }
        if index.is_multiple_of(100) {
            writer.made();
            writer.failed(Reason::HostUnreachable);
            writer.told(3, 1);
        }
        writer.made();
        writer.seen(Some(58), Some(0));
    });
    row
}

fn encoded(metrics: &Metrics, mut out: Encoder) -> Vec<u8> {
    metrics.collect(&mut out);
    assert_eq!(out.refused(), 0);
    out.finish()
}

/// The series of a page as the crate keeps them.
fn registered(page: &str) -> prometheus::Registry {
    let kinds: BTreeMap<&str, &str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let samples = Samples::parse(page).unwrap();
    let mut of: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples.all() {
        of.entry(&sample.name).or_default().push(sample);
    }
    let registry = prometheus::Registry::new();
    for (name, kind) in kinds {
        let options = prometheus::Opts::new(name, "What it says.");
        let empty = Vec::new();
        let rows = of.get(name).unwrap_or(&empty);
        match kind {
            "counter" => {
                let family = prometheus::CounterVec::new(options, &names(rows)).unwrap();
                for row in rows {
                    family.with_label_values(&values(row)).inc_by(row.value);
                }
                registry.register(Box::new(family)).unwrap();
            }
            "gauge" => {
                let family = prometheus::GaugeVec::new(options, &names(rows)).unwrap();
                for row in rows {
                    family.with_label_values(&values(row)).set(row.value);
                }
                registry.register(Box::new(family)).unwrap();
            }
            "histogram" => {
                let count = format!("{name}_count");
                let bucket = format!("{name}_bucket");
                let (Some(rows), Some(all)) = (of.get(&*count), of.get(&*bucket)) else {
                    continue;
                };
                let mut bounds: Vec<f64> = all
                    .iter()
                    .map(|row| row.labels["le"].parse().unwrap())
                    .collect();
                bounds.sort_by(f64::total_cmp);
                bounds.dedup();
                bounds.pop();
                let options = prometheus::HistogramOpts::from(options).buckets(bounds.clone());
                let family = prometheus::HistogramVec::new(options, &names(rows)).unwrap();
                for row in rows {
                    let one = family.with_label_values(&values(row));
                    for bound in bounds.iter().take(3) {
                        one.observe(bound * 0.9);
                    }
                }
                registry.register(Box::new(family)).unwrap();
            }
            other => panic!("{name}: {other}"),
        }
    }
    registry
}

fn names<'a>(rows: &[&'a Sample]) -> Vec<&'a str> {
    let first = rows.first();
    first.map_or_else(Vec::new, |row| {
        row.labels.keys().map(String::as_str).collect()
    })
}

fn values(row: &Sample) -> Vec<&str> {
    row.labels.values().map(String::as_str).collect()
}

fn least(so_far: &mut f64, work: impl FnOnce()) {
    *so_far = so_far.min(timed(work));
}
