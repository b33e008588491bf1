//! Our own binary as a process, measured from outside.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::rig::Rig;

const ADDRESS: &str = "127.0.0.1:19427";
/// Devices of one inventory at most.
const DEVICES: usize = 50_000;

pub(crate) struct Cost {
    pub(crate) millis: f64,
    /// What of it was not the threads that probe.
    pub(crate) beside_millis: f64,
    pub(crate) resident_mb: f64,
    pub(crate) ended: f64,
    pub(crate) missed: f64,
    pub(crate) skipped: f64,
    pub(crate) stamped_percent: f64,
}

pub(crate) struct Truth {
    pub(crate) mean_micros: f64,
    pub(crate) p99_micros: f64,
    pub(crate) losses: f64,
    pub(crate) losses_off: f64,
    pub(crate) duplicates: f64,
    pub(crate) duplicates_off: f64,
}

/// Processor time of the threads of a process in milliseconds.
pub(crate) fn cpu_millis(pid: u32) -> anyhow::Result<f64> {
    let (probing, beside) = cpu_parts(pid)?;
    Ok(probing + beside)
}

/// The same, of the threads that probe and of the others. The scheduler's own account in nanoseconds: how the kernel tells user space from
/// itself is a guess made at each tick of its clock, which is wrong for a thread that wakes by that clock.
fn cpu_parts(pid: u32) -> anyhow::Result<(f64, f64)> {
    let (mut probing, mut beside) = (0.0, 0.0);
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.path();
        // One that has ended meanwhile is left out.
        let name = std::fs::read_to_string(thread.join("comm"));
        let times = std::fs::read_to_string(thread.join("schedstat"));
        let (Ok(name), Ok(times)) = (name, times) else {
            continue;
        };
        let nanos = times.split(' ').next().context("schedstat")?;
        let millis = nanos.parse::<f64>()? / 1e6;
        match name.starts_with("ping-engine") {
            true => probing += millis,
            false => beside += millis,
        }
    }
    Ok((probing, beside))
}

/// Echo requests that left this network namespace, of both families.
fn echoes() -> anyhow::Result<f64> {
    let v4 = std::fs::read_to_string("/proc/thread-self/net/snmp")?;
    let mut types = v4.lines().filter(|line| line.starts_with("IcmpMsg:"));
    let columns = types.next().zip(types.next());
    let (names, values) = columns.unwrap_or_default();
    let mut columns = names.split(' ').zip(values.split(' '));
    let v4 = columns.find(|(name, _)| *name == "OutType8");
    let v6 = std::fs::read_to_string("/proc/thread-self/net/snmp6")?;
    let v6 = v6
        .lines()
        .find_map(|line| line.strip_prefix("Icmp6OutType128 "));
    let v4: f64 = v4.map_or(Ok(0.0), |(_, value)| value.parse())?;
    let v6: f64 = v6.map_or(Ok(0.0), |value| value.trim().parse())?;
    Ok(v4 + v6)
}

fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.context("VmRSS")?.parse::<f64>()? / 1024.0)
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The service with so many devices, each of one or both families.
fn start(
    folder: &Path,
    base: Ipv4Addr,
    targets: usize,
    families: usize,
    interval: &str,
) -> anyhow::Result<Running> {
    let mut inventory = String::from("devices:\n");
    for number in 0..targets as u32 {
        let address = Ipv4Addr::from(u32::from(base) + number);
        let six = match families {
            1 => String::new(),
            _ => format!(
                ", ipv6: 'fd00:5074::{:x}:{:x}'",
                number >> 16,
                number & 0xffff
            ),
        };
        writeln!(
            inventory,
            "- {{name: d{number}, addresses: {{ipv4: {address}{six}}}, ping: {{interval: {interval}, timeout: 1s}}}}"
        )?;
    }
    let (inventory_file, config) = (folder.join("inventory.yaml"), folder.join("ping.yaml"));
    std::fs::write(&inventory_file, inventory)?;
    // The rig may do what an operator would: room for what arrives between two wake-ups.
    std::fs::write(&config, "sockets: {receive_buffer_bytes: 67108864}\n")?;
    let examples = std::env::current_exe()?;
    let built = examples.ancestors().nth(2).context("no folder above")?;
    let binary = built.join("sotp-ping");
    let child = Command::new(&binary)
        .arg(format!("--inventory.source={}", inventory_file.display()))
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--web.listen-address={ADDRESS}"))
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| binary.display().to_string())?;
    let running = Running(child);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !get("/-/ready", |_| {}).is_ok_and(|status| status == 200) {
        ensure!(Instant::now() < deadline, "the service is not ready");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(running)
}

