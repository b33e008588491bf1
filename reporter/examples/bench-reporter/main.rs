//! What a report costs: its pages beside headless Chromium that prints the same, a month of states of a thousand devices, and five
//! hundred reports at the same hour.
//!
//! usage: bench-reporter --service PROGRAM [--small]
//!
//! Each figure stands beside its goal. `--small` makes a tenth of everything, to see that it works: its figures are none.
#![allow(clippy::unwrap_used, reason = "a failed unwrap ends the benchmark")]

mod chromium;
mod hour;
mod month;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use testkit::{Figures, Goal};

/// What a program took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: Duration,
    /// User and system time of it and of those of its own that ended, in seconds.
    cpu: f64,
    /// Most memory at a time of it and its own, in MB.
    memory: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [one, devices] = &arguments[..]
        && one == "--states"
    {
        month::states(devices.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    let small = arguments.iter().any(|one| one == "--small");
    let service = arguments.iter().position(|one| one == "--service");
    let Some(service) = service.and_then(|at| arguments.get(at + 1)) else {
        eprintln!("usage: bench-reporter --service PROGRAM [--small]");
        return ExitCode::from(64);
    };
    let service = PathBuf::from(service).canonicalize().unwrap();
    let part = |whole: usize| if small { whole / 10 } else { whole };
    let folder = std::env::temp_dir().join(format!("bench-reporter-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut figures = Figures::default();

    let pages = folder.join("pages");
    let (ours, count) = report(&service, part(130), &pages);
    let chromium = match chromium::print(&month::made(&pages), &folder) {
        Ok(cost) => Some(cost),
        Err(why) => {
            eprintln!("skipped: Chromium: {why}");
            None
        }
    };
    let peer = |of: fn(&Cost) -> f64| chromium.as_ref().map(|cost| ("Chromium", of(cost)));
    let (cpu, memory) = (peer(|cost| cost.cpu), peer(|cost| cost.memory));
    let least = if small { 1.0 } else { 10.0 };
    figures.add(
        "one report: pages",
        count as f64,
        None,
        Some(Goal::AtLeast(least)),
    );
    figures.add(
        "one report: processor time, s",
        ours.cpu,
        cpu,
        Some(Goal::AtMost(0.35)),
    );
    figures.add(
        "one report: memory, MB",
        ours.memory,
        memory,
        Some(Goal::AtMost(100.0)),
    );

    let (ours, count) = report(&service, part(2_000), &folder.join("many"));
    let wall = ours.wall.as_secs_f64();
    figures.add("2,000 devices: pages", count as f64, None, None);
    figures.add(
        "2,000 devices: time, s",
        wall,
        None,
        Some(Goal::AtMost(60.0)),
    );
    figures.add(
        "2,000 devices: memory, MB",
        ours.memory,
        None,
        Some(Goal::AtMost(500.0)),
    );

    let mut states = Command::new(std::env::current_exe().unwrap());
    states.args(["--states", &part(1_000).to_string()]);
    let (ours, status) = measured(states);
    assert!(status.success());
    let wall = ours.wall.as_secs_f64();
    figures.add(
        "1,000 devices, a month of 60 s, to all tables: time, s",
        wall,
        None,
        Some(Goal::AtMost(20.0)),
    );

    let hour = hour::run(&service, part(500), &folder);
    let wall = hour.cost.wall.as_secs_f64();
    figures.add(
        "500 reports at the full hour: time, s",
        wall,
        None,
        Some(Goal::AtMost(120.0)),
    );
    figures.add(
        "500 reports at the full hour: not sent",
        hour.unsent,
        None,
        Some(Goal::Exactly(0.0)),
    );
    figures.add(
        "500 reports at the full hour: memory of one, MB",
        hour.cost.memory,
        None,
        None,
    );

    std::fs::remove_dir_all(&folder).unwrap();
    let place = if small {
        folder.with_extension("json")
    } else {
        PathBuf::from("target/bench/reporter.json")
    };
    figures.finish(&place).unwrap();
    if small {
        std::fs::remove_file(place).unwrap();
        println!("a tenth of everything: no figures");
    }
    figures.judge().unwrap();
    ExitCode::SUCCESS
}

/// What the program takes for the report of a closed month of so many devices, its tables included, and the pages of it.
fn report(service: &Path, devices: usize, place: &Path) -> (Cost, usize) {
    month::close(u64::try_from(devices).unwrap(), place);
    let copies = format!("copies: {{folder: {}}}\n", month::copies(place).display());
    std::fs::write(
        place.join("reporter.yaml"),
        format!("organisation: Example Ltd\n{copies}"),
    )
    .unwrap();
    let mut command = Command::new(service);
    command
        .args(["run", "--month=2025-10"])
        .arg(format!(
            "--config.file={}",
            place.join("reporter.yaml").display()
        ))
        .stdout(Stdio::null());
    let (cost, status) = measured(command);
    assert!(status.success(), "{status}");
    (cost, month::pages(&month::made(place)))
}

/// Runs a program to its end and looks every few milliseconds at what it and its own take.
fn measured(mut command: Command) -> (Cost, std::process::ExitStatus) {
    let begun = Instant::now();
    let before = children();
    let mut child = command.spawn().unwrap();
    let mut memory = 0.0_f64;
    let status = loop {
        memory = memory.max(resident(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let cost = Cost {
        wall: begun.elapsed(),
        cpu: children() - before,
        memory,
    };
    (cost, status)
}

/// Seconds of processor time of those of ours that ended (proc(5), `cutime` and `cstime`, in hundredths).
fn children() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(13) + ticks(14)) / 100.0
}

/// Memory of a process and those below it, in MB, each page where it is shared in equal parts.
fn resident(process: u32) -> f64 {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}"));
    let own = read("smaps_rollup").unwrap_or_default();
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<f64>().ok())
        .unwrap_or(0.0);
    let below = read(&format!("task/{process}/children")).unwrap_or_default();
    let below = below
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .map(resident);
    own / 1_000.0 + below.sum::<f64>()
}
