//! `bench-ping`: what a ping costs, how true its round trip is and whether losses are counted exactly, beside fping,
//! smokeping_prober and plain surge-ping in one run.
//!
//! Everything happens in a network namespace of its own. Prints a table and writes `target/bench/ping.json`; figures
//! of a shared machine mean something as ratios only. `--short` takes a minute and fails when a peer is less than half
//! as much dearer than it should be, or a loss or duplicate is miscounted; never on a time.
//!
//! `sotp-ping` is taken from beside this program.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[path = "bench_ping/figures.rs"]
mod figures;
#[path = "bench_ping/peers.rs"]
mod peers;
#[path = "bench_ping/rig.rs"]
mod rig;
#[path = "bench_ping/service.rs"]
mod service;

use figures::Figures;

/// Set in the copy of this program that runs inside the namespace.
const INSIDE: &str = "SOTP_BENCH_INSIDE";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("surge-ping") => peers::surge_main(&arguments),
        _ if std::env::var_os(INSIDE).is_none() => enter(&arguments),
        _ => run(arguments.iter().any(|argument| argument == "--short")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-ping: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn enter(arguments: &[String]) -> anyhow::Result<()> {
    let status = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe()?)
        .args(arguments)
        .env(INSIDE, "1")
        .status()?;
    anyhow::ensure!(
        status.success(),
        "failed inside the namespace (it needs root)"
    );
    Ok(())
}

fn run(short: bool) -> anyhow::Result<()> {
    rig::ip("link set lo up")?;
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")?;
    let folder = std::env::temp_dir().join(format!("sotp-bench-ping-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut figures = Figures::default();
    let result = measure(&folder, short, &mut figures);
    let _ = std::fs::remove_dir_all(&folder);
    figures.print();
    figures.write(&output())?;
    result?;
    if short {
        figures.judge()?;
    }
    Ok(())
}

fn output() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench/ping.json")
}

fn measure(folder: &Path, short: bool, figures: &mut Figures) -> anyhow::Result<()> {
    let seconds = if short { 4 } else { 10 };
    let mut ours = Vec::new();
    for (rate, goal) in [(1_000_usize, 8.0), (10_000, 5.0), (100_000, 4.0)] {
        if short && rate > 10_000 {
            continue;
        }
        let cost = service::cost(folder, rate, seconds)?;
        figures.goal(
            &format!("CPU ms per 1,000 pings at {rate} a second"),
            cost.millis,
            goal,
        );
        figures.goal(
            &format!("false loss at {rate} a second, of {}", cost.ended),
            cost.missed,
            0.0,
        );
        figures.plain(&format!("resident MB at {rate} a second"), cost.resident_mb);
        ours.push(cost.millis);
    }
    for (name, at, millis) in [
        (
            "surge-ping 0.9.1, one task each, at 1,000 a second",
            0,
            peers::surge(1_000, seconds)?,
        ),
        (
            "surge-ping 0.9.1, one task each, at 10,000 a second",
            1,
            peers::surge(10_000, seconds)?,
        ),
    ] {
        figures.ratio(
            "CPU ms per 1,000 pings",
            ours.get(at).copied(),
            millis,
            name,
            1.0,
        );
    }
    if let Some(millis) = peers::fping(folder, 1_000, seconds)? {
        let name = "fping at 1,000 a second";
        figures.ratio(
            "CPU ms per 1,000 pings",
            ours.first().copied(),
            millis,
            name,
            1.0,
        );
    }
    if let Some(millis) = peers::smokeping(100, seconds)? {
        let name = "smokeping_prober at 100 a second, ours at 1,000";
        figures.ratio(
            "CPU ms per 1,000 pings",
            ours.first().copied(),
            millis,
            name,
            10.0,
        );
    }
    let truth = service::against_tap(folder, if short { 200 } else { 1_000 }, seconds)?;
    figures.goal("mean bias against the tap, µs", truth.mean_micros, 2.0);
    figures.goal("99th percentile of the bias, µs", truth.p99_micros, 10.0);
    figures.exact("losses counted beside those injected", truth.losses_off);
    figures.exact(
        "duplicates counted beside those injected",
        truth.duplicates_off,
    );
    figures.plain("losses injected", truth.losses);
    figures.plain("duplicates injected", truth.duplicates);
    Ok(())
}
