//! Measures sotp-snmp against Debian's snmp_exporter in one run, with the same agents, and writes `target/bench/snmp.json`.
//!
//! `cargo run --release -p sotp-snmp --example bench` after `cargo build --release -p sotp-snmp`. Processor time is that of each exporter's
//! process (`/proc/PID/stat`), requests are those the agents counted, memory is the peak of the process. Figures are what this machine
//! gave, ratios are theirs over ours.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sotp_snmp::agent::Agent;
use testkit::Goal;
use tokio::net::UdpSocket;

const THEIRS: &str = "/usr/bin/prometheus-snmp-exporter";
/// Targets scraped every 15 s.
const FLEET: u32 = 2000;
/// Targets scraped at the same moment.
const AT_ONCE: usize = 500;

/// An agent on a port, which counts what it is asked.
struct Served {
    target: String,
    asked: Arc<AtomicU64>,
    /// Every so manieth answer is lost; 0 for none.
    lose: Arc<AtomicUsize>,
}

async fn serve(
    agent: Arc<Agent>,
    delay: Duration,
    asked: Arc<AtomicU64>,
) -> anyhow::Result<Served> {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
    let target = socket.local_addr()?.to_string();
    let lose = Arc::new(AtomicUsize::new(0));
    let (counter, losing) = (Arc::clone(&asked), Arc::clone(&lose));
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Some(answer) = agent.answer(&buffer[..length]) else {
                continue;
            };
            let number = counter.fetch_add(1, Ordering::Relaxed);
            let every = losing.load(Ordering::Relaxed) as u64;
            if every > 0 && number % every == every - 1 {
                continue;
            }
            if delay.is_zero() {
                let _ = socket.send_to(&answer, from).await;
            } else {
                let socket = Arc::clone(&socket);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = socket.send_to(&answer, from).await;
                });
            }
        }
    });
    Ok(Served {
        target,
        asked,
        lose,
    })
}

/// One exporter under measurement.
struct Exporter {
    child: Child,
    url: String,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exporter {
    /// `pinned` to the first processor.
    async fn start(binary: &Path, config: &Path, pinned: bool) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let mut command = if pinned {
            let mut command = Command::new("taskset");
            command.args(["-c", "0"]).arg(binary);
            command
        } else {
            Command::new(binary)
        };
        let child = command
            .args([
                format!("--config.file={}", config.display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} cannot be started", binary.display()))?;
        let exporter = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        testkit::eventually(Duration::from_secs(30), || async {
            Ok(std::net::TcpStream::connect(("127.0.0.1", port))?)
        })
        .await?;
        Ok(exporter)
    }

    /// User and system time so far.
    fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, rest) = stat.rsplit_once(") ").context("/proc/PID/stat")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    fn peak_kilobytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .context("VmHWM")?;
        Ok(line.split_whitespace().nth(1).context("VmHWM")?.parse()?)
    }

    async fn scrape(
        &self,
        client: &reqwest::Client,
        target: &str,
    ) -> anyhow::Result<(Duration, usize)> {
        scrape(self.url.clone(), client.clone(), target.to_owned()).await
    }
}

/// How long one scrape took and how large its answer was.
async fn scrape(
    url: String,
    client: reqwest::Client,
    target: String,
) -> anyhow::Result<(Duration, usize)> {
    let began = Instant::now();
    let request = client
        .get(format!("{url}/snmp?target={target}&module=if_mib"))
        .header("Accept-Encoding", "gzip")
        .header("X-Prometheus-Scrape-Timeout-Seconds", "300")
        .timeout(Duration::from_secs(400));
    let response = request.send().await?;
    ensure!(
        response.status().is_success(),
        "{target}: {}",
        response.text().await?
    );
    Ok((began.elapsed(), response.bytes().await?.len()))
}

/// What the figures have to be; what is not named here is told without a goal.
const GOALS: [(&str, Goal); 12] = [
    ("CPU ms of one scrape, 50 interfaces", Goal::Times(15.0)),
    (
        "requests of the first scrape, 50 interfaces",
        Goal::Times(2.0),
    ),
    (
        "requests of a later scrape, 50 interfaces",
        Goal::Times(4.0),
    ),
    ("CPU ms of one scrape, 1,000 interfaces", Goal::Times(15.0)),
    (
        "requests of the first scrape, 1,000 interfaces",
        Goal::Times(2.0),
    ),
    (
        "requests of a later scrape, 1,000 interfaces",
        Goal::Times(4.0),
    ),
    (
        "ms of the first scrape, 1,000 interfaces, 1 ms round trip",
        Goal::Times(10.0),
    ),
    (
        "ms of a later scrape, 1,000 interfaces, 1 ms round trip",
        Goal::Times(10.0),
    ),
    (
        "that loss in times of the lossless scrape",
        Goal::AtMost(2.0),
    ),
    ("peak MB of it", Goal::AtMost(120.0)),
    (
        "processors for 2,000 devices each 15 s, first round",
        Goal::AtMost(1.0),
    ),
    (
        "processors for 2,000 devices each 15 s, later rounds",
        Goal::AtMost(1.0),
    ),
];

