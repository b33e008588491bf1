//! The programs that are measured: ours, rsyslog, syslog-ng, and a receiver that only counts.

use std::io::Read as _;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes of receive buffer that every one of them asks for.
pub(crate) const BUFFER: u32 = 32 << 20;

/// A child that is killed when it is no longer needed.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU seconds so far (utime and stime of proc(5)) and peak memory in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) cpu: f64,
    pub(crate) peak: u64,
}

impl Running {
    pub(crate) fn used(&self) -> Used {
        let of =
            |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap();
        let stat = of("stat");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        let status = of("status");
        let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
        let peak: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
        Used {
            cpu: ticks / 100.0,
            peak: peak * 1024,
        }
    }
}

/// A free UDP port of loopback.
pub(crate) fn free_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// What `bench-syslog receive ADDRESS` does: count datagrams until one says `end`, then say the count.
pub(crate) fn receive(address: SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
    netio::option::receive_buffer(socket.as_fd(), BUFFER).unwrap();
    let mut batch = netio::receive::ReceiveBatch::new(2_048);
    let mut count = 0u64;
    println!("ready");
    loop {
        let got = batch
            .receive(socket.as_fd(), netio::receive::Queue::Data)
            .unwrap();
        for datagram in batch.datagrams() {
            if datagram.payload == b"end" {
                println!("{count}");
                return;
            }
            count += 1;
        }
        if got < netio::BATCH {
            std::thread::sleep(Duration::from_micros(300));
        }
    }
}

/// Sends at a rate to a receiver that only counts; gives what was sent, what arrived, and CPU seconds.
pub(crate) fn bare(rate: u64, time: Duration) -> (u64, u64, f64) {
    let address = free_port();
    let mut child = Running(
        Command::new(std::env::current_exe().unwrap())
            .args(["receive", &address.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut out = child.0.stdout.take().unwrap();
    out.read_exact(&mut [0; 6]).unwrap();
    let (sent, _) = crate::load::datagrams(address, rate, time, &crate::load::Sending::default());
    std::thread::sleep(Duration::from_millis(300));
    let used = child.used();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..50 {
        let _ = socket.send_to(b"end", address);
        std::thread::sleep(Duration::from_millis(20));
        if child.0.try_wait().unwrap().is_some() {
            break;
        }
    }
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    (sent, text.trim().parse().unwrap_or(0), used.cpu)
}

/// Where a program of the system is.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
}

/// rsyslog as it writes a plain file.
pub(crate) fn rsyslog(folder: &Path, to: SocketAddr, file: &Path) -> Option<Running> {
    let config = format!(
        "global(workDirectory=\"{}\")\nmodule(load=\"imudp\" TimeRequery=\"2\" BatchSize=\"64\")\n\
         template(name=\"whole\" type=\"string\" string=\"%rawmsg%\\n\")\n\
         input(type=\"imudp\" address=\"127.0.0.1\" port=\"{}\" rcvbufSize=\"{BUFFER}\" ruleset=\"all\")\n\
         ruleset(name=\"all\" queue.type=\"LinkedList\" queue.size=\"500000\" queue.dequeueBatchSize=\"1024\") \
         {{ action(type=\"omfile\" file=\"{}\" template=\"whole\" asyncWriting=\"off\" ioBufferSize=\"64k\" flushOnTXEnd=\"off\") }}\n",
        folder.display(),
        to.port(),
        file.display(),
    );
    let path = folder.join("rsyslog.conf");
    std::fs::write(&path, config).unwrap();
    let child = Command::new(find("rsyslogd")?)
        .args(["-n", "-f", path.to_str()?, "-i"])
        .arg(folder.join("rsyslog.pid"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    listening(to).then_some(Running(child))
}

/// syslog-ng as it writes a plain file.
pub(crate) fn syslog_ng(folder: &Path, to: SocketAddr, file: &Path) -> Option<Running> {
    let config = format!(
        "@version: current\noptions {{ stats-freq(0); log-fifo-size(500000); }};\n\
         source s {{ network(transport(\"udp\") ip(\"127.0.0.1\") port({}) so-rcvbuf({BUFFER}) \
         log-fetch-limit(1000) log-iw-size(100000) flags(store-raw-message)); }};\n\
         destination d {{ file(\"{}\" template(\"${{RAWMSG}}\\n\") flush-lines(1000)); }};\nlog {{ source(s); destination(d); }};\n",
        to.port(),
        file.display(),
    );
    let path = folder.join("syslog-ng.conf");
    std::fs::write(&path, config).unwrap();
    let child = testkit::debian::syslog_ng(&path, folder)
        .ok()?
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    listening(to).then_some(Running(child))
}

/// Waits until somebody has the port, as `/proc/net/udp` says: trying to bind it would be in the way.
fn listening(to: SocketAddr) -> bool {
    let wanted = format!("0100007F:{:04X} ", to.port());
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(10) {
        let table = std::fs::read_to_string("/proc/net/udp").unwrap();
        if table.contains(&wanted) {
            std::thread::sleep(Duration::from_millis(200));
            return true;
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    false
}
