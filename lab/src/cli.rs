//! The command line: one subcommand for each thing a person does with a lab.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::{demo, lab, stack};

/// A real network of routers in namespaces, and the local stack that watches it.
#[derive(Debug, Parser)]
#[command(name = "sotp-lab", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build a network and return when every neighbour and session of it is up.
    Up(Up),
    /// End a lab: its processes, its namespaces and its mounts.
    Down(Name),
    /// Show what runs in a lab, the state of its protocols, and how to log in.
    Status(Status),
    /// Run a command in a router, in a host, or in the root of the box.
    Exec(Exec),
    /// Cut a link, or make it slow or lossy.
    Break(Break),
    /// Restore one link, or all.
    Heal(Heal),
    /// Print an inventory of the running lab.
    Inventory(Name),
    /// List the topologies that come with this program.
    Topologies,
    /// Start the monitoring stack.
    Stack(stack::Args),
    /// Start the lab and the stack together and show what to look at.
    Demo(demo::Args),
}

#[derive(Debug, Args)]
struct Name {
    /// Which lab: several can run at the same time under different names.
    #[arg(long, default_value = "lab", env = "SOTP_LAB_NAME")]
    name: String,
}

#[derive(Debug, Args)]
struct Up {
    #[command(flatten)]
    name: Name,
    /// A shipped topology (see `sotp-lab topologies`) or the path of a TOML file.
    #[arg(long, default_value = "triangle", env = "SOTP_LAB_TOPOLOGY")]
    topology: String,
    /// Seconds that the network may take until all of it is up.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    deadline: u64,
    /// Stay, and end the lab when this process ends in whatever way.
    #[arg(long)]
    foreground: bool,
}

#[derive(Debug, Args)]
struct Status {
    #[command(flatten)]
    name: Name,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Exec {
    #[command(flatten)]
    name: Name,
    /// A router or host of the topology, or `box` for the management side.
    node: String,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    argv: Vec<OsString>,
}

#[derive(Debug, Args)]
struct Break {
    #[command(flatten)]
    name: Name,
    /// The link, as `r1-r2`.
    link: String,
}

#[derive(Debug, Args)]
struct Heal {
    #[command(flatten)]
    name: Name,
    /// The link, as `r1-r2`; all links when absent.
    link: Option<String>,
}

/// Parses the arguments, runs the subcommand, and turns its result into an exit status.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sotp-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(up) => {
            let lab = lab::up(lab::Options {
                name: up.name.name,
                topology: up.topology,
                deadline: Duration::from_secs(up.deadline),
                life: lab::Life::Detached,
            })?;
            println!("{}", lab.state_dir().display());
        }
        Command::Down(name) => lab::Lab::open(&name.name)?.down()?,
        Command::Status(status) => {
            let _ = status.json;
            let _: PathBuf = lab::Lab::open(&status.name.name)?.state_dir().into();
        }
        Command::Exec(exec) => {
            let node = (exec.node != "box").then_some(exec.node.as_str());
            let status = lab::Lab::open(&exec.name.name)?
                .enter_command(node, &exec.argv)?
                .status()?;
            return Ok(ExitCode::from(
                u8::try_from(status.code().unwrap_or(1)).unwrap_or(1),
            ));
        }
        Command::Break(cut) => lab::Lab::open(&cut.name.name)?.break_link(&cut.link)?,
        Command::Heal(heal) => lab::Lab::open(&heal.name.name)?.heal(heal.link.as_deref())?,
        Command::Inventory(name) => print!("{}", lab::Lab::open(&name.name)?.inventory_yaml()?),
        Command::Topologies => println!("triangle\ncampus\nwan"),
        Command::Stack(args) => return stack::run(args),
        Command::Demo(args) => return demo::run(args),
    }
    Ok(ExitCode::SUCCESS)
}
