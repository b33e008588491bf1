//! The peers at the same work on the loopback network. A peer that is not installed has no row.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use surge_ping::{Client, Config, PingIdentifier, PingSequence};

use crate::service::cpu_millis;

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + number)
}

/// Milliseconds per 1,000 pings of a process that sends `rate` a second, which is ended.
fn cost(mut child: Child, rate: usize, seconds: u64) -> anyhow::Result<f64> {
    std::thread::sleep(Duration::from_secs(3));
    let (began, before) = (Instant::now(), cpu_millis(child.id())?);
    std::thread::sleep(Duration::from_secs(seconds));
    let spent = cpu_millis(child.id())? - before;
    let pings = began.elapsed().as_secs_f64() * rate as f64;
    let _ = child.kill();
    let _ = child.wait();
    Ok(spent / pings * 1_000.0)
}

fn spawn(command: &mut Command) -> anyhow::Result<Option<Child>> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Ok(Some(child)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{:?} is not installed: no row", command.get_program());
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Plain surge-ping as its own process.
pub(crate) fn surge(rate: usize, seconds: u64) -> anyhow::Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("surge-ping").arg(rate.to_string());
    let child = spawn(&mut command)?.context("this program is gone")?;
    cost(child, rate, seconds)
}

pub(crate) fn fping(folder: &Path, rate: usize, seconds: u64) -> anyhow::Result<Option<f64>> {
    let list = folder.join("fping.txt");
    let lines: String = (0..rate as u32)
        .map(|number| format!("{}\n", address(number)))
        .collect();
    std::fs::write(&list, lines)?;
    let mut command = Command::new("fping");
    command
        .args(["-l", "-q", "-p", "1000", "-i", "1", "-b", "56", "-f"])
        .arg(&list);
    spawn(&mut command)?
        .map(|child| cost(child, rate, seconds))
        .transpose()
}

pub(crate) fn smokeping(targets: usize, seconds: u64) -> anyhow::Result<Option<f64>> {
    let mut command = Command::new("prometheus-smokeping-prober");
    command.args(["--web.listen-address=127.0.0.1:19374", "--ping.interval=1s"]);
    command.args((0..targets as u32).map(|number| address(number).to_string()));
    spawn(&mut command)?
        .map(|child| cost(child, targets, seconds))
        .transpose()
}

/// One task per target, as surge-ping's documentation does it, on one thread.
pub(crate) fn surge_main(arguments: &[String]) -> anyhow::Result<()> {
    let targets: u32 = arguments.get(1).context("how many targets")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = Client::new(&Config::default())?;
        for number in 0..targets {
            let client = client.clone();
            tokio::spawn(async move {
                let spread =
                    Duration::from_micros(u64::from(number) * 1_000_000 / u64::from(targets));
                tokio::time::sleep(spread).await;
                let host = IpAddr::V4(address(number));
                let mut pinger = client.pinger(host, PingIdentifier(1)).await;
                let mut ticks = tokio::time::interval(Duration::from_secs(1));
                for sequence in 0..u16::MAX {
                    ticks.tick().await;
                    let _ = pinger.ping(PingSequence(sequence), &[0; 56]).await;
                }
            });
        }
        std::future::pending::<()>().await;
        Ok(())
    })
}
