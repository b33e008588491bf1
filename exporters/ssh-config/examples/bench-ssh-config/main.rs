//! What the collection of a configuration costs, beside netmiko, scrapli and RANCID on the same farm, and what the archive does with many versions.
//!
//! `bench-ssh-config --service PROGRAM [--only PART] [--devices 2000] [--many 10000] [--seconds 20] [--versions 100000]`. The parts are `collect`, `many` and `archive`. The farm is in this process: each device thinks for 100 ms
//! about every command and has a configuration of 60 kB. No device is logged in to more than once a second, so that it takes more devices than the rate that is
//! looked for; netmiko, which goes through them once, gets a thousand of them. Ours is measured cold, a login for each collection as the others make it, and with kept sessions. netmiko and
//! scrapli are installed from PyPI into `target/bench/python`, RANCID is unpacked from Debian's packages; without them their columns stay empty.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark"
)]

mod archive;
mod peers;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use testkit::ssh::{Device, Running};
use testkit::{Figures, Goal};
use testkit::{Spawn, TempDir};

/// How long a device thinks about each command.
const THINK: Duration = Duration::from_millis(100);
/// How often the page of metrics is read.
const SCRAPE: Duration = Duration::from_secs(15);

struct Asked {
    service: String,
    /// The part that is measured; empty for all of them.
    only: String,
    devices: usize,
    /// Devices of the measurement of memory; none leaves it out.
    many: usize,
    seconds: u64,
    versions: usize,
}

fn asked() -> anyhow::Result<Asked> {
    let mut asked = Asked {
        service: String::new(),
        only: String::new(),
        devices: 2000,
        many: 10_000,
        seconds: 20,
        versions: 100_000,
    };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args
            .next()
            .with_context(|| format!("{flag} without a value"))?;
        match flag.as_str() {
            "--service" => asked.service = value,
            "--only" => asked.only = value,
            "--devices" => asked.devices = value.parse()?,
            "--many" => asked.many = value.parse()?,
            "--seconds" => asked.seconds = value.parse()?,
            "--versions" => asked.versions = value.parse()?,
            _ => anyhow::bail!("{flag} is not known"),
        }
    }
    anyhow::ensure!(!asked.service.is_empty(), "--service PROGRAM is missing");
    let parts = ["", "collect", "many", "archive"];
    anyhow::ensure!(
        parts.contains(&&*asked.only),
        "expected --only collect, many or archive"
    );
    Ok(asked)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let asked = asked()?;
    let mut figures = Figures::default();
    let config = configuration();
    let farm = Device::new("r1", "sotp", "bench")
        .end("#")
        .at([0, 0, 0, 0].into())
        .think(THINK)
        .answer("show running-config", &config)
        .answer("write term", &config)
        .answer(
            "show version",
            "FRRouting 8.4.4 (r1) on Linux(6.1.0).\nmore\n",
        )
        .answer("terminal width 511", "")
        .answer("terminal width 512", "")
        .start()
        .await?;
    let wanted = |part: &str| asked.only.is_empty() || asked.only == part;
    if wanted("collect") {
        collect(&asked, &farm, &mut figures).await?;
    }
    if wanted("many") {
        let many = ours(&asked, asked.many, &farm, "0s").await?;
        let memory = format!("resident memory with {} devices, MiB", asked.many);
        figures.add(&memory, many.memory, None, Some(Goal::AtMost(300.0)));
        let peak = format!("the most of it with {} devices, MiB", asked.many);
        figures.add(&peak, many.peak, None, Some(Goal::AtMost(300.0)));
        let first = format!("first versions per second of {} devices", asked.many);
        figures.add(&first, many.first, None, None);
        let rate = format!("devices per second of {}", asked.many);
        figures.add(&rate, many.rate, None, None);
    }
    if wanted("archive") {
        archive::measure(asked.versions, &mut figures)?;
    }
    figures.finish(Path::new("target/bench/ssh-config.json"))?;
    figures.judge()
}

/// Every device again and again, by us and by the peers.
async fn collect(asked: &Asked, farm: &Running, figures: &mut Figures) -> anyhow::Result<()> {
    let cold = ours(asked, asked.devices, farm, "0s").await?;
    let kept = ours(asked, asked.devices, farm, "1h").await?;
    figures.add("devices", asked.devices as f64, None, None);
    for (how, found) in [("", &cold), (", kept sessions", &kept)] {
        figures.add(&format!("devices per second{how}"), found.rate, None, None);
        figures.add(
            &format!("processor per device{how}, ms"),
            found.cpu,
            None,
            None,
        );
        figures.add(
            &format!("resident memory{how}, MiB"),
            found.memory,
            None,
            None,
        );
    }
    let python = peers::python(Path::new("target/bench/python"));
    for (peer, devices) in [("netmiko", 1000), ("scrapli", 200), ("rancid", 40)] {
        let devices = asked.devices.min(devices);
        let python = python.as_ref();
        let found = python
            .map_err(|error| anyhow::anyhow!("{error:#}"))
            .and_then(|python| peers::run(python, peer, farm.address.port(), devices));
        let name = format!("{peer} on {devices}");
        match found {
            Ok(found) => beside(figures, &name, &found, [&cold, &kept]),
            Err(error) => println!("{name} is left out: {error:#}"),
        }
    }
    Ok(())
}

