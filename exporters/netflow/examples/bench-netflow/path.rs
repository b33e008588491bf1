//! The whole service beside nfcapd: the same datagrams at the same rate.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Figures, Goal};

use crate::load::{Kind, Load};

/// Octets of the socket's buffer, of both.
const BUFFER: &str = "4194304";
/// Lost by so many percent is lost by the machine, not by the program.
const NOTHING_LOST: f64 = 0.1;

/// Measures both at each rate.
pub(crate) fn measure(figures: &mut Figures, service: &Path, rates: &[f64], seconds: f64) {
    let load = Load::new(Kind::V9, 20_000, 200_000);
    for rate in rates {
        let ours = Side::ours(service, ONE).measured(&load, *rate, seconds);
        let theirs = Side::nfcapd().map(|side| side.measured(&load, *rate, seconds));
        let what = format!("{} flows a second", *rate as u64);
        let peer =
            |value: fn(&Measured) -> f64| theirs.as_ref().map(|theirs| ("nfcapd", value(theirs)));
        figures.add(
            &format!("{what}: CPU seconds per million"),
            ours.cpu,
            peer(|side| side.cpu),
            Some(Goal::Times(1.0)),
        );
        figures.add(
            &format!("{what}: lost, percent"),
            ours.lost,
            peer(|side| side.lost),
            None,
        );
        figures.add(
            &format!("{what}: peak memory, MiB"),
            ours.peak,
            peer(|side| side.peak),
            Some(Goal::AtMost(64.0)),
        );
    }
}

/// Finds the highest rate that each takes without loss, by halves: at a rate, most of up to three runs of a second must have lost nothing. Each
/// has half a minute.
pub(crate) fn highest(figures: &mut Figures, service: &Path) {
    let load = Load::new(Kind::V9, 20_000, 200_000);
    let what = "highest rate without loss: microseconds a flow";
    let ours = found(&|| Some(Side::ours(service, ONE)), &load);
    let peer = found(&Side::nfcapd, &load).map(|theirs| ("nfcapd", 1e6 / theirs));
    if let Some(ours) = ours {
        figures.add(what, 1e6 / ours, peer, Some(Goal::Times(1.0)));
    }
}

fn found(start: &dyn Fn() -> Option<Side>, load: &Load) -> Option<f64> {
    let begin = Instant::now();
    let (mut rate, mut good, mut bad) = (500_000.0, None, None);
    while begin.elapsed() < Duration::from_secs(30) {
        match without_loss(start, load, rate)? {
            Some(sent) => good = Some(sent),
            None => bad = Some(rate),
        }
        rate = match (good, bad) {
            // The sender comes to no more.
            (Some(good), _) if good < rate * 0.9 && bad.is_none() => break,
            (Some(good), Some(bad)) if bad < good * 1.1 => break,
            (Some(good), Some(bad)) => f64::sqrt(good * bad),
            (Some(good), None) => good * 2.0,
            (None, _) => rate / 2.0,
        };
    }
    good
}

/// Records a second that were sent, when most runs lost nothing.
fn without_loss(start: &dyn Fn() -> Option<Side>, load: &Load, rate: f64) -> Option<Option<f64>> {
    let (mut sent, mut lossless, mut lossy) = (0.0, 0, 0);
    while lossless < 2 && lossy < 2 {
        let measured = start()?.measured(load, rate, 1.0);
        if measured.lost <= NOTHING_LOST {
            (sent, lossless) = (f64::max(sent, measured.rate), lossless + 1);
        } else {
            lossy += 1;
        }
    }
    Some((lossless > lossy).then_some(sent))
}

/// An inventory with one device.
pub(crate) const ONE: &str = "devices: [{name: r1, address: 127.0.0.1, flow: {}}]\n";

/// A collector that is measured.
pub(crate) struct Side {
    child: Child,
    pub(crate) to: SocketAddr,
    files: tempfile::TempDir,
    /// Where its metrics are; without them its files are counted.
    metrics: Option<SocketAddr>,
}

struct Measured {
    cpu: f64,
    lost: f64,
    peak: f64,
    /// Records a second that were sent.
    rate: f64,
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

impl Side {
    /// The service with this inventory.
    pub(crate) fn ours(service: &Path, inventory: &str) -> Self {
        let (files, to) = (tempfile::tempdir().unwrap(), free());
        let metrics = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let at = |name: &str| files.path().join(name);
        std::fs::write(at("inventory.yaml"), inventory).unwrap();
        std::fs::write(
            at("netflow.yaml"),
            format!("listen: ['{to}']\nreceive_buffer_bytes: {BUFFER}\n"),
        )
        .unwrap();
        let child = Command::new(service)
            .arg(format!(
                "--inventory.source={}",
                at("inventory.yaml").display()
            ))
            .arg(format!("--config.file={}", at("netflow.yaml").display()))
            .arg(format!("--web.listen-address={metrics}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let side = Self {
            child,
            to,
            files,
            metrics: Some(metrics),
        };
        side.listens();
        side
    }

    /// Debian's; `None` where it is not installed.
    fn nfcapd() -> Option<Self> {
        let (files, to) = (tempfile::tempdir().unwrap(), free());
        let child = Command::new("nfcapd")
            .args([
                "-b",
                "127.0.0.1",
                "-p",
                &to.port().to_string(),
                "-B",
                BUFFER,
                "-w",
            ])
            .arg(files.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let side = Self {
            child,
            to,
            files,
            metrics: None,
        };
        side.listens();
        Some(side)
    }

    fn listens(&self) {
        let end = Instant::now() + Duration::from_secs(20);
        while UdpSocket::bind(self.to).is_ok() {
            assert!(Instant::now() < end, "it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / 100.0
    }

    /// Most octets that were resident, MiB.
    pub(crate) fn peak(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<f64>()
            .unwrap()
            / 1_024.0
    }

    fn measured(mut self, load: &Load, rate: f64, seconds: f64) -> Measured {
        let (before, begin) = (self.cpu(), Instant::now());
        let sent = load.send(self.to, rate, Duration::from_secs_f64(seconds));
        let rate = sent as f64 / begin.elapsed().as_secs_f64();
        std::thread::sleep(Duration::from_secs(1));
        let (cpu, peak) = (self.cpu() - before, self.peak());
        let received = match self.metrics {
            Some(address) => number(&page(address), "netflow_records_total{"),
            None => self.stored(),
        };
        Measured {
            cpu: cpu / received * 1e6,
            lost: 100.0 * (1.0 - received / sent as f64),
            peak,
            rate,
        }
    }

    /// The page of metrics.
    pub(crate) fn page(&self) -> String {
        page(self.metrics.unwrap())
    }

    /// Flows in nfcapd's files, once it has been asked to end.
    fn stored(&mut self) -> f64 {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
        let told = Command::new("nfdump")
            .arg("-I")
            .arg("-R")
            .arg(self.files.path())
            .output()
            .unwrap();
        let text = String::from_utf8(told.stdout).unwrap();
        let flows = text
            .lines()
            .find_map(|line| line.strip_prefix("Flows: "))
            .unwrap();
        flows.trim().parse().unwrap()
    }
}

fn page(address: SocketAddr) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// The sum of the samples whose line begins so.
pub(crate) fn number(page: &str, begin: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(begin));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}
