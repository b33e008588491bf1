//! What the collection of a configuration costs, beside netmiko and scrapli on the same farm, and what the archive does with many versions.
//!
//! `bench-ssh-config --service PROGRAM [--devices 1000] [--seconds 20] [--versions 100000]`. The farm is in this process: each device thinks for 100 ms about every
//! command and has a configuration of 60 kB. netmiko and scrapli are installed from PyPI into `target/bench/python`; without them their columns stay empty.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

mod archive;
mod peers;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use testkit::ssh::{Device, Running};
use testkit::{Figures, Goal};
use testkit::{Samples, Spawn, TempDir};

/// How long a device thinks about each command.
const THINK: Duration = Duration::from_millis(100);

struct Asked {
    service: String,
    devices: usize,
    seconds: u64,
    versions: usize,
}

fn asked() -> anyhow::Result<Asked> {
    let mut asked = Asked {
        service: String::new(),
        devices: 1000,
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
            "--devices" => asked.devices = value.parse()?,
            "--seconds" => asked.seconds = value.parse()?,
            "--versions" => asked.versions = value.parse()?,
            _ => anyhow::bail!("{flag} is not known"),
        }
    }
    anyhow::ensure!(!asked.service.is_empty(), "--service PROGRAM is missing");
    Ok(asked)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let asked = asked()?;
    let mut figures = Figures::default();
    let config = configuration();
    let farm = Device::new("r1", "sotp", "bench")
        .at([0, 0, 0, 0].into())
        .think(THINK)
        .answer("show running-config", &config)
        .answer(
            "show version",
            "FRRouting 8.4.4 (r1) on Linux(6.1.0).\nmore\n",
        )
        .answer("terminal width 511", "")
        .start()
        .await?;
    let ours = ours(&asked, &farm).await?;
    figures.add("devices per second", ours.rate, None, None);
    figures.add(
        "resident memory, MiB",
        ours.memory,
        None,
        Some(Goal::AtMost(300.0)),
    );
    figures.add("processor per device, ms", ours.cpu, None, None);
    let python = peers::python(Path::new("target/bench/python"));
    for peer in ["netmiko", "scrapli"] {
        let found = python
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error:#}"))
            .and_then(|python| {
                peers::run(python, peer, farm.address.port(), asked.devices.min(200))
            });
        match found {
            Ok(found) => {
                let name = Some((peer, found.cpu));
                figures.add(
                    "processor per device beside, ms",
                    ours.cpu,
                    name,
                    Some(Goal::Times(10.0)),
                );
                // Seconds for each device, as less is better where there is a peer.
                let each = Some((peer, 1000.0 / found.rate));
                figures.add(
                    "time per device beside, ms",
                    1000.0 / ours.rate,
                    each,
                    Some(Goal::Times(10.0)),
                );
            }
            Err(error) => println!("{peer} is left out: {error:#}"),
        }
    }
    archive::measure(asked.versions, &mut figures)?;
    figures.finish(Path::new("target/bench/ssh-config.json"))?;
    figures.judge()
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
}

/// The service on the farm: each device again and again, as soon as its turn comes.
async fn ours(asked: &Asked, farm: &Running) -> anyhow::Result<Found> {
    let dir = TempDir::new()?;
    let port = farm.address.port();
    let (mut inventory, mut known) = (String::from("devices:\n"), String::new());
    let key = farm
        .known_host
        .split_once(' ')
        .context("a line of known_hosts")?
        .1
        .to_owned();
    for number in 0..asked.devices {
        let address = format!("127.1.{}.{}", number / 250, number % 250 + 1);
        inventory += &format!(
            "- {{name: d{number}, address: {address}, platform: frr, ssh: {{port: {port}, credentials: bench}}}}\n"
        );
        known += &format!("[{address}]:{port} {key}");
    }
    dir.write("inventory.yaml", inventory)?;
    dir.write("known_hosts", known)?;
    dir.write("password", "bench\n")?;
    dir.write("ssh-config.yaml", "every: 1s\nparallel: 500\nlogins_per_minute: 60000\nlogins_per_device_hour: 3600\nhost_keys: {file: known_hosts}\ncredentials: [{name: bench, user: sotp, password_file: password, everywhere: true}]\n")?;
    let at = |name: &str| dir.join(name).display().to_string();
    let process = Spawn::new(&asked.service)
        .args([
            format!("--config.file={}", at("ssh-config.yaml")),
            format!("--inventory.source={}", at("inventory.yaml")),
        ])
        .start()
        .await?;
    let page =
        async || -> anyhow::Result<Samples> { Samples::parse(&process.get("/metrics").await?.1) };
    let collected = || {
        farm.typed()
            .iter()
            .filter(|line| *line == "show running-config")
            .count()
    };
    // Every device once: the first version is written.
    let until = Instant::now() + Duration::from_secs(60 + asked.devices as u64 / 5);
    loop {
        let samples = page().await?;
        let up = (0..asked.devices)
            .filter(|number| {
                samples.value("sshconfig_up", &[("device", &format!("d{number}"))]) == Some(1.0)
            })
            .count();
        if up == asked.devices {
            break;
        }
        anyhow::ensure!(
            Instant::now() < until,
            "{up} of {} devices: {}",
            asked.devices,
            process.log()
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let cpu = async || -> anyhow::Result<f64> {
        page()
            .await?
            .value("process_cpu_seconds_total", &[])
            .context("no processor time")
    };
    let (count, used, began) = (collected(), cpu().await?, Instant::now());
    tokio::time::sleep(Duration::from_secs(asked.seconds)).await;
    let (count, used) = (collected() - count, cpu().await? - used);
    let memory = page()
        .await?
        .value("process_resident_memory_bytes", &[])
        .context("no memory")?;
    anyhow::ensure!(count > 0, "nothing was collected: {}", process.log());
    Ok(Found {
        rate: count as f64 / began.elapsed().as_secs_f64(),
        cpu: used * 1000.0 / count as f64,
        memory: memory / f64::from(1 << 20),
    })
}
