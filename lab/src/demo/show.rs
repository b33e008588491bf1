//! The stack inside the lab's box, its ports on the user's loopback, and the table.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::story::Stage;
use super::{Flags, history, news, once, watch};
use crate::interrupt::Interrupt;
use crate::lab::Lab;
use crate::node::COLLECTOR_ACCOUNT;
use crate::stack::Ssh;
use crate::stack::home::Home;
use crate::stack::inner::END;
use crate::stack::plan::{self, Found, Plan, Setting, usual_ports};
use crate::stack::status::{self, State, States};
use crate::stack::table::{Row, render};
use crate::stack::tell;
use crate::stack::tls::Certificates;
use crate::topology::{COLLECTOR_SYSLOG, Link, Topology};

/// Time for everything to become ready; Grafana's first start is the slowest.
const READY: Duration = Duration::from_secs(90);
/// Time between two looks at the states.
const LOOK: Duration = Duration::from_millis(50);
/// Scrape and evaluation interval: a cut must be seen while one watches.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs the stack in `lab` until it is interrupted, or through the scenario.
///
/// # Errors
/// A needed part did not become ready, or the scenario failed.
pub(super) async fn run(
    args: &Flags,
    lab: &Lab,
    found: &Found,
    home: &Home,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let state = folder(lab)?;
    // A folder of its own: it becomes a git repository when somebody changes a device in Grafana.
    let network = state.join("network");
    std::fs::create_dir_all(&network).with_context(|| network.display().to_string())?;
    let inventory = network.join("inventory.yaml");
    std::fs::write(&inventory, lab.inventory_yaml())
        .with_context(|| inventory.display().to_string())?;
    let snmp = lab.snmp_config(&state)?;
    let [key, known_hosts] = lab.ssh_files();
    let ssh = Ssh {
        user: COLLECTOR_ACCOUNT,
        key,
        known_hosts,
    };
    let sensors = lab.sensors();
    let inside = usual_ports();
    let (doors, outside) = plan::doors()?;
    let certificates = Certificates::of(&state.join("tls"));
    let setting = Setting {
        state: &state,
        inventory: &inventory,
        snmp: Some(&snmp),
        ssh: Some(&ssh),
        sensors: &sensors,
        syslog: COLLECTOR_SYSLOG,
        home,
        found,
        inside: &inside,
        outside: &outside,
        forwarded: true,
        certificates: Some(&certificates),
        interval: INTERVAL,
        impatient: true,
        retention: if args.no_history {
            "1d"
        } else {
            history::RETENTION
        },
        show: args.logs,
        doubles: args.once,
    };
    if !args.no_history
        && let Err(error) = history::write(&setting, lab.topology(), interrupt).await
    {
        eprintln!("no demonstration history: {error:#}");
    }
    if interrupt.came() {
        return Ok(ExitCode::from(interrupted(args, interrupt).await));
    }
    let plan = plan::write(&setting)?;
    for line in tell::moved_ports(&setting, &plan) {
        eprintln!("{line}");
    }
    let mut stack = Inner::start(lab, &state, &plan)?;
    let mut forwards = JoinSet::new();
    for half in plan::outer(&state, &plan, doors)? {
        forwards.spawn(half);
    }
    let work = async {
        let states = stack.settle(&plan).await?;
        let stage = Stage::new(args, lab, &setting);
        if args.once {
            return once::run(&stage).await;
        }
        // What was never seen up cannot be seen to go down.
        if let Err(error) = watch::calm(&stage).await {
            eprintln!("{error:#}");
        }
        print!(
            "{}",
            render(
                "SOTP watches a network of routers",
                &tell::rows(&setting, &states).await
            )
        );
        print!(
            "{}",
            render("Things to try, in another terminal", &to_try(args, lab))
        );
        println!(
            "\n  Logs are in {}. Ctrl-C ends all of it and leaves nothing. What happens from now on:\n",
            plan.logs.display()
        );
        let status = tokio::select! {
            status = stack.child.wait() => status?,
            never = news::follow(&setting) => match never {},
        };
        anyhow::bail!(
            "the stack ended by itself with {status}; its logs are in {}",
            plan.logs.display()
        )
    };
    let result = tokio::select! {
        result = work => result.map(|()| ExitCode::SUCCESS),
        code = interrupted(args, interrupt) => Ok(ExitCode::from(code)),
    };
    eprintln!("ending the stack");
    stack.end().await;
    result
}

/// Waits until it is to end, and gives the status for that: a demo that stays ends so as it should, a scenario has proved nothing.
pub(super) async fn interrupted(args: &Flags, interrupt: &Interrupt) -> u8 {
    let code = interrupt.wait().await;
    if args.once { code } else { 0 }
}

/// The folder of the stack, in the lab's own so that it goes with it.
fn folder(lab: &Lab) -> anyhow::Result<PathBuf> {
    let folder = lab.state_dir().join("stack");
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| folder.display().to_string());
        }
        _ => {}
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

