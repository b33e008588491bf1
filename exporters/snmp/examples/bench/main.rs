//! Measures sotp-snmp against Debian's snmp_exporter in one run, with the same agents, and writes `target/bench/snmp.json`.
//!
//! `cargo run --release -p sotp-snmp --example bench` after `cargo build --release -p sotp-snmp`. Processor time is that of each exporter's
//! process (`/proc/PID/stat`), requests are those the agents counted, memory is the peak of the process. Figures are what this machine
//! gave, ratios are theirs over ours. Arguments choose parts: `one`, `at-once`, `fleet`; without any, all are measured. `alone` leaves the
//! other exporter out. At the end stand the [floors](floor) of the sizes, with as many requests and octets as ours needed.

#[path = "../../tests/it/agent.rs"]
mod agent;
mod agents;
mod exporter;
mod floor;
mod many;
mod one;

use std::path::{Path, PathBuf};

use agents::agents;
use anyhow::{Context as _, ensure};
use exporter::Exporter;
use testkit::Goal;

const THEIRS: &str = "/usr/bin/prometheus-snmp-exporter";

/// What the figures have to be; what is not named here is told without a goal.
const GOALS: [(&str, Goal); 17] = [
    ("2 interfaces: requests", Goal::Times(1.0)),
    ("2 interfaces: cpu, ms", Goal::Times(8.0)),
    ("2 interfaces: gzip, octets", Goal::Times(1.0)),
    (
        "48 interfaces: requests of the first scrape",
        Goal::Times(2.0),
    ),
    ("48 interfaces: requests", Goal::Times(1.0)),
    ("48 interfaces: cpu, ms", Goal::Times(15.0)),
    ("48 interfaces: gzip, octets", Goal::Times(1.0)),
    ("1,000 interfaces: requests", Goal::Times(4.0)),
    ("1,000 interfaces: cpu, ms", Goal::Times(15.0)),
    (
        "ms of the first scrape, 1,000 interfaces, 1 ms round trip",
        Goal::Times(10.0),
    ),
    (
        "ms of a later scrape, 1,000 interfaces, 1 ms round trip",
        Goal::Times(10.0),
    ),
    (
        "that loss in times of the lossless scrape",
        Goal::AtMost(2.0),
    ),
    ("peak MB of it", Goal::AtMost(120.0)),
    (
        "processors for 2,000 devices each 15 s, first round",
        Goal::AtMost(1.0),
    ),
    (
        "processors for 2,000 devices each 15 s, later rounds",
        Goal::AtMost(1.0),
    ),
    (
        "seconds behind at the end of the slower round",
        Goal::AtMost(5.0),
    ),
    ("scrapes of the 4,000 that failed", Goal::AtMost(0.0)),
];

/// What one exporter did.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) values: Vec<(&'static str, f64)>,
}

impl Figures {
    fn add(&mut self, other: Self) {
        self.values.extend(other.values);
    }
}

fn before_the_split(text: &str) -> String {
    let modules = text
        .split_once("\nmodules:\n")
        .map_or("", |(_, modules)| modules);
    modules
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line))
        .fold(String::new(), |out, line| out + line + "\n")
}

fn main() -> anyhow::Result<()> {
    let parts: Vec<String> = std::env::args().skip(1).collect();
    if parts.first().is_some_and(|part| part == "floor") {
        return floor::serve(&parts[1..]);
    }
    let ours = std::env::current_exe()?
        .parent()
        .and_then(Path::parent)
        .context("no folder")?
        .join("sotp-snmp");
    ensure!(
        ours.exists(),
        "{} is missing: build it first, in the same profile",
        ours.display()
    );
    let dir = testkit::TempDir::new()?;
    let yml = include_str!("../../default.yml");
    let (old, new) = (dir.join("old.yml"), dir.join("new.yml"));
    std::fs::write(&old, before_the_split(yml))?;
    std::fs::write(&new, yml)?;
    let (_threads, agents) = agents()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let given = |part: &str| parts.iter().any(|name| name == part);
    let all = !["one", "at-once", "fleet"].into_iter().any(given);
    let chosen = |part: &str| all || given(part);
    let run = |binary: PathBuf, config: PathBuf| {
        runtime.block_on(async {
            let mut figures = Figures::default();
            let config = [format!("--config.file={}", config.display())];
            let start = |pinned| Exporter::start(&binary, &config, pinned);
            if chosen("one") {
                let exporter = start(false).await?;
                figures.add(one::measure(&exporter, &agents).await?);
            }
            if chosen("at-once") {
                let exporter = start(false).await?;
                figures.add(many::at_once(&exporter, &agents).await?);
            }
            // The other one would need several processors for it.
            if chosen("fleet") && binary.ends_with("sotp-snmp") {
                let exporter = start(true).await?;
                figures.add(many::paced(&exporter, &agents).await?);
            }
            anyhow::Ok(figures)
        })
    };
    let mine = run(ours, new)?;
    let mut floors = Figures::default();
    if chosen("one") {
        floors = runtime.block_on(one::floors(&mine, &agents))?;
    }
    let theirs = if given("alone") {
        None
    } else if Path::new(THEIRS).exists() {
        Some(run(THEIRS.into(), old)?)
    } else {
        eprintln!("skipped: {THEIRS} is not installed");
        None
    };
    let mut found = testkit::Figures::default();
    for (at, (name, value)) in mine.values.iter().enumerate() {
        let other = theirs.as_ref().and_then(|theirs| theirs.values.get(at));
        let peer = other.map(|(_, value)| ("snmp_exporter", *value));
        let goal = GOALS.iter().find(|(figure, _)| figure == name);
        found.add(name, *value, peer, goal.map(|(_, goal)| *goal));
    }
    for (name, value) in floors.values {
        found.add(name, value, None, None);
    }
    found.finish(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench/snmp.json"))?;
    Ok(())
}
