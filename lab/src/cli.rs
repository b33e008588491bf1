//! The command line: one subcommand for each thing a person does with a lab.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::interrupt::Interrupt;
use crate::topology::{SHIPPED, Shape, Topology};
use crate::{demo, inside, lab, sensors, stack, traffic};

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
    /// Cut a link as a cable is cut, shut its ports, or make it slow or lossy.
    Break(Break),
    /// Restore one link, or all.
    Heal(Heal),
    /// Print an inventory of the running lab.
    Inventory(Name),
    /// List the topologies that come with this program.
    Topologies,
    /// Send or receive the test stream between two hosts.
    Traffic(traffic::Args),
    /// Publish temperatures as Tasmota's sensors do.
    #[command(hide = true)]
    Sensors(sensors::Args),
    /// What the lab starts itself with.
    #[command(subcommand, hide = true)]
    Inside(inside::Inside),
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
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    deadline: u64,
    /// How links with delay and loss are made: by the kernel's netem where it has it, or always in user space.
    #[arg(long, value_enum, default_value = "auto")]
    links: Links,
    /// Stay, and end the lab when this process ends in whatever way.
    #[arg(long)]
    foreground: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Links {
    Auto,
    Tun,
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
    /// Do not cut the cable, so that both ports report down, but set both ports administratively down, as somebody with a login would.
    #[arg(long, conflicts_with_all = ["delay", "loss"])]
    shut: bool,
    /// Do not cut it, but delay each packet by this many milliseconds, each way.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(..=5_000))]
    delay: Option<u32>,
    /// Do not cut it, but lose this share of packets, each way, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    loss: Option<f64>,
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

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("expected 0 to 100".to_owned()),
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => up(args)?,
        Command::Down(name) => lab::down(&name.name)?,
        Command::Status(status) => {
            let lab = lab::Lab::open(&status.name.name)?;
            if status.json {
                println!("{:#}", lab.status_json()?);
            } else {
                print!("{}", lab.status_table()?);
            }
        }
        Command::Exec(exec) => return run_in(&exec),
        Command::Break(args) => cut(&args)?,
        Command::Heal(heal) => lab::Lab::open(&heal.name.name)?.heal(heal.link.as_deref())?,
        Command::Inventory(name) => print!("{}", lab::Lab::open(&name.name)?.inventory_yaml()),
        Command::Topologies => {
            for (name, text) in SHIPPED {
                println!("{name:10} {}", Topology::parse(text, name)?.title);
            }
        }
        Command::Traffic(args) => traffic::run(&args)?,
        Command::Sensors(args) => sensors::run(args)?,
        Command::Inside(inside) => return inside::run(inside),
        Command::Stack(args) => return stack::run(args),
        Command::Demo(args) => return demo::run(args),
    }
    Ok(ExitCode::SUCCESS)
}

fn up(args: Up) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let options = lab::Options {
        name: args.name.name,
        topology: args.topology,
        deadline: Duration::from_secs(args.deadline),
        life: if args.foreground {
            lab::Life::Attached
        } else {
            lab::Life::Detached
        },
        user_space_links: args.links == Links::Tun,
        interrupt: interrupt.clone(),
    };
    let lab = lab::up(&options)?;
    print!("{}", lab.status_table()?);
    if args.foreground {
        lab.wait(&interrupt)?;
    }
    Ok(())
}

/// Exit status is the command's own, or 128 and the number of the signal that ended it, as shells have it.
fn run_in(exec: &Exec) -> anyhow::Result<ExitCode> {
    let node = (exec.node != "box").then_some(exec.node.as_str());
    let status = lab::Lab::open(&exec.name.name)?
        .enter_command(node, &exec.argv)?
        .status()?;
    let code = status
        .code()
        .or_else(|| Some(128 + status.signal()?))
        .unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn cut(args: &Break) -> anyhow::Result<()> {
    let lab = lab::Lab::open(&args.name.name)?;
    if args.shut {
        return Ok(lab.shut_link(&args.link)?);
    }
    if args.delay.is_none() && args.loss.is_none() {
        return Ok(lab.break_link(&args.link)?);
    }
    Ok(lab.shape_link(&args.link, |now| Shape {
        delay: args
            .delay
            .map_or(now.delay, |ms| Duration::from_millis(ms.into())),
        loss: args.loss.map_or(now.loss, |percent| percent / 100.0),
        ..now
    })?)
}
