//! The lab and the stack together, as one show: a network of routers, watched, with a link to cut.

mod history;
mod idle;
mod jobs;
pub(crate) mod news;
mod once;
mod show;
mod steps;
mod story;
mod timeline;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::interrupt::Interrupt;
use crate::lab::{self, Lab, Life};
use crate::stack::output::Show;
use crate::stack::{Common, Download, runtime};
use crate::topology::{self, Topology};
use crate::{doctor, stack};

/// The topology that the steps of the story know by name.
const STORY: &str = "triangle";

/// Flags of `sotp-lab demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Box<Flags>,
}

#[derive(Debug, clap::Args)]
struct Flags {
    /// Play the story of the product step by step, print the table of the steps, end; status 0 only if every step is ok.
    #[arg(long)]
    once: bool,
    /// With --once: play these steps only, in the order of the story [default: all]
    #[arg(long, value_name = "STEP,…", requires = "once", value_delimiter = ',',
          value_parser = clap::builder::PossibleValuesParser::new(steps::names()))]
    steps: Vec<String>,
    /// With --once: play the steps so many times, and print the median time of everything that was seen.
    #[arg(long, value_name = "TIMES", requires = "once", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// With --once: run this shell command in the box when everything is up, before the first step; repeatable.
    /// SOTP_PROMETHEUS_URL, SOTP_ALERTMANAGER_URL, SOTP_PING_URL, SOTP_SNMP_URL and SOTP_INVENTORY_URL are set. The
    /// demo fails when it fails.
    #[arg(long, value_name = "CMD", requires = "once")]
    while_up: Vec<String>,
    /// With --once: the same, while the alert of the step cut fires.
    #[arg(long, value_name = "CMD", requires = "once")]
    while_firing: Vec<String>,
    /// With --once: before the first step nothing happens for so long, --while-up counted, and the demo fails if an alert fires in that time.
    #[arg(long, value_name = "SECONDS", requires = "once", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    idle: Option<u64>,
    /// With --idle: so many threads that keep processors busy meanwhile.
    #[arg(long, value_name = "THREADS", requires = "idle", default_value_t = 0)]
    busy: usize,
    /// With --once: write the steps and their evidence as JSON too.
    #[arg(long, value_name = "FILE", requires = "once")]
    timeline: Option<PathBuf>,
    /// The link that the step cut cuts.
    #[arg(long, default_value = "r3-h2")]
    link: String,
    /// The device that this cuts off.
    #[arg(long, default_value = "h2")]
    device: String,
    /// Begin without history: Prometheus then knows nothing of the time before.
    #[arg(long)]
    no_history: bool,
    /// Name of the lab: several can run at the same time under different names.
    #[arg(long, default_value = "demo", env = "SOTP_LAB_NAME")]
    name: String,
    /// A shipped topology (see `sotp-lab topologies`) or the path of a TOML file.
    #[arg(long, default_value = "triangle", env = "SOTP_LAB_TOPOLOGY")]
    topology: String,
    /// Seconds that the network may take until all of it is up.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    deadline: u64,
    /// Install no packages and download nothing; fail where something needed is missing.
    #[arg(long)]
    no_install: bool,
    /// Which log lines reach the terminal; the log files get all of them.
    #[arg(long, value_enum, default_value_t = Show::Events)]
    logs: Show,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    download: Download,
}

/// Starts both, shows where to look, and stays until it is interrupted; or runs the scenario once.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let args = *args.flags;
    let runtime = runtime()?;
    if !args.no_install {
        let programs = &args.common.programs;
        let scope = doctor::Scope {
            lab: true,
            tests: false,
            story: args.once,
        };
        doctor::packages(
            &runtime.block_on(doctor::wanted(programs, scope)),
            args.once,
            scope,
        )?;
        runtime.block_on(doctor::downloads(programs, &args.download, args.once))?;
    }
    // What can be wrong is found before anything is built.
    let found = runtime.block_on(stack::plan::find(&args.common))?;
    let home = stack::home::Home::find(args.common.home.as_deref())?;
    if args.once {
        scenario(&args)?;
    }
    // Until here there is nothing that could be left.
    let interrupt = Interrupt::listen()?;
    eprintln!("building the network {}", args.topology);
    let lab = match lab::up(&lab::Options {
        name: args.name.clone(),
        topology: args.topology.clone(),
        deadline: Duration::from_secs(args.deadline),
        life: Life::Attached,
        user_space_links: false,
        interrupt: interrupt.clone(),
    }) {
        Err(lab::Error::Interrupted(_)) => {
            let code = runtime.block_on(show::interrupted(&args, &interrupt));
            return Ok(ExitCode::from(code));
        }
        lab => lab?,
    };
    let result = runtime.block_on(show::run(&args, &lab, &found, &home, &interrupt));
    // The lab ends in any case; the first error is the one to tell.
    let ended = end(lab);
    let code = result?;
    ended?;
    Ok(code)
}

/// Whether the network has what the scenario cuts, and what that cuts off.
fn scenario(flags: &Flags) -> anyhow::Result<()> {
    let everywhere = flags.steps == ["cut"];
    anyhow::ensure!(
        everywhere || flags.topology == STORY,
        "the story is written for the topology {STORY}; on {} only the step cut can be played: --steps cut",
        flags.topology
    );
    let (origin, text) = topology::find(&flags.topology)?;
    let topology = Topology::parse(&text, &origin)?;
    anyhow::ensure!(
        topology.link(&flags.link).is_some(),
        "--link {}: the topology {} has no such link",
        flags.link,
        flags.topology
    );
    anyhow::ensure!(
        topology.node(&flags.device).is_some(),
        "--device {}: the topology {} has no such router or host",
        flags.device,
        flags.topology
    );
    Ok(())
}

fn end(lab: Lab) -> anyhow::Result<()> {
    eprintln!("ending the network");
    lab.down()?;
    Ok(())
}