/// What one exporter did.
#[derive(Default)]
struct Figures {
    values: Vec<(&'static str, f64)>,
}

/// Processor time and requests of each scrape of one device: the first, and those that follow.
async fn device(
    exporter: &Exporter,
    client: &reqwest::Client,
    served: &Served,
    names: [&'static str; 3],
    times: u32,
    out: &mut Figures,
) -> anyhow::Result<()> {
    let asked = || served.asked.swap(0, Ordering::Relaxed) as f64;
    asked();
    exporter.scrape(client, &served.target).await?;
    let cold = asked();
    let cpu = exporter.cpu()?;
    for _ in 0..times {
        exporter.scrape(client, &served.target).await?;
    }
    let each = (exporter.cpu()? - cpu).as_secs_f64() * 1e3 / f64::from(times);
    let warm = asked() / f64::from(times);
    out.values.extend(names.into_iter().zip([each, cold, warm]));
    Ok(())
}

/// The time of the fastest of three scrapes: what remains when nothing else has the processor. One of many seconds stands alone.
async fn fastest(
    exporter: &Exporter,
    client: &reqwest::Client,
    target: &str,
) -> anyhow::Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        best = best.min(exporter.scrape(client, target).await?.0.as_secs_f64() * 1e3);
        if best > 10_000.0 {
            break;
        }
    }
    Ok(best)
}

async fn measure(exporter: &Exporter, agents: &Agents) -> anyhow::Result<Figures> {
    let client = testkit::client();
    let mut out = Figures::default();
    let small = [
        "CPU ms of one scrape, 50 interfaces",
        "requests of the first scrape, 50 interfaces",
        "requests of a later scrape, 50 interfaces",
    ];
    device(exporter, &client, &agents.small, small, 200, &mut out).await?;
    let large = [
        "CPU ms of one scrape, 1,000 interfaces",
        "requests of the first scrape, 1,000 interfaces",
        "requests of a later scrape, 1,000 interfaces",
    ];
    device(exporter, &client, &agents.large, large, 20, &mut out).await?;
    let (first, _) = exporter.scrape(&client, &agents.slow.target).await?;
    let whole = fastest(exporter, &client, &agents.slow.target).await?;
    agents.slow.lose.store(100, Ordering::Relaxed);
    let lossy = fastest(exporter, &client, &agents.slow.target).await?;
    agents.slow.lose.store(0, Ordering::Relaxed);
    out.values.extend([
        (
            "ms of the first scrape, 1,000 interfaces, 1 ms round trip",
            first.as_secs_f64() * 1e3,
        ),
        (
            "ms of a later scrape, 1,000 interfaces, 1 ms round trip",
            whole,
        ),
        ("the same with every 100th answer lost", lossy),
        ("that loss in times of the lossless scrape", lossy / whole),
    ]);
    out.values.push((
        "a scrape beside 100 dead targets, in times of one alone",
        beside_dead(exporter, agents).await?,
    ));
    Ok(out)
}