/// Puts what a peer needed beside what we did. The goals are those of kept sessions beside netmiko.
fn beside(figures: &mut Figures, peer: &str, found: &Found, ours: [&Found; 2]) {
    let netmiko = peer.starts_with("netmiko");
    for (kept, ours) in [false, true].into_iter().zip(ours) {
        let how = if kept { ", kept sessions" } else { "" };
        let goal = || (kept && netmiko).then_some(Goal::Times(10.0));
        let name = |what: &str| format!("{what} per device beside {peer}{how}, ms");
        figures.add(
            &name("processor"),
            ours.cpu,
            Some((peer, found.cpu)),
            goal(),
        );
        // Time for each device, as less is better where there is a peer.
        let time = [ours, found].map(|own| 1000.0 / own.rate);
        figures.add(&name("time"), time[0], Some((peer, time[1])), goal());
    }
}

/// 60 kB in the form of FRR.
fn configuration() -> String {
    let mut text = String::from(
        "Building configuration...\n\nCurrent configuration:\n!\nhostname r1\nlog syslog informational\nlog commands\n!\n",
    );
    for number in 0.. {
        if text.len() > 60_000 {
            break;
        }
        text += &format!(
            "interface eth{number}\n description to r{number}\n ip address 198.18.{}.{}/30\n ip ospf message-digest-key 1 md5 s3cret{number}\nexit\n!\n",
            number / 256,
            number % 256
        );
    }
    text + "end\n"
}

struct Found {
    rate: f64,
    cpu: f64,
    memory: f64,
    /// The most memory that it had.
    peak: f64,
    /// Devices per second until each had its first version.
    first: f64,
}

/// The service on the farm: each device again and again, as soon as its turn comes; sessions are kept for a time.
async fn ours(asked: &Asked, devices: usize, farm: &Running, keep: &str) -> anyhow::Result<Found> {
    let dir = TempDir::new()?;
    let port = farm.address.port();
    let (mut inventory, mut known) = (String::from("devices:\n"), String::new());
    let key = farm
        .known_host
        .split_once(' ')
        .context("a line of known_hosts")?
        .1
        .to_owned();
    for number in 0..devices {
        let address = format!("127.1.{}.{}", number / 250, number % 250 + 1);
        inventory += &format!(
            "- {{name: d{number}, address: {address}, platform: frr, ssh: {{port: {port}, credentials: bench}}}}\n"
        );
        known += &format!("[{address}]:{port} {key}");
    }
    dir.write("inventory.yaml", inventory)?;
    dir.write("known_hosts", known)?;
    dir.write("password", "bench\n")?;
    let keep = format!("keep_sessions: {keep}\nkept_sessions_most: {devices}\n");
    dir.write("ssh-config.yaml", keep + "every: 1s\nparallel: 500\nlogins_per_minute: 60000\nlogins_per_device_hour: 3600\nhost_keys: {file: known_hosts}\ncredentials: [{name: bench, user: sotp, password_file: password, everywhere: true}]\n")?;
    let at = |name: &str| dir.join(name).display().to_string();
    let process = Spawn::new(&asked.service)
        .args([
            format!("--config.file={}", at("ssh-config.yaml")),
            format!("--inventory.source={}", at("inventory.yaml")),
        ])
        .start()
        .await?;
    let collected = || {
        farm.typed()
            .iter()
            .filter(|line| *line == "show running-config")
            .count()
    };
    // As Prometheus asks, though what it is told is not looked at here.
    let url = process.url("/metrics");
    let scraped = tokio::spawn(async move {
        let client = testkit::client();
        loop {
            let asked = client.get(&url).header("accept-encoding", "gzip");
            if let Ok(answer) = asked.send().await {
                let _ = answer.bytes().await;
            }
            tokio::time::sleep(SCRAPE).await;
        }
    });
    // Every device once: the first version is written.
    let began = Instant::now();
    let until = began + Duration::from_secs(60 + devices as u64 / 5);
    let state = dir.join("ssh-config/state.json");
    loop {
        let good = std::fs::read_to_string(&state).map_or(0, |text| versions(&text));
        if good == devices {
            break;
        }
        let log = process.log();
        let log: Vec<&str> = log.lines().rev().take(5).collect();
        anyhow::ensure!(
            Instant::now() < until,
            "{good} of {devices} devices: {log:#?}"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let first = began.elapsed().as_secs_f64();
    let (count, before, began) = (collected(), Used::of(process.pid())?, Instant::now());
    tokio::time::sleep(Duration::from_secs(asked.seconds)).await;
    let (count, after) = (collected() - count, Used::of(process.pid())?);
    scraped.abort();
    anyhow::ensure!(count > 0, "nothing was collected");
    Ok(Found {
        rate: count as f64 / began.elapsed().as_secs_f64(),
        cpu: (after.seconds - before.seconds) * 1000.0 / count as f64,
        memory: after.memory,
        peak: after.peak,
        first: devices as f64 / first,
    })
}

/// Devices of a file of the service's state that were collected well.
fn versions(text: &str) -> usize {
    let state: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let devices = state["devices"].as_object();
    let good = |device: &serde_json::Value| device["success"].is_number();
    devices.map_or(0, |devices| {
        devices.values().filter(|own| good(own)).count()
    })
}

/// What a process used so far.
struct Used {
    /// Of the processor.
    seconds: f64,
    /// Resident memory now and at most, MiB.
    memory: f64,
    peak: f64,
}

impl Used {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, stat) = stat.rsplit_once(')').context("a name in brackets")?;
        let ticks = stat.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.filter_map(|word| word.parse::<f64>().ok()).sum();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let mib = |name: &str| -> anyhow::Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.split_whitespace().next());
            Ok(kib.context("a size")?.parse::<f64>()? / 1024.0)
        };
        Ok(Self {
            // A hundredth of a second each, whatever the kernel's own is.
            seconds: ticks / 100.0,
            memory: mib("VmRSS:")?,
            peak: mib("VmHWM:")?,
        })
    }
}
