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
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// What a program took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: Duration,
    /// User and system time of it and of those of its own that ended, in seconds.
    cpu: f64,
    /// Most memory at a time of it and its own, in MB.
    memory: f64,
}

struct Line {
    name: &'static str,
    goal: &'static str,
    cost: Cost,
    more: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [one, devices, folder] = &arguments[..]
        && one == "--one"
    {
        month::write(devices.parse().unwrap(), Path::new(folder));
        return ExitCode::SUCCESS;
    }
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
    let mut lines = Vec::new();
    let own = |arguments: &[&str]| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(arguments);
        measured(command)
    };
    let ten = part(130);
    let pages = folder.join("pages");
    let (cost, _) = own(&["--one", &ten.to_string(), pages.to_str().unwrap()]);
    lines.push(Line {
        name: "report of ten pages",
        goal: "0.35 CPU-s, 100 MB",
        cost,
        more: month::pages(&pages),
    });
    match chromium::print(&pages, &folder) {
        Ok((cost, more)) => lines.push(Line {
            name: "the same tables, printed by Chromium",
            goal: "",
            cost,
            more,
        }),
        Err(why) => eprintln!("skipped: Chromium: {why}"),
    }
    let many = part(2_000);
    let place = folder.join("many");
    let (cost, _) = own(&["--one", &many.to_string(), place.to_str().unwrap()]);
    lines.push(Line {
        name: "report of 2,000 devices",
        goal: "60 s, 500 MB",
        cost,
        more: month::pages(&place),
    });
    let (cost, _) = own(&["--states", &part(1_000).to_string()]);
    lines.push(Line {
        name: "a month of 1,000 devices at 60 s to all tables",
        goal: "20 s",
        cost,
        more: String::new(),
    });
    let (cost, more) = hour::run(&service, part(500), &folder);
    lines.push(Line {
        name: "500 reports at the full hour, two at a time",
        goal: "120 s",
        cost,
        more,
    });
    std::fs::remove_dir_all(&folder).unwrap();
    println!(
        "{:<50} {:>9} {:>9} {:>9}  goal",
        "", "wall s", "CPU s", "MB"
    );
    let mut kept = Vec::new();
    for line in &lines {
        let wall = line.cost.wall.as_secs_f64();
        println!(
            "{:<50} {wall:>9.2} {:>9.2} {:>9.1}  {:<22} {}",
            line.name, line.cost.cpu, line.cost.memory, line.goal, line.more
        );
        kept.push(serde_json::json!({
            "name": line.name, "wall_seconds": wall, "cpu_seconds": line.cost.cpu, "megabytes": line.cost.memory, "goal": line.goal
        }));
    }
    if small {
        println!("a tenth of everything: no figures");
        return ExitCode::SUCCESS;
    }
    let place = Path::new("target/bench");
    std::fs::create_dir_all(place).unwrap();
    let text = serde_json::to_vec_pretty(&kept).unwrap();
    std::fs::write(place.join("reporter.json"), text).unwrap();
    ExitCode::SUCCESS
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
