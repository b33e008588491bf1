//! What our series cost Prometheus, for `docs/sizing.md`: series of a device on the pages of sotp-ping and sotp-snmp, bytes of a sample on disk, bytes
//! of a series in memory. Needs root, for a network of its own, and Debian's prometheus and snmpd. Writes `target/bench/prometheus.json`.

use std::fmt::Write as _;
use std::io::{BufWriter, Read as _, Write as _};
use std::net::TcpListener;
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use testkit::{Figures, Spawn, TempDir, eventually, services};

const LONG: Duration = Duration::from_secs(120);
/// Set in the namespace.
const INSIDE: &str = "SOTP_BENCH_PROMETHEUS";
/// Interfaces of the block, and hours of it; the shipped interval between samples.
const INTERFACES: usize = 24;
const HOURS: u64 = 12;
const INTERVAL: u64 = 15;
/// Series of the page that Prometheus keeps in memory, and after how many of its scrapes it is weighed.
const SERIES: usize = 200_000;
const SCRAPES: usize = 4;
/// Columns that count on an interface with traffic; what stands in the others stands still.
const COUNT: [&str; 2] = ["Octets{", "UcastPkts{"];

fn main() -> anyhow::Result<()> {
    if std::env::var_os(INSIDE).is_none() {
        let status = Command::new("unshare")
            .arg("--net")
            .arg(std::env::current_exe()?)
            .env(INSIDE, "1")
            .status()?;
        ensure!(
            status.success(),
            "failed in a network of its own (it needs root)"
        );
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    ip("link set lo up")?;
    let folder = TempDir::new()?;
    let mut figures = Figures::default();
    let [few, many] = [
        pinged(folder.path(), 10).await?,
        pinged(folder.path(), 110).await?,
    ];
    figures.add(
        "series of a device that is pinged",
        (many - few) as f64 / 100.0,
        None,
        None,
    );
    // Beside lo, which has columns of its own.
    let (few, page) = asked(folder.path(), 0..2).await?;
    let (many, _) = asked(folder.path(), 2..6).await?;
    let interface = (many - few) as f64 / 4.0;
    figures.add(
        "series of an interface by SNMP",
        interface.round(),
        None,
        None,
    );
    let device = few as f64 - 3.0 * interface;
    figures.add(
        "series of a device by SNMP beside those of its interfaces",
        device.round(),
        None,
        None,
    );
    figures.add("bytes of a sample on disk", disk(&page)?, None, None);
    figures.add("resident bytes of a series", memory().await?, None, None);
    figures.finish(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/prometheus.json"))
}

fn ip(arguments: &str) -> anyhow::Result<()> {
    let status = Command::new("ip")
        .args(arguments.split(' '))
        .status()
        .context("ip")?;
    ensure!(status.success(), "ip {arguments}");
    Ok(())
}

/// Samples of a page.
fn samples(page: &str) -> impl Iterator<Item = &str> {
    page.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// Series on the page of sotp-ping once so many devices have answered.
async fn pinged(folder: &Path, devices: usize) -> anyhow::Result<usize> {
    let mut text = "devices:\n".to_owned();
    for number in 1..=devices {
        writeln!(text, "- {{name: r{number}, address: 127.0.1.{number}}}")?;
    }
    let inventory = folder.join("inventory.yaml");
    std::fs::write(&inventory, text)?;
    let inventory = format!("--inventory.source={}", inventory.display());
    let process = Spawn::new(services::folder().join("sotp-ping"))
        .args([inventory])
        .start()
        .await?;
    eventually(LONG, || async {
        let page = process.get("/metrics").await?.1;
        let answered = samples(&page)
            .filter(|line| line.starts_with("ping_last_rtt_seconds{"))
            .count();
        ensure!(answered == devices, "{answered} of {devices} answered");
        Ok(samples(&page).count())
    })
    .await
}

/// Series of a device that gets these interfaces beside those it has, and its page: Debian's snmpd, asked by sotp-snmp.
async fn asked(folder: &Path, new: Range<usize>) -> anyhow::Result<(usize, String)> {
    let interfaces = new.end;
    for number in new.step_by(2) {
        ip(&format!(
            "link add e{number} type veth peer name e{}",
            number + 1
        ))?;
        ip(&format!("link set e{number} up"))?;
        ip(&format!("link set e{} up", number + 1))?;
    }
    let file = folder.join("snmpd.conf");
    std::fs::write(&file, "rocommunity public 127.0.0.1\n")?;
    let agent = Command::new("snmpd")
        .args(["-f", "-C", "-c"])
        .arg(&file)
        .arg("udp:127.0.0.1:1161")
        .env("SNMP_PERSISTENT_DIR", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("snmpd")?;
    let _agent = Ended(agent);
    let process = Spawn::new(services::folder().join("sotp-snmp"))
        .start()
        .await?;
    let page = eventually(LONG, || async {
        let (status, page) = process
            .get("/snmp?target=127.0.0.1:1161&module=if_mib&auth=public_v2")
            .await?;
        let found = samples(&page)
            .filter(|line| line.starts_with("ifOperStatus{"))
            .count();
        ensure!(
            status == 200 && found == interfaces + 1,
            "{status}, {found} interfaces"
        );
        Ok(page)
    })
    .await?;
    Ok((samples(&page).count(), page))
}

/// Ends a process.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bytes of a sample in a block of some hours of an interface of this page, so many times; half of them carry traffic that varies by a third.
fn disk(page: &str) -> anyhow::Result<f64> {
    // The index of e0 is the least of the interfaces beside lo.
    let of_one: Vec<&str> = samples(page)
        .filter_map(|line| Some(line.rsplit_once(' ')?.0))
        .filter(|series| series.contains("ifName=\"e0\""))
        .collect();
    ensure!(!of_one.is_empty(), "no series of e0");
    let folder = TempDir::new()?;
    let file = folder.join("samples");
    let mut out = BufWriter::new(std::fs::File::create(&file)?);
    let times = HOURS * 3600 / INTERVAL;
    let (mut written, mut random) = (0_u64, 1_u64);
    for name in &of_one {
        let counts = COUNT.iter().any(|column| name.contains(column));
        for interface in 0..INTERFACES {
            let name = name.replace("\"e0\"", &format!("\"e{interface}\""));
            let mut value = 1_000_000_u64;
            for time in 0..times {
                if counts && interface % 2 == 0 {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    value += 1_000_000 + (random >> 40) * 666_666 / (1 << 24);
                }
                writeln!(out, "{name} {value} {}", 1_767_225_600 + time * INTERVAL)?;
                written += 1;
            }
        }
    }
    writeln!(out, "# EOF")?;
    out.into_inner()?.sync_all()?;
    let blocks = folder.join("blocks");
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([
            "--max-block-duration=24h".as_ref(),
            file.as_os_str(),
            blocks.as_os_str(),
        ])
        .output()
        .context("promtool")?;
    ensure!(
        made.status.success(),
        "promtool: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    Ok(size(&blocks)? as f64 / written as f64)
}

/// Bytes of the files below a folder.
fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() {
            size(&entry.path())?
        } else {
            meta.len()
        };
    }
    Ok(bytes)
}

/// Resident bytes of a series in a Prometheus that scraped them some times.
async fn memory() -> anyhow::Result<f64> {
    let mut page = String::new();
    for number in 0..SERIES {
        let (device, interface) = (number / 1_000, number / 40 % 25);
        writeln!(
            page,
            "c{}_total{{device=\"r{device}.example.net\",ifName=\"GigabitEthernet0/{interface}\",ifIndex=\"{interface}\",module=\"if_mib\"}} {number}",
            number % 40
        )?;
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&answered);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n";
            if stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(page.as_bytes()))
                .is_ok()
            {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let folder = TempDir::new()?;
    let config = folder.join("prometheus.yml");
    let text = format!(
        "scrape_configs: [{{job_name: page, scrape_interval: {INTERVAL}s, scrape_timeout: {INTERVAL}s, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
    );
    std::fs::write(&config, text)?;
    let prometheus = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg("--web.listen-address=127.0.0.1:9090")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("prometheus")?;
    let _prometheus = Ended(prometheus);
    eventually(LONG, || async {
        let times = answered.load(Ordering::Relaxed);
        ensure!(times > SCRAPES, "{times} scrapes");
        let page = testkit::client()
            .get("http://127.0.0.1:9090/metrics")
            .send()
            .await?
            .text()
            .await?;
        let of = |name: &str| {
            samples(&page)
                .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())
                .with_context(|| name.to_owned())
        };
        let series = of("prometheus_tsdb_head_series ")?;
        ensure!(series >= SERIES as f64, "{series} series");
        Ok(of("process_resident_memory_bytes ")? / series)
    })
    .await
}