fn to_try(args: &Flags, lab: &Lab) -> Vec<Row> {
    let me = std::env::args()
        .next()
        .unwrap_or_else(|| "sotp-lab".to_owned());
    let (name, link) = (&args.name, cut(lab.topology(), &args.link));
    let row = |what: &str, command: String, note: &str| Row::new(what, "", command, note);
    let exec = format!("{me} exec --name {name}");
    let mut rows = vec![
        row("cut a link", format!("{me} break --name {name} {link}"), ""),
        row("heal it", format!("{me} heal --name {name} {link}"), ""),
    ];
    let topology = lab.topology();
    let between = topology.links.iter().find(|link| {
        let ends = [link.a, link.b].map(|end| topology.nodes[end].is_router());
        ends == [true, true] && !link.desired_up
    });
    if let Some(link) = between {
        let [router, peer] = [link.a, link.b].map(|end| &topology.nodes[end].name);
        rows.push(row(
            "set a port down",
            format!("{exec} {router} -- ip link set to-{peer} down"),
            "it is repaired",
        ));
        let config = lab.state_dir().join("ssh_config");
        rows.push(row(
            "change a line",
            format!(
                "{exec} box -- ssh -t -F {} -l alice {router}",
                config.display()
            ),
            "it is a version of hers",
        ));
        rows.push(row(
            "look at a router",
            format!("{exec} {router} -- vtysh -c 'show ip ospf neighbor'"),
            "",
        ));
    }
    rows.push(row(
        "see all of it",
        format!("{me} status --name {name}"),
        "",
    ));
    rows
}

/// The link to cut: the one that was named if there is such a one, else one to a host, so that somebody is missed.
fn cut<'a>(topology: &'a Topology, named: &'a str) -> &'a str {
    let to_host = |link: &&Link| {
        [link.a, link.b]
            .iter()
            .any(|end| !topology.nodes[*end].is_router())
    };
    let links = &topology.links;
    topology
        .link(named)
        .or_else(|| links.iter().rev().find(to_host))
        .or_else(|| links.first())
        .map_or(named, |link| &link.name)
}

/// The inner half of the launcher. It ends when its standard input does.
struct Inner {
    child: Child,
    // Apart from the child, which would close it when it is waited for.
    input: Option<ChildStdin>,
    status: PathBuf,
}

impl Inner {
    fn start(lab: &Lab, state: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let file = state.join("plan.json");
        std::fs::write(&file, serde_json::to_string_pretty(plan)?)
            .with_context(|| file.display().to_string())?;
        let program = std::env::current_exe()?;
        let argv = [
            program.as_os_str(),
            "stack".as_ref(),
            "inner".as_ref(),
            file.as_os_str(),
        ];
        let mut command = Command::from(lab.enter_command(None, &argv)?);
        // Its own process group: a Ctrl-C is for the outer half, which ends things in order.
        let mut child = command
            .stdin(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            input: child.stdin.take(),
            child,
            status: plan.status.clone(),
        })
    }

    /// Waits until all are ready, or those that are not needed have failed.
    async fn settle(&mut self, plan: &Plan) -> anyhow::Result<States> {
        let deadline = Instant::now() + READY;
        let mut states = States::new();
        loop {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the stack ended by itself with {status}");
            }
            if let Some(now) = status::read(&self.status) {
                states = now;
            }
            let is = |name: &String, what: fn(&State) -> bool| states.get(name).is_some_and(what);
            let ready = |name: &String| is(name, |state| matches!(state, State::Ready { .. }));
            let failed = |name: &String| is(name, |state| matches!(state, State::Failed { .. }));
            let lost = plan
                .processes
                .iter()
                .find(|process| process.needed && failed(&process.name));
            let late = Instant::now() > deadline;
            let unready = plan
                .processes
                .iter()
                .find(|process| process.needed && !ready(&process.name));
            if let Some(process) = lost.or(unready.filter(|_| late)) {
                let tail = tail(&plan.logs.join(format!("{}.log", process.name)));
                let why = match states.get(&process.name) {
                    Some(State::Failed { why } | State::Restarting { why }) => why.as_str(),
                    _ => "is not ready in time",
                };
                anyhow::bail!("{} {why}; its last lines:\n{tail}", process.name);
            }
            if late
                || plan
                    .processes
                    .iter()
                    .all(|process| ready(&process.name) || failed(&process.name))
            {
                return Ok(states);
            }
            sleep(LOOK).await;
        }
    }

    /// Ends it in order; by force when it takes too long.
    async fn end(mut self) {
        drop(self.input.take());
        if timeout(END + Duration::from_secs(5), self.child.wait())
            .await
            .is_err()
        {
            let _ = self.child.kill().await;
        }
    }
}

/// The last lines of a log file.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::SHIPPED;

    #[test]
    fn the_hint_names_a_link_of_the_topology() {
        for (name, text) in SHIPPED {
            let topology = Topology::parse(text, name).unwrap();
            let link = cut(&topology, "r3-h2");
            assert!(topology.link(link).is_some(), "{name}: {link}");
            let expected = if name == "triangle" { "r3-h2" } else { link };
            assert_eq!(link, expected);
        }
    }
}
