//! Measures decoding alone, and the whole service beside nfcapd (Debian), which only stores, on the same offered load over loopback.
//!
//! Records a second of a processor are records by the CPU seconds of the thread or the process that reads them. Prints a table and writes
//! `target/bench/netflow.json`.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot measure has nothing else to do"
)]
#![allow(clippy::print_stdout, reason = "its table is what it is for")]

mod load;

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser as _;
use nix::sys::resource::{UsageWho, getrusage};
use sotp_netflow::decode;
use sotp_netflow::session::Session;
use testkit::{Figures, Goal};

use load::{Kind, Load};

/// Measures sotp-netflow beside nfcapd.
#[derive(Debug, clap::Parser)]
struct Flags {
    /// The service.
    #[arg(long, default_value = "target/release/sotp-netflow")]
    service: PathBuf,
    /// Seconds of each run.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Records a second that are offered to both, lowest first.
    #[arg(long, value_delimiter = ',', default_value = "200000,500000,1000000")]
    rates: Vec<f64>,
    /// Cargo passes it.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let mut figures = Figures::default();
    for kind in Kind::ALL {
        let rate = decoded(&Load::new(kind, 4_000, 100_000), flags.seconds.min(3.0)) / 1e6;
        let goal = match kind {
            Kind::V9 | Kind::Ipfix | Kind::V5 => Some(Goal::AtLeast(60.0)),
            Kind::IpfixVariable => Some(Goal::AtLeast(25.0)),
            Kind::Sflow => None,
        };
        figures.add(
            &format!("decode {}: million records per CPU second", kind.name()),
            rate,
            None,
            goal,
        );
    }
    let load = Load::new(Kind::V9, 20_000, 200_000);
    for rate in &flags.rates {
        let ours = Side::ours(&flags.service).measured(&load, *rate, flags.seconds);
        let theirs = Side::nfcapd().map(|side| side.measured(&load, *rate, flags.seconds));
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
    figures.finish(Path::new("target/bench/netflow.json"))
}

fn cpu_of_this_thread() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Records per CPU second.
fn decoded(load: &Load, seconds: f64) -> f64 {
    let mut session = Session::default();
    let (now, begin) = (Instant::now(), cpu_of_this_thread());
    let (mut records, mut octets) = (0_u64, 0_u64);
    while cpu_of_this_thread() - begin < seconds {
        for datagram in &load.datagrams {
            decode::read(datagram, &mut session, now, &mut |flow| {
                records += 1;
                octets = octets.wrapping_add(flow.bytes);
            });
        }
    }
    assert!(octets > 0 && records > 0);
    records as f64 / (cpu_of_this_thread() - begin)
}

/// A collector that is measured.
struct Side {
    child: Child,
    to: SocketAddr,
    files: tempfile::TempDir,
    /// Where its metrics are; without them its files are counted.
    metrics: Option<SocketAddr>,
}

struct Measured {
    cpu: f64,
    lost: f64,
    peak: f64,
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
    fn ours(service: &Path) -> Self {
        let (files, to) = (tempfile::tempdir().unwrap(), free());
        let metrics = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let at = |name: &str| files.path().join(name);
        std::fs::write(
            at("inventory.yaml"),
            "devices: [{name: r1, address: 127.0.0.1, flow: {}}]\n",
        )
        .unwrap();
        std::fs::write(
            at("netflow.yaml"),
            format!("listen: ['{to}']\nreceive_buffer_bytes: 4194304\n"),
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
                "4194304",
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

    fn peak(&self) -> f64 {
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
        let before = self.cpu();
        let sent = load.send(self.to, rate, Duration::from_secs_f64(seconds));
        std::thread::sleep(Duration::from_millis(1_500));
        let (cpu, peak) = (self.cpu() - before, self.peak());
        let received = match self.metrics {
            Some(address) => records(address),
            None => self.stored(),
        };
        Measured {
            cpu: cpu / received * 1e6,
            lost: 100.0 * (1.0 - received / sent as f64),
            peak,
        }
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

/// The records that our service has taken.
fn records(address: SocketAddr) -> f64 {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let line = page
        .lines()
        .find(|line| line.starts_with("netflow_records_total{"))
        .unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
