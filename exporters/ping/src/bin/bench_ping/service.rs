//! Our own binary as a process, measured from outside.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::rig::Rig;

const ADDRESS: &str = "127.0.0.1:19427";
/// Devices of one inventory at most.
const DEVICES: usize = 50_000;

pub(crate) struct Cost {
    pub(crate) millis: f64,
    pub(crate) resident_mb: f64,
    pub(crate) ended: f64,
    pub(crate) missed: f64,
}

pub(crate) struct Truth {
    pub(crate) mean_micros: f64,
    pub(crate) p99_micros: f64,
    pub(crate) losses: f64,
    pub(crate) losses_off: f64,
    pub(crate) duplicates: f64,
    pub(crate) duplicates_off: f64,
}

/// Processor time of a process in milliseconds.
pub(crate) fn cpu_millis(pid: u32) -> anyhow::Result<f64> {
    /// Of `/proc/PID/stat`: `sysconf(_SC_CLK_TCK)` is 100 on Linux.
    const TICK_MILLIS: f64 = 10.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit_once(')').context("stat")?.1;
    let mut fields = after.split_whitespace().skip(11);
    let mut next = || -> anyhow::Result<f64> { Ok(fields.next().context("stat")?.parse()?) };
    Ok((next()? + next()?) * TICK_MILLIS)
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

fn start(folder: &Path, base: Ipv4Addr, targets: usize, interval: &str) -> anyhow::Result<Running> {
    let mut inventory = String::from("devices:\n");
    for number in 0..targets as u32 {
        let address = Ipv4Addr::from(u32::from(base) + number);
        writeln!(
            inventory,
            "- {{name: d{number}, address: {address}, ping: {{interval: {interval}, timeout: 1s}}}}"
        )?;
    }
    let (inventory_file, config) = (folder.join("inventory.yaml"), folder.join("ping.yaml"));
    std::fs::write(&inventory_file, inventory)?;
    // The rig may do what an operator would: room for what arrives between two wake-ups.
    std::fs::write(&config, "sockets: {receive_buffer_bytes: 67108864}\n")?;
    let binary = std::env::current_exe()?.with_file_name("sotp-ping");
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
fn get(path: &str, mut line_of: impl FnMut(&str)) -> anyhow::Result<u16> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut lines = BufReader::with_capacity(1 << 20, stream).lines();
    let status = lines.next().context("no answer")??;
    for line in lines {
        line_of(&line?);
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
        if line.starts_with('#') || line.contains("_bucket{") || !line.starts_with("ping_") {
            return;
        }
        let value: f64 = value.parse().unwrap_or(0.0);
        let name = series.split('{').next().unwrap_or(series);
        if name == "ping_last_rtt_seconds"
            && let Some(device) = series.split('"').nth(1)
        {
            last.insert(device.to_owned(), value * 1e9);
        }
        match sums.get_mut(name) {
            Some(sum) => *sum += value,
            None => _ = sums.insert(name.to_owned(), value),
        }
    })?;
    Ok((sums, last))
}

/// What the service costs on the loopback network at `rate` requests a second.
pub(crate) fn cost(folder: &Path, rate: usize, seconds: u64) -> anyhow::Result<Cost> {
    let targets = rate.min(DEVICES);
    let interval = format!("{}ms", 1_000 * targets / rate);
    let running = start(folder, Ipv4Addr::new(127, 1, 0, 0), targets, &interval)?;
    let pid = running.0.id();
    std::thread::sleep(Duration::from_secs(3));
    let (began, before) = (Instant::now(), cpu_millis(pid)?);
    std::thread::sleep(Duration::from_secs(seconds));
    let spent = cpu_millis(pid)? - before;
    let pings = began.elapsed().as_secs_f64() * rate as f64;
    let resident_mb = resident_mb(pid)?;
    let (sums, _) = scrape()?;
    let of = |name: &str| sums.get(name).copied().unwrap_or(0.0);
    ensure!(of("ping_responses_total") > 0.0, "nothing was answered");
    Ok(Cost {
        millis: spent / pings * 1_000.0,
        resident_mb,
        ended: of("ping_requests_total") - of("ping_in_flight"),
        missed: of("ping_lost_total") + of("ping_errors_total") + of("ping_requests_skipped_total"),
    })
}

/// Round trips beside those of the tap, and losses and duplicates beside those made.
pub(crate) fn against_tap(folder: &Path, targets: usize, seconds: u64) -> anyhow::Result<Truth> {
    let rig = Rig::start()?;
    let base = Ipv4Addr::new(198, 18, 0, 0);
    let running = start(folder, base, targets, "1s")?;
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
