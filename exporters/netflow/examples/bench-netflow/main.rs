//! Measures decoding alone, the whole service beside nfcapd (Debian), which only stores, on the same offered load over loopback, and what the
//! bounds of the service hold.
//!
//! Records a second of a processor are records by the CPU seconds of the thread or the process that reads them. Prints a table and writes
//! `target/bench/netflow.json`. `--only decode,lookups` leaves the other parts out.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot measure has nothing else to do"
)]
#![allow(clippy::print_stdout, reason = "its table is what it is for")]

mod bounds;
mod count;
mod decode;
mod kafka;
mod load;
mod lookups;
mod path;

use std::path::{Path, PathBuf};

use clap::Parser as _;
use nix::sys::resource::{UsageWho, getrusage};
use testkit::Figures;

/// Measures sotp-netflow beside nfcapd and netflow_parser.
#[derive(Debug, clap::Parser)]
struct Flags {
    /// The service.
    #[arg(long, default_value = "target/release/sotp-netflow")]
    service: PathBuf,
    /// The program that reads the same datagrams with netflow_parser; left out where there is none.
    #[arg(long, default_value = "target/netflow-oracle/release/netflow-oracle")]
    oracle: PathBuf,
    /// Seconds of each run.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Records a second that are offered to both, lowest first.
    #[arg(long, value_delimiter = ',', default_value = "200000,500000,1000000")]
    rates: Vec<f64>,
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Cargo passes it.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Decoding alone.
    Decode,
    /// Counting alone, without sockets.
    Count,
    /// The whole service beside nfcapd.
    Path,
    /// The highest rate that each takes without loss.
    Highest,
    /// Memory, floods, and when a new heavy destination is seen.
    Bounds,
    /// Autonomous systems and networks of addresses.
    Lookups,
    /// Single flows to Kafka.
    Kafka,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let mut figures = Figures::default();
    let wants = |part: Part| flags.only.is_empty() || flags.only.contains(&part);
    if wants(Part::Decode) {
        decode::measure(&mut figures, flags.seconds.min(3.0), &flags.oracle);
    }
    if wants(Part::Lookups) {
        lookups::measure(&mut figures, flags.seconds.min(3.0));
    }
    if wants(Part::Kafka) {
        kafka::measure(&mut figures, flags.seconds.min(5.0));
    }
    if wants(Part::Count) {
        count::measure(&mut figures, flags.seconds.min(3.0));
    }
    if wants(Part::Path) {
        path::measure(&mut figures, &flags.service, &flags.rates, flags.seconds);
    }
    if wants(Part::Highest) {
        path::highest(&mut figures, &flags.service);
    }
    if wants(Part::Bounds) {
        bounds::measure(&mut figures, &flags.service, flags.seconds.min(5.0));
    }
    figures.finish(Path::new("target/bench/netflow.json"))
}

fn cpu_of_this_thread() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}
