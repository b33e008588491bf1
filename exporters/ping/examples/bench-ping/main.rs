//! `bench-ping`: what a ping costs, how true its round trip is and whether losses are counted exactly, beside fping,
//! smokeping_prober, plain surge-ping and the system calls alone in one run.
//!
//! Everything happens in a network namespace of its own. Prints a table and writes `target/bench/ping.json`; figures
//! of a shared machine mean something as ratios only. `--short` takes a minute and fails when a peer is less than half
//! as much dearer than it should be, or a loss or duplicate is miscounted; never on a time. Where it may not make a namespace it says so
//! and measures nothing. `--only PART,PART` measures these alone: `cost`, `peers`, `reload`, `scrape`, `truth`.
//!
//! `sotp-ping` is taken from the folder above this program's, where cargo builds it with the same profile.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use testkit::{Figures, Goal};

use service::Network;

mod floor;
mod peers;
mod rig;
mod service;

/// Busy loops beside the second look at the truth.
const BUSY: usize = 4;
/// Set in the copy of this program that runs inside the namespace.
const INSIDE: &str = "SOTP_BENCH_INSIDE";
/// What can be measured.
const PARTS: [&str; 5] = ["cost", "peers", "reload", "scrape", "truth"];

/// What to measure.
struct Plan {
    short: bool,
    parts: Vec<String>,
}

impl Plan {
    fn of(arguments: &[String]) -> anyhow::Result<Self> {
        let mut plan = Self {
            short: false,
            parts: PARTS.map(String::from).to_vec(),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let only = match argument.as_str() {
                "--short" => {
                    plan.short = true;
                    continue;
                }
                "--only" => arguments.next().map(String::as_str),
                other => other.strip_prefix("--only="),
            };
            let only = only.filter(|only| only.split(',').all(|part| PARTS.contains(&part)));
            let parts = PARTS.join(",");
            let Some(only) = only else {
                anyhow::bail!("{argument}: expected --short, or --only with some of {parts}");
            };
            plan.parts = only.split(',').map(String::from).collect();
        }
        Ok(plan)
    }

