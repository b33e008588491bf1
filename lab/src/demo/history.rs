//! Weeks of history for the network of a demonstration, so that forecasts, capacity and reports have something to tell.

use std::path::{Path, PathBuf};

use crate::interrupt::Interrupt;
use anyhow::Context;
use history::{Device, End, Instances, Link, Network, Period, Stream};

use crate::stack::plan::{Ports, Setting};
use crate::stack::programs::on_path;
use crate::topology::{self, Topology};

/// How long Prometheus keeps it: longer than the longest history, 92 days, and not so long that its blocks are made anew.
pub(super) const RETENTION: &str = "100d";
/// What the kernel says of the speed of a link within one machine, in Mbit/s.
const SPEED: u32 = 10_000;
/// What the headers add to what a stream carries.
const ON_THE_WIRE: f64 = 1.03;
/// The platform of a node in the lab's inventory.
const PLATFORM: [&str; 2] = ["linux", "frr"];

/// Writes it into Prometheus' data folder, before Prometheus is started, and says so.
///
/// # Errors
/// There is no promtool, or it could not make the blocks.
pub(super) async fn write(
    setting: &Setting<'_>,
    topology: &Topology,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let promtool = promtool(&setting.found.prometheus.path)
        .context("no promtool beside Prometheus or on PATH")?;
    let (data, scratch) = (setting.state.join("prometheus"), scratch());
    for folder in [&data, &scratch] {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let network = network(topology, setting.inside);
    let period = Period::until(jiff::Timestamp::now());
    let begun = std::time::Instant::now();
    let (folder, interrupt) = (scratch.clone(), interrupt.clone());
    let written = tokio::task::spawn_blocking(move || {
        history::write(&network, period, &promtool, &data, &folder, || {
            interrupt.came()
        })
    })
    .await;
    // Should it stay, it lies where the system sweeps.
    let _ = std::fs::remove_dir_all(&scratch);
    let summary = written??;
    eprintln!(
        "demonstration history: {} series, {:.1} million samples of the last {} days, written in {:.1} s",
        summary.series,
        summary.samples as f64 / 1e6,
        (period.to - period.from) / 86_400,
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// A folder for texts of some hundred megabytes, apart from the state, which often lies in memory.
fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("sotp-history-{}", std::process::id()))
}

fn promtool(prometheus: &Path) -> Option<PathBuf> {
    let beside = prometheus.with_file_name("promtool");
    if beside.is_file() {
        Some(beside)
    } else {
        on_path("promtool")
    }
}

/// The network as its services will tell of it.
fn network(topology: &Topology, ports: &Ports) -> Network {
    let nodes = topology.nodes.iter();
    let devices = nodes.map(|node| Device {
        name: node.name.clone(),
        site: node.site.clone(),
        role: node.role.clone(),
        platform: PLATFORM[usize::from(node.is_router())].to_owned(),
        address: node.loopback.to_string(),
        snmp: node.is_router(),
    });
    // An interface's number: the loopback has 1, then they are made in the order of the links.
    let mut numbers = vec![1; topology.nodes.len()];
    let mut end = |own: usize, peer: usize| {
        numbers[own] += 1;
        End {
            device: own,
            interface: topology::interface_name(&topology.nodes[peer].name),
            index: numbers[own],
        }
    };
    let links = topology.links.iter().map(|link| Link {
        ends: [end(link.a, link.b), end(link.b, link.a)],
        speed: link.speed.unwrap_or(SPEED),
        cost: u32::from(link.cost),
    });
    let links = links.collect();
    let streams = topology.traffic.iter().map(|stream| Stream {
        from: stream.from,
        to: stream.to,
        bits_per_second: f64::from(stream.kbit_per_second) * 1_000.0 * ON_THE_WIRE,
    });
    let instance = |name: &str| format!("127.0.0.1:{}", ports[name]);
    Network {
        devices: devices.collect(),
        links,
        streams: streams.collect(),
        instances: Instances {
            ping: instance("sotp-ping"),
            inventory: instance("sotp-inventory"),
        },
    }
}
