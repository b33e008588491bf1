//! `sotp-lab stack up`: the stack on the user's own network.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::args::Up;
use super::home::Home;
use super::plan::{self, Found, Ports, Setting};
use super::services::{INVENTORY, SNMP};
use super::state::{self, State};
use super::tls::Certificates;
use super::{forward, inner, ports, table, tell};
use crate::demo::news;
use crate::interrupt::Interrupt;

/// Time for everything to become ready; Grafana's first start is the slowest.
const READY: Duration = Duration::from_secs(90);
/// The capability that opens raw sockets (capabilities(7)).
const CAP_NET_RAW: u32 = 13;

/// Checks, starts, tells, stays until SIGINT or SIGTERM, ends.
///
/// # Errors
/// A check failed, or a needed part did not become ready.
pub(crate) async fn run(up: Up) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let found = plan::find(&up.common).await?;
    let home = Home::find(up.common.home.as_deref())?;
    let inventory = std::path::absolute(&up.inventory)?;
    let snmp = up
        .snmp_config
        .as_ref()
        .map(std::path::absolute)
        .transpose()?;
    check_inventory(&found, &inventory).await?;
    if let Some(file) = &snmp {
        check_snmp(&found, file).await?;
    }
    ping_allowed()?;
    let folder = up.state_dir.clone().map_or_else(state::usual, Ok)?;
    let state = State::take(&folder)?;
    let (doors, outside) = plan::doors()?;
    let inside = free_ports(&outside)?;
    let certificates = (!up.no_tls).then(|| Certificates::of(&state.folder().join("tls")));
    let setting = Setting {
        state: state.folder(),
        inventory: &inventory,
        snmp: snmp.as_deref(),
        ssh: None,
        sensors: &[],
        syslog: up.syslog_listen_address,
        home: &home,
        found: &found,
        inside: &inside,
        outside: &outside,
        forwarded: false,
        certificates: certificates.as_ref(),
        interval: Duration::from_secs(up.scrape_interval),
        impatient: false,
        retention: &up.retention,
        show: up.logs,
        doubles: false,
    };
    let plan = plan::write(&setting)?;
    for line in tell::moved_ports(&setting, &plan) {
        eprintln!("{line}");
    }
    let mut forwards = JoinSet::new();
    for entry in &plan.forwards {
        let half = forward::inner(entry).with_context(|| entry.socket.display().to_string())?;
        forwards.spawn(half);
    }
    for half in plan::outer(state.folder(), &plan, doors)? {
        forwards.spawn(half);
    }
    let supervisor = inner::start(&plan)?;
    let show = async {
        let states = supervisor.ready(READY).await?;
        print!(
            "{}",
            table::render(
                "SOTP watches your network",
                &tell::rows(&setting, &states).await
            )
        );
        println!(
            "\n  Logs and data are in {}. Ctrl-C ends all of it. What happens from now on:\n",
            state.folder().display()
        );
        anyhow::Ok(())
    };
    let result = tokio::select! {
        result = async { show.await?; match news::follow(&setting).await {} } => result,
        _ = interrupt.wait() => Ok(()),
    };
    supervisor.end(inner::END).await;
    result.map(|()| ExitCode::SUCCESS)
}

/// A free port for everything that listens behind its door, away from the ports that people know.
fn free_ports(doors: &Ports) -> anyhow::Result<Ports> {
    let mut free = Ports::new();
    for (name, usual) in plan::usual_ports() {
        let wanted = if usual < 10_000 {
            usual + 10_000
        } else {
            usual + 5_000
        };
        let taken: Vec<u16> = free.values().chain(doors.values()).copied().collect();
        let port = ports::free(wanted, &taken)
            .with_context(|| format!("no free port for {name} near {wanted}"))?;
        free.insert(name, port);
    }
    Ok(free)
}

/// Asks our inventory service whether the file is one.
async fn check_inventory(found: &Found, file: &Path) -> anyhow::Result<()> {
    // Reading it first gives the shortest error for the commonest mistake.
    std::fs::File::open(file).with_context(|| format!("inventory {}", file.display()))?;
    let source = format!("--inventory.source={}", file.display());
    check(found, INVENTORY, &source, "the inventory").await
}

/// Asks our SNMP exporter whether the file is one of its configurations.
async fn check_snmp(found: &Found, file: &Path) -> anyhow::Result<()> {
    std::fs::File::open(file).with_context(|| format!("SNMP configuration {}", file.display()))?;
    let config = format!("--config.file={}", file.display());
    check(found, SNMP, &config, "the SNMP configuration").await
}

/// Asks `service` whether it accepts `what`, which `argument` names.
async fn check(found: &Found, service: &str, argument: &str, what: &str) -> anyhow::Result<()> {
    let (_, program) = found
        .services
        .iter()
        .find(|(one, _)| one.name == service)
        .with_context(|| format!("no {service} in the table"))?;
    let check = Command::new(program)
        .arg(argument)
        .arg("--config.check")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(20), check)
        .await
        .with_context(|| format!("the check of {what} does not end"))??;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{what} is refused:\n{}",
        said.trim_end()
    );
    Ok(())
}

/// Whether this user may send ICMP echoes: by group (icmp(7), `ping_group_range`) or by capability.
fn ping_allowed() -> anyhow::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
    if may_ping(&range, &status) {
        return Ok(());
    }
    anyhow::bail!(
        "this user may not send pings (net.ipv4.ping_group_range is {:?}); allow it with\n  \
         sudo sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"",
        range.trim().replace('\t', " ")
    )
}

fn may_ping(range: &str, status: &str) -> bool {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let effective = field("CapEff:")
        .and_then(|caps| u64::from_str_radix(caps.trim(), 16).ok())
        .unwrap_or(0);
    if effective & (1 << CAP_NET_RAW) != 0 {
        return true;
    }
    let mut bounds = range
        .split_whitespace()
        .filter_map(|bound| bound.parse::<u64>().ok());
    let (Some(low), Some(high)) = (bounds.next(), bounds.next()) else {
        return false;
    };
    // The second of the four is the effective group.
    let gid = field("Gid:").and_then(|gids| gids.split_whitespace().nth(1));
    let groups = field("Groups:").into_iter().flat_map(str::split_whitespace);
    gid.into_iter()
        .chain(groups)
        .filter_map(|gid| gid.parse().ok())
        .any(|gid: u64| (low..=high).contains(&gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_allowed_by_group_or_by_capability() {
        let status = |gid: &str, groups: &str, caps: &str| {
            format!("Name:\tx\nGid:\t7\t{gid}\t7\t7\nGroups:\t{groups}\nCapEff:\t{caps}\n")
        };
        let none = "0000000000000000";
        assert!(
            !may_ping("1\t0\n", &status("1000", "27 1000", none)),
            "the kernel's default allows nobody"
        );
        assert!(may_ping("0\t2147483647\n", &status("1000", "", none)));
        assert!(
            may_ping("27\t27\n", &status("1000", "27 1000", none)),
            "a supplementary group is enough"
        );
        assert!(
            !may_ping("7\t7\n", &status("1000", "1000", none)),
            "the real group is not"
        );
        assert!(may_ping("1\t0\n", &status("0", "", "0000000000002000")));
        assert!(!may_ping("", ""));
    }
}