/// Reads a page line by line; answers the status.
fn get(path: &str, line_of: impl FnMut(&str)) -> anyhow::Result<u16> {
    get_with(path, "", line_of)
}

fn get_with(path: &str, header: &str, mut line_of: impl FnMut(&str)) -> anyhow::Result<u16> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    write!(stream, "GET {path} HTTP/1.0\r\n{header}\r\n")?;
    let mut lines = BufReader::with_capacity(1 << 20, stream).split(b'\n');
    let status = String::from_utf8(lines.next().context("no answer")??)?;
    for line in lines {
        line_of(&String::from_utf8_lossy(&line?));
    }
    Ok(status.split(' ').nth(1).context("no status")?.parse()?)
}

/// Sums of the families and the last round trip of each device in nanoseconds.
fn scrape() -> anyhow::Result<(HashMap<String, f64>, HashMap<String, f64>)> {
    let (mut sums, mut last) = (HashMap::new(), HashMap::new());
    get("/metrics", |line| {
        let Some((series, value)) = line.rsplit_once(' ') else {
            return;
        };
        if line.starts_with('#') || line.contains("_bucket{") || !line.starts_with(['p', 's']) {
            return;
        }
        let value: f64 = value.parse().unwrap_or(0.0);
        let name = series.split('{').next().unwrap_or(series);
        if name == "ping_last_rtt_seconds"
            && let Some(device) = series.split('"').nth(1)
        {
            last.insert(device.to_owned(), value * 1e9);
        }
        if series == "ping_timestamps_total{source=\"kernel\"}" {
            sums.insert("kernel stamps".to_owned(), value);
        }
        match sums.get_mut(name) {
            Some(sum) => *sum += value,
            None => _ = sums.insert(name.to_owned(), value),
        }
    })?;
    Ok((sums, last))
}

/// Where the targets are.
pub(crate) enum Network {
    /// The kernel answers, in the time of the thread that asks.
    Loopback,
    /// Another process answers, behind a device.
    Tun,
}

/// What the service costs at `rate` targets a second: IPv4, and IPv6 of the same devices where they are too many.
pub(crate) fn cost(
    folder: &Path,
    network: &Network,
    rate: usize,
    seconds: u64,
) -> anyhow::Result<Cost> {
    let devices = rate.min(DEVICES);
    let base = match network {
        Network::Loopback => Ipv4Addr::new(127, 1, 0, 0),
        Network::Tun => Ipv4Addr::new(198, 18, 0, 0),
    };
    let running = start(folder, base, devices, rate / devices, "1s")?;
    let pid = running.0.id();
    std::thread::sleep(Duration::from_secs(3));
    // What a scrape costs is no part of what a ping costs, so that it is outside; the kernel says how many were made.
    let (before, made) = (cpu_parts(pid)?, echoes()?);
    std::thread::sleep(Duration::from_secs(seconds));
    let (after, thousands) = (cpu_parts(pid)?, (echoes()? - made) / 1e3);
    let resident_mb = resident_mb(pid)?;
    let sums = scrape()?.0;
    let of = |name: &str| sums.get(name).copied().unwrap_or(0.0);
    let responses = of("ping_responses_total");
    ensure!(responses > 0.0, "nothing was answered");
    Ok(Cost {
        millis: (after.0 + after.1 - before.0 - before.1) / thousands,
        beside_millis: (after.1 - before.1) / thousands,
        resident_mb,
        ended: of("ping_requests_total") - of("ping_in_flight"),
        missed: of("ping_lost_total") + of("ping_errors_total"),
        skipped: of("ping_requests_skipped_total"),
        // The page is not of one moment: what is answered meanwhile is stamped too.
        stamped_percent: (of("kernel stamps") / responses * 100.0).min(100.0),
    })
}

/// Threads that do nothing but use processor time, ended when dropped.
pub(crate) struct Busy(Arc<AtomicBool>);