    fn has(&self, part: &str) -> bool {
        self.parts.iter().any(|wanted| wanted == part)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("surge-ping") => peers::surge_main(&arguments),
        _ => Plan::of(&arguments).and_then(|plan| match std::env::var_os(INSIDE) {
            None => enter(&arguments, &plan),
            Some(_) => run(&plan),
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-ping: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn enter(arguments: &[String], plan: &Plan) -> anyhow::Result<()> {
    let possible = Command::new("unshare").args(["--net", "true"]).status();
    if plan.short && !possible.is_ok_and(|status| status.success()) {
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

fn run(plan: &Plan) -> anyhow::Result<()> {
    rig::ip("link set lo up")?;
    rig::ip("-6 route add local fd00:5074::/64 dev lo")?;
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")?;
    let folder = std::env::temp_dir().join(format!("sotp-bench-ping-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut figures = Figures::default();
    let result = measure(&folder, plan, &mut figures);
    let _ = std::fs::remove_dir_all(&folder);
    figures.finish(&output())?;
    result?;
    if plan.short {
        figures.judge()?;
    }
    Ok(())
}

fn output() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench/ping.json")
}

fn measure(folder: &Path, plan: &Plan, figures: &mut Figures) -> anyhow::Result<()> {
    let seconds = if plan.short { 3 } else { 11 };
    let mut ours = Vec::new();
    if plan.has("cost") || plan.has("peers") {
        ours = costs(folder, plan, seconds, figures)?;
    }
    if plan.has("peers") {
        peers_beside(folder, plan.short, seconds, &ours, figures)?;
    }
    if plan.has("reload") && !plan.short {
        let reload = service::reload(folder, 10_000)?;
        let name = "reload of 10,000 changed targets, ms";
        let goal = Some(Goal::AtMost(100.0));
        figures.add(name, reload.change_millis, None, goal);
        figures.add("requests left out by it", reload.skipped, None, None);
        let name = "reading their inventory before it, ms";
        figures.add(name, reload.parse_millis, None, None);
    }
    if plan.has("scrape") && !plan.short {
        let name = "CPU ms of one /metrics of 10,000 targets with gzip";
        let millis = service::scrape_millis(folder, 10_000)?;
        figures.add(name, millis, None, Some(Goal::AtMost(100.0)));
    }
    if plan.has("truth") {
        truth(folder, plan.short, 0, figures)?;
        if !plan.short {
            truth(folder, plan.short, BUSY, figures)?;
        }
    }
    Ok(())
}

/// Our costs by rate, beside those of the system calls alone; answers the milliseconds per 1,000 pings.
fn costs(
    folder: &Path,
    plan: &Plan,
    seconds: u64,
    figures: &mut Figures,
) -> anyhow::Result<Vec<f64>> {
    let mut ours = Vec::new();
    // With each rate the goal in milliseconds, and the part of it that the system calls alone took where the goals were set.
    let all = [
        (1_000_usize, 8.0, 0.28),
        (10_000, 5.0, 0.45),
        (100_000, 4.0, 0.56),
    ];
    for (rate, goal, part) in all {
        if plan.short && rate > 10_000 {
            continue;
        }
        let cost = service::cost(folder, &Network::Loopback, rate, seconds)?;
        ours.push(cost.millis);
        if !plan.has("cost") {
            continue;
        }
        // The rig probes both families when one has not enough devices.
        let both = rate > 50_000;
        let floor = floor::millis(if plan.short { 50 } else { 200 }, both, None)?;
        // As many at once as ours, which makes ten wake-ups a second of few requests and a hundred of many.
        let pause = Duration::from_millis(if rate < 5_000 { 100 } else { 10 });
        let paced = floor::Pace {
            requests: rate.min(50_000) as u32 / (1_000 / pause.as_millis() as u32),
            pause,
        };
        let thousands = (rate.min(50_000) * seconds.min(5) as usize / 1_000) as u32;
        let paced = floor::millis(thousands, both, Some(paced))?;
        let at = format!("at {rate} targets a second");
        let name = format!("CPU ms per 1,000 pings {at}");
        figures.add(&name, cost.millis, None, Some(Goal::AtMost(goal)));
        let calls = Some(("the calls alone", floor));
        figures.add(&name, cost.millis, calls, Some(Goal::Times(part)));
        let calls = Some(("the calls at that rate", paced));
        figures.add(&name, cost.millis, calls, None);
        let beside = format!("of it beside the probing threads {at}");
        figures.add(&beside, cost.beside_millis, None, None);
        let none = Some(Goal::AtMost(0.0));
        let lost = format!("false loss of {} {at}", cost.ended);
        figures.add(&lost, cost.missed, None, none);
        figures.add(&format!("requests left out {at}"), cost.skipped, None, none);
        let stamped = cost.stamped_percent;
        figures.add(
            &format!("stamps of the kernel, % {at}"),
            stamped,
            None,
            None,
        );
        figures.add(&format!("resident MB {at}"), cost.resident_mb, None, None);
    }
    if plan.has("cost") && !plan.short {
        for rate in [1_000, 10_000] {
            let rig = rig::Rig::start()?;
            let cost = service::cost(folder, &Network::Tun, rate, seconds)?;
            rig.end()?;
            let name = format!("CPU ms per 1,000 pings at {rate} targets a second, TUN");
            figures.add(&name, cost.millis, None, None);
        }
    }
    Ok(ours)
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
    let mut beside = |at: usize, rate: &str, name: &str, millis: f64, goal: f64| {
        if let Some(&ours) = ours.get(at) {
            let figure = format!("{FIGURE} at {rate} a second");
            figures.add(&figure, ours, Some((name, millis)), Some(Goal::Times(goal)));
        }
    };
    for (at, rate) in [(0, 1_000), (1, 10_000)] {
        if !short || rate == 10_000 {
            let millis = peers::surge(rate, seconds)?;
            beside(at, &rate.to_string(), "surge-ping 0.9.1", millis, 1.0);
        }
    }
    if let Some(millis) = peers::fping(folder, 1_000, seconds)? {
        beside(0, "1000", "fping", millis, 1.0);
    }
    if let Some(millis) = peers::smokeping(100, seconds)? {
        beside(0, "1000, theirs at 100", "smokeping_prober", millis, 10.0);
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
    let mut add = |figure: String, ours, goal| figures.add(&figure, ours, None, Some(goal));
    add(
        format!("mean bias against the tap, µs{beside}"),
        truth.mean_micros,
        Goal::Within(2.0),
    );
    add(
        format!("99th percentile of the bias, µs{beside}"),
        truth.p99_micros,
        Goal::Within(10.0),
    );
    add(
        format!("losses beside {} injected{beside}", truth.losses),
        truth.losses_off,
        Goal::Exactly(0.0),
    );
    add(
        format!("duplicates beside {} injected{beside}", truth.duplicates),
        truth.duplicates_off,
        Goal::Exactly(0.0),
    );
    Ok(())
}
