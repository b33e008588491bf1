//! `bench-ping`: what a ping costs, how true its round trip is and whether losses are counted exactly, beside fping,
//! smokeping_prober and plain surge-ping in one run.
//!
//! Everything happens in a network namespace of its own. Prints a table and writes `target/bench/ping.json`; figures
//! of a shared machine mean something as ratios only. `--short` takes a minute and fails when a peer is less than half
//! as much dearer than it should be, or a loss or duplicate is miscounted; never on a time. Where it may not make a namespace it says so
//! and measures nothing.
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

/// Busy loops beside the second look at the truth.
const BUSY: usize = 4;
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
    let possible = Command::new("unshare").args(["--net", "true"]).status();
    if arguments.iter().any(|argument| argument == "--short")
        && !possible.is_ok_and(|status| status.success())
    {
        eprintln!("skipped: bench-ping needs root for a network namespace");
        return Ok(());
    }
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
    rig::ip("-6 route add local fd00:5074::/64 dev lo")?;
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
    let seconds = if short { 3 } else { 11 };
    let mut ours = Vec::new();
    for (rate, goal) in [(1_000_usize, 8.0), (10_000, 5.0), (100_000, 4.0)] {
        if short && rate > 10_000 {
            continue;
        }
        let cost = service::cost(folder, rate, seconds)?;
        let at = format!("at {rate} targets a second");
        figures.goal(&format!("CPU ms per 1,000 pings {at}"), cost.millis, goal);
        figures.plain(&format!("of it in user space {at}"), cost.user_millis);
        figures.goal(
            &format!("false loss of {} {at}", cost.ended),
            cost.missed,
            0.0,
        );
        figures.plain(&format!("requests left out {at}"), cost.skipped);
        figures.plain(
            &format!("stamps of the kernel, % {at}"),
            cost.stamped_percent,
        );
        figures.plain(&format!("resident MB {at}"), cost.resident_mb);
        ours.push(cost.millis);
    }
    peers_beside(folder, short, seconds, &ours, figures)?;
    if !short {
        let reload = service::reload(folder, 10_000)?;
        figures.goal(
            "reload of 10,000 changed targets, ms",
            reload.change_millis,
            100.0,
        );
        figures.plain("requests left out by it", reload.skipped);
        figures.plain("reading their inventory before it, ms", reload.parse_millis);
        figures.goal(
            "CPU ms of one /metrics of 10,000 targets with gzip",
            service::scrape_millis(folder, 10_000)?,
            100.0,
        );
    }
    truth(folder, short, 0, figures)?;
    if !short {
        truth(folder, short, BUSY, figures)?;
    }
    Ok(())
}

/// The peers at the work that they can do.
fn peers_beside(
    folder: &Path,
    short: bool,
    seconds: u64,
    ours: &[f64],
    figures: &mut Figures,
) -> anyhow::Result<()> {
    const FIGURE: &str = "CPU ms per 1,000 pings";
    for (at, rate) in [(0, 1_000), (1, 10_000)] {
        if !short || rate == 10_000 {
            let name = format!("surge-ping 0.9.1, one task each, at {rate} a second");
            let millis = peers::surge(rate, seconds)?;
            figures.ratio(FIGURE, ours.get(at).copied(), millis, &name, 1.0);
        }
    }
    let first = ours.first().copied();
    if let Some(millis) = peers::fping(folder, 1_000, seconds)? {
        figures.ratio(FIGURE, first, millis, "fping at 1,000 a second", 1.0);
    }
    if let Some(millis) = peers::smokeping(100, seconds)? {
        let name = "smokeping_prober at 100 a second, ours at 1,000";
        figures.ratio(FIGURE, first, millis, name, 10.0);
    }
    Ok(())
}

/// Bias, losses and duplicates against the tap, with so many busy loops beside it.
fn truth(folder: &Path, short: bool, busy: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let beside = match busy {
        0 => String::new(),
        busy => format!(", {busy} busy loops"),
    };
    let (targets, seconds) = if short { (200, 4) } else { (1_000, 10) };
    let loops = service::Busy::start(busy);
    let truth = service::against_tap(folder, targets, seconds)?;
    drop(loops);
    figures.goal(
        &format!("mean bias against the tap, µs{beside}"),
        truth.mean_micros,
        2.0,
    );
    figures.goal(
        &format!("99th percentile of the bias, µs{beside}"),
        truth.p99_micros,
        10.0,
    );
    figures.exact(
        &format!("losses beside {} injected{beside}", truth.losses),
        truth.losses_off,
    );
    figures.exact(
        &format!("duplicates beside {} injected{beside}", truth.duplicates),
        truth.duplicates_off,
    );
    Ok(())
}
