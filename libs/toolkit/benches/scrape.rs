//! Time to encode the metrics of 10,000 targets, each with a histogram of 20 buckets and 6 counters, and to compress them.

use std::io::Write as _;
use std::time::{Duration, Instant};

use toolkit::{Buckets, Encoder, Format, Kind, Labels};

const TARGETS: usize = 10_000;
const ROUNDS: usize = 10;
const COUNTERS: [&str; 6] = [
    "a_total", "b_total", "c_total", "d_total", "e_total", "f_total",
];

fn main() {
    let bounds: Vec<f64> = (0..20)
        .map(|step| 0.000_05 * f64::powi(2.0, step))
        .collect();
    let buckets = Buckets::new(&bounds);
    let counts: Vec<u64> = (0..=20).map(|step| 123_456 + step * 777).collect();
    let targets: Vec<Labels> = (0..TARGETS)
        .map(|number| {
            let (device, site) = (
                format!("router-{number:05}"),
                format!("site-{}", number % 50),
            );
            Labels::new([
                ("device", &*device),
                ("site", &site),
                ("role", "access"),
                ("family", "ipv4"),
            ])
        })
        .collect();
    for format in [Format::Text, Format::OpenMetrics] {
        let mut room = 0;
        let mut encode = || {
            let mut out = Encoder::with_capacity(format, room);
            for name in COUNTERS {
                out.family(name, Kind::Counter, "A counter.");
                targets
                    .iter()
                    .for_each(|labels| out.sample(labels, 86_400_u64));
            }
            out.family("rtt_seconds", Kind::Histogram, "A histogram.");
            for labels in &targets {
                out.histogram(labels, &buckets, &counts, 123.456_789);
            }
            let text = out.finish();
            room = text.len();
            text
        };
        let (text, took) = best(&mut encode);
        let (packed, packing) = best(|| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&text)
                .and_then(|()| gzip.finish())
                .unwrap_or_default()
        });
        let (size, packed) = (text.len(), packed.len());
        println!(
            "{format:?}: {size} bytes encoded in {took:?}, {packed} bytes compressed in {packing:?}, best of {ROUNDS}"
        );
    }
}

fn best<T>(mut run: impl FnMut() -> T) -> (T, Duration) {
    let mut least = Duration::MAX;
    let mut last = None;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        last = Some(run());
        least = least.min(began.elapsed());
    }
    // At least one round ran.
    match last {
        Some(last) => (last, least),
        None => (run(), least),
    }
}