impl Busy {
    pub(crate) fn start(loops: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..loops {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) struct Reload {
    pub(crate) change_millis: f64,
    pub(crate) parse_millis: f64,
    pub(crate) skipped: f64,
}

/// An inventory in which each of `targets` has changed.
pub(crate) fn reload(folder: &Path, targets: usize) -> anyhow::Result<Reload> {
    let _running = start(folder, Ipv4Addr::new(127, 1, 0, 0), targets, 1, "1s")?;
    std::thread::sleep(Duration::from_secs(2));
    let of =
        |name: &str| -> anyhow::Result<f64> { Ok(scrape()?.0.get(name).copied().unwrap_or(0.0)) };
    let file = folder.join("inventory.yaml");
    let text = std::fs::read_to_string(&file)?.replace("timeout: 1s", "timeout: 1100ms");
    let began = Instant::now();
    inventory::Inventory::parse(&text, &file).map_err(|error| anyhow::anyhow!("{error}"))?;
    let parse_millis = began.elapsed().as_secs_f64() * 1e3;
    let (changes, skipped) = (
        of("sotp_inventory_source_changes_total")?,
        of("ping_requests_skipped_total")?,
    );
    std::fs::write(&file, text)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while of("sotp_inventory_source_changes_total")? == changes {
        ensure!(Instant::now() < deadline, "the inventory is not taken over");
        std::thread::sleep(Duration::from_millis(300));
    }
    std::thread::sleep(Duration::from_secs(2));
    Ok(Reload {
        change_millis: of("ping_targets_change_seconds")? * 1e3,
        parse_millis,
        skipped: of("ping_requests_skipped_total")? - skipped,
    })
}

/// Processor time in milliseconds of one scrape of so many targets that are quiet, with gzip.
pub(crate) fn scrape_millis(folder: &Path, targets: usize) -> anyhow::Result<f64> {
    const SCRAPES: usize = 20;
    let running = start(folder, Ipv4Addr::new(127, 1, 0, 0), targets, 1, "1h")?;
    std::thread::sleep(Duration::from_secs(2));
    let before = cpu_millis(running.0.id())?;
    for _ in 0..SCRAPES {
        get_with("/metrics", "Accept-Encoding: gzip\r\n", |_| {})?;
    }
    Ok((cpu_millis(running.0.id())? - before) / SCRAPES as f64)
}

/// Round trips beside those of the tap, and losses and duplicates beside those made.
pub(crate) fn against_tap(folder: &Path, targets: usize, seconds: u64) -> anyhow::Result<Truth> {
    let rig = Rig::start()?;
    let base = Ipv4Addr::new(198, 18, 0, 0);
    let running = start(folder, base, targets, 1, "1s")?;
    std::thread::sleep(Duration::from_secs(seconds));
    // From now on one request an hour: what is on its way ends and the counters stand still.
    let file = folder.join("inventory.yaml");
    let slower = std::fs::read_to_string(&file)?.replace("interval: 1s", "interval: 1h");
    std::fs::write(&file, slower)?;
    std::thread::sleep(Duration::from_secs(5));
    let (sums, last) = scrape()?;
    drop(running);
    let seen = rig.end()?;
    let of = |name: &str| sums.get(name).copied().unwrap_or(0.0);
    let mut off: Vec<f64> = (0..targets as u32)
        .filter_map(|number| {
            let address = Ipv4Addr::from(u32::from(base) + number).octets();
            Some((last.get(&format!("d{number}"))? - *seen.last.get(&address)? as f64) / 1e3)
        })
        .collect();
    ensure!(
        off.len() > targets / 2,
        "the tap saw {} of {targets} targets",
        off.len()
    );
    let mean = off.iter().sum::<f64>() / off.len() as f64;
    off.iter_mut().for_each(|micros| *micros = micros.abs());
    off.sort_by(f64::total_cmp);
    let p99 = off
        .get(off.len() * 99 / 100)
        .copied()
        .context("no round trip")?;
    Ok(Truth {
        mean_micros: mean,
        p99_micros: p99,
        losses: seen.dropped as f64,
        losses_off: of("ping_lost_total") + of("ping_errors_total") - seen.dropped as f64,
        duplicates: seen.doubled as f64,
        duplicates_off: of("ping_duplicate_responses_total") - seen.doubled as f64,
    })
}