/// How many times longer scrapes of a device take while a hundred others do not answer.
async fn beside_dead(exporter: &Exporter, agents: &Agents) -> anyhow::Result<f64> {
    let client = testkit::client();
    let target = &agents.fleet[0];
    exporter.scrape(&client, target).await?;
    let rounds = async |client: &reqwest::Client| {
        let mut best = f64::INFINITY;
        for _ in 0..15 {
            best = best.min(exporter.scrape(client, target).await?.0.as_secs_f64());
        }
        anyhow::Ok(best)
    };
    let alone = rounds(&client).await?;
    let silent: Vec<std::net::UdpSocket> = (0..100)
        .map(|_| std::net::UdpSocket::bind("127.0.0.1:0"))
        .collect::<std::io::Result<_>>()?;
    let mut dead = tokio::task::JoinSet::new();
    for socket in &silent {
        let target = socket.local_addr()?.to_string();
        dead.spawn(scrape(exporter.url.clone(), client.clone(), target));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let beside = rounds(&client).await?;
    ensure!(
        dead.try_join_next().is_none(),
        "a dead target was given up early"
    );
    dead.shutdown().await;
    Ok(beside / alone)
}

/// Five hundred targets at once, in a fresh process.
async fn at_once(exporter: &Exporter, agents: &Agents) -> anyhow::Result<Figures> {
    let client = testkit::client();
    let mut out = Figures::default();
    let (cpu, began) = (exporter.cpu()?, Instant::now());
    let all = agents
        .fleet
        .iter()
        .take(AT_ONCE)
        .map(|target| exporter.scrape(&client, target));
    for scraped in futures(all).await {
        scraped?;
    }
    out.values.extend([
        (
            "ms until 500 devices scraped at once are done",
            began.elapsed().as_secs_f64() * 1e3,
        ),
        (
            "CPU ms of each of them",
            (exporter.cpu()? - cpu).as_secs_f64() * 1e3 / AT_ONCE as f64,
        ),
        ("peak MB of it", exporter.peak_kilobytes()? as f64 / 1e3),
    ]);
    Ok(out)
}

/// Two thousand targets, each scraped every 15 s: the part of one processor that it takes, and the memory, once every target is known.
async fn paced(exporter: &Exporter, agents: &Agents) -> anyhow::Result<Figures> {
    const EVERY: Duration = Duration::from_secs(15);
    let client = testkit::client();
    let mut out = Figures::default();
    for names in [
        ["processors for 2,000 devices each 15 s, first round", ""],
        [
            "processors for 2,000 devices each 15 s, later rounds",
            "peak MB of it, 2,000 devices",
        ],
    ] {
        let (cpu, began) = (exporter.cpu()?, Instant::now());
        let mut scrapes = tokio::task::JoinSet::new();
        for (number, target) in (0u32..).zip(&agents.fleet) {
            tokio::time::sleep_until((began + EVERY * number / FLEET).into()).await;
            scrapes.spawn(scrape(exporter.url.clone(), client.clone(), target.clone()));
            while let Some(scraped) = scrapes.try_join_next() {
                scraped??;
            }
        }
        while let Some(scraped) = scrapes.join_next().await {
            scraped??;
        }
        let took = began.elapsed().as_secs_f64();
        ensure!(took < 20.0, "a round of 15 s took {took:.1} s");
        out.values
            .push((names[0], (exporter.cpu()? - cpu).as_secs_f64() / took));
        if !names[1].is_empty() {
            out.values
                .push((names[1], exporter.peak_kilobytes()? as f64 / 1e3));
        }
    }
    Ok(out)
}

/// All at once.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut left = false;
        for (future, slot) in all.iter_mut().zip(&mut done) {
            if slot.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(output) => *slot = Some(output),
                    std::task::Poll::Pending => left = true,
                }
            }
        }
        if left {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

struct Agents {
    small: Served,
    large: Served,
    slow: Served,
    fleet: Vec<String>,
}

/// The agents run on threads of their own, so that they cost the exporters nothing but the machine.
fn agents() -> anyhow::Result<(tokio::runtime::Runtime, Agents)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let agents = runtime.block_on(async {
        let (small, large) = (
            Arc::new(Agent::with_interfaces(50).ticking()),
            Arc::new(Agent::with_interfaces(1000).ticking()),
        );
        let count = Arc::<AtomicU64>::default;
        let mut fleet = Vec::new();
        for _ in 0..FLEET {
            fleet.push(
                serve(Arc::clone(&small), Duration::from_millis(5), count())
                    .await?
                    .target,
            );
        }
        anyhow::Ok(Agents {
            small: serve(small, Duration::ZERO, count()).await?,
            slow: serve(Arc::clone(&large), Duration::from_millis(1), count()).await?,
            large: serve(large, Duration::ZERO, count()).await?,
            fleet,
        })
    })?;
    Ok((runtime, agents))
}

fn before_the_split(text: &str) -> String {
    let modules = text
        .split_once("\nmodules:\n")
        .map_or("", |(_, modules)| modules);
    modules
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line))
        .fold(String::new(), |out, line| out + line + "\n")
}

fn main() -> anyhow::Result<()> {
    let ours = std::env::current_exe()?
        .parent()
        .and_then(Path::parent)
        .context("no folder")?
        .join("sotp-snmp");
    ensure!(
        ours.exists(),
        "{} is missing: build it first, in the same profile",
        ours.display()
    );
    let dir = testkit::TempDir::new()?;
    let yml = include_str!("../default.yml");
    let (old, new) = (dir.join("old.yml"), dir.join("new.yml"));
    std::fs::write(&old, before_the_split(yml))?;
    std::fs::write(&new, yml)?;
    let (_threads, agents) = agents()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let run = |binary: PathBuf, config: PathBuf| {
        runtime.block_on(async {
            let exporter = Exporter::start(&binary, &config, false).await?;
            let mut figures = measure(&exporter, &agents).await?;
            drop(exporter);
            let exporter = Exporter::start(&binary, &config, false).await?;
            figures
                .values
                .extend(at_once(&exporter, &agents).await?.values);
            drop(exporter);
            // The other one would need several processors for it.
            if binary.ends_with("sotp-snmp") {
                let exporter = Exporter::start(&binary, &config, true).await?;
                figures
                    .values
                    .extend(paced(&exporter, &agents).await?.values);
            }
            anyhow::Ok(figures)
        })
    };
    let mine = run(ours, new)?;
    let theirs = if Path::new(THEIRS).exists() {
        Some(run(THEIRS.into(), old)?)
    } else {
        eprintln!("skipped: {THEIRS} is not installed");
        None
    };
    let mut found = testkit::Figures::default();
    for (at, (name, value)) in mine.values.iter().enumerate() {
        let other = theirs.as_ref().and_then(|theirs| theirs.values.get(at));
        let peer = other.map(|(_, value)| ("snmp_exporter", *value));
        let goal = GOALS.iter().find(|(figure, _)| figure == name);
        found.add(name, *value, peer, goal.map(|(_, goal)| *goal));
    }
    found.finish(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench/snmp.json"))?;
    Ok(())
}
