//! Measures sotp-mqtt beside Debian's prometheus-mqtt-exporter (mqtt2prometheus): the same sensors publish to the same kind of broker, Debian's
//! Mosquitto, over loopback.
//!
//! Seconds of the processor are those of the exporter alone, from the first message to the last that it has taken. Prints a table and writes
//! `target/bench/mqtt.json`.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot measure has nothing else to do"
)]
#![allow(clippy::print_stdout, reason = "its table is what it is for")]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser as _;
use testkit::debian::Unpacked;
use testkit::{Figures, Goal, Samples, TempDir};

/// What sotp-mqtt may use of the processor for a million messages: a tenth of the least that the Python exporter mqtt-exporter was measured with.
const CPU_SECONDS: f64 = 6.2;

/// Measures sotp-mqtt beside prometheus-mqtt-exporter.
#[derive(Debug, clap::Parser)]
struct Flags {
    /// The service.
    #[arg(long, default_value = "target/release/sotp-mqtt")]
    service: PathBuf,
    /// Seconds of each run.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Messages a second.
    #[arg(long, default_value_t = 50_000)]
    rate: u64,
    /// Sensors, each beside a device of the inventory, with three values.
    #[arg(long, default_value_t = 5_000)]
    sensors: usize,
    /// Cargo passes it.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A process that ends when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn new(command: &mut Command) -> Self {
        Self(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    /// User and system time, in seconds.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        // Fields 14 and 15 of proc(5), in hundredths of a second.
        fields[11..13]
            .iter()
            .map(|field| field.parse::<f64>().unwrap() / 100.0)
            .sum()
    }

    /// The most memory that it had, in MiB.
    fn peak(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim()
            .split(' ')
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
            / 1_024.0
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn wait(address: SocketAddr) -> TcpStream {
    for _ in 0..600 {
        if let Ok(stream) = TcpStream::connect(address) {
            return stream;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nothing listens at {address}")
}

fn page(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.0\r\nHost: bench\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n")
        .map_or_else(String::new, |(_, body)| body.to_owned())
}

/// The messages of all sensors, each as a packet of MQTT 3.1.1 (section 3.3).
fn packets(sensors: usize) -> Vec<Vec<u8>> {
    let packet = |number: usize| {
        let topic = format!("tele/s{number}/SENSOR");
        let payload = format!(
            r#"{{"Time":"2026-03-01T12:00:00","BME280":{{"Temperature":{}.5,"Humidity":45.3,"Pressure":1013.2}},"PressureUnit":"hPa","TempUnit":"C"}}"#,
            number % 40
        );
        let mut length = 2 + topic.len() + payload.len();
        let mut packet = vec![0x30];
        while length > 127 {
            packet.push((length % 128) as u8 | 0x80);
            length /= 128;
        }
        packet.push(length as u8);
        packet.extend([0, topic.len() as u8]);
        packet.extend(topic.as_bytes());
        packet.extend(payload.as_bytes());
        packet
    };
    (0..sensors).map(packet).collect()
}

/// What one exporter needed.
struct Measured {
    cpu: f64,
    lost: f64,
    peak: f64,
    scrape: f64,
}

/// Publishes for so long, and waits until the exporter has taken what it will take.
fn measure(
    exporter: &Running,
    (broker, web): (SocketAddr, SocketAddr),
    taken: fn(&Samples) -> f64,
    flags: &Flags,
) -> Measured {
    let packets = packets(flags.sensors);
    let mut stream = wait(broker);
    stream.set_nodelay(true).unwrap();
    stream
        .write_all(b"\x10\x11\0\x04MQTT\x04\x02\0\x3C\0\x05bench")
        .unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    let count = || taken(&Samples::parse(&page(web)).unwrap());
    // Everybody once: then subscriptions hold, and no sensor is new.
    let began = Instant::now();
    while count() < flags.sensors as f64 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "nothing is taken"
        );
        stream.write_all(&packets.concat()).unwrap();
        std::thread::sleep(Duration::from_millis(500));
    }
    let mut before = count();
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = count();
        if now == before {
            break;
        }
        before = now;
    }
    let (cpu, began) = (exporter.cpu(), Instant::now());
    let (mut sent, whole) = (0, flags.rate * flags.seconds);
    let mut all = packets.iter().cycle();
    while sent < whole {
        let due = ((began.elapsed().as_secs_f64() + 0.01) * flags.rate as f64) as u64;
        let mut batch = Vec::with_capacity(1 << 17);
        for packet in all
            .by_ref()
            .take(due.min(whole).saturating_sub(sent).min(1_000) as usize)
        {
            batch.extend(packet);
            sent += 1;
        }
        stream.write_all(&batch).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut come = 0.0;
    let mut cpu_used = exporter.cpu() - cpu;
    for _ in 0..60 {
        let now = count() - before;
        if now == come && now > 0.0 {
            break;
        }
        come = now;
        cpu_used = exporter.cpu() - cpu;
        std::thread::sleep(Duration::from_millis(500));
    }
    let began = Instant::now();
    page(web);
    Measured {
        cpu: cpu_used / (come / 1e6),
        lost: 100.0 * (1.0 - come / whole as f64),
        peak: exporter.peak(),
        scrape: began.elapsed().as_secs_f64() * 1e3,
    }
}

fn mosquitto(files: &TempDir) -> (Running, SocketAddr) {
    let address = free();
    let config = format!(
        "user root\nlistener {} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n",
        address.port()
    );
    let config = files.write("mosquitto.conf", config).unwrap();
    let broker = Running::new(Command::new("/usr/sbin/mosquitto").arg("-c").arg(config));
    drop(wait(address));
    (broker, address)
}

fn ours(flags: &Flags) -> Measured {
    let files = TempDir::new().unwrap();
    let (_broker, broker) = mosquitto(&files);
    let mut devices = "devices:\n".to_owned();
    for number in 0..flags.sensors {
        let (a, b) = (number / 250, number % 250 + 1);
        writeln!(devices, "  - {{name: d{number}, address: 198.18.{a}.{b}, role: sensor, mqtt: {{topics: ['tele/s{number}/+']}}}}").unwrap();
    }
    let inventory = files.write("inventory.yaml", devices).unwrap();
    let config = format!("brokers: [{{name: main, url: 'mqtt://{broker}'}}]\n");
    let config = files.write("mqtt.yaml", config).unwrap();
    let web = free();
    let mut command = Command::new(&flags.service);
    command.arg(format!("--inventory.source={}", inventory.display()));
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--web.listen-address={web}"));
    let exporter = Running::new(&mut command);
    drop(wait(web));
    measure(
        &exporter,
        (broker, web),
        |page| page.sum("mqtt_messages_total", &[]),
        flags,
    )
}

fn theirs(flags: &Flags) -> anyhow::Result<Measured> {
    let package = Unpacked::new("prometheus-mqtt-exporter")?;
    let files = TempDir::new()?;
    let (_broker, broker) = mosquitto(&files);
    let mut config = format!(
        "mqtt:\n  server: tcp://{broker}\n  topic_path: tele/+/SENSOR\n  device_id_regex: 'tele/(?P<deviceid>.*)/SENSOR'\ncache: {{timeout: 10m}}\nmetrics:\n"
    );
    for (name, key) in [
        ("temperature", "Temperature"),
        ("humidity", "Humidity"),
        ("pressure", "Pressure"),
    ] {
        writeln!(
            config,
            "  - {{prom_name: {name}, mqtt_name: BME280.{key}, help: '{key}', type: gauge}}"
        )?;
    }
    let config = files.write("config.yaml", config)?;
    let web = free();
    let mut command = package.command("usr/bin/prometheus-mqtt-exporter");
    command
        .arg("-config")
        .arg(config)
        .args(["-listen-address", "127.0.0.1"]);
    command.args([
        "-listen-port",
        &web.port().to_string(),
        "-log-level",
        "error",
    ]);
    let exporter = Running::new(&mut command);
    drop(wait(web));
    Ok(measure(
        &exporter,
        (broker, web),
        |page| page.sum("received_messages", &[]),
        flags,
    ))
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let mut figures = Figures::default();
    let ours = ours(&flags);
    let theirs = theirs(&flags);
    if let Err(error) = &theirs {
        println!("without prometheus-mqtt-exporter: {error:#}");
    }
    let what = format!(
        "{} messages a second of {} sensors",
        flags.rate, flags.sensors
    );
    let peer = |value: fn(&Measured) -> f64| {
        theirs
            .as_ref()
            .ok()
            .map(|theirs| ("mqtt2prometheus", value(theirs)))
    };
    figures.add(
        &format!("{what}: CPU s per million"),
        ours.cpu,
        peer(|side| side.cpu),
        Some(Goal::AtMost(CPU_SECONDS)),
    );
    figures.add("lost, percent", ours.lost, peer(|side| side.lost), None);
    figures.add(
        "peak memory, MiB",
        ours.peak,
        peer(|side| side.peak),
        Some(Goal::AtMost(120.0)),
    );
    figures.add(
        "scrape, ms",
        ours.scrape,
        peer(|side| side.scrape),
        Some(Goal::AtMost(200.0)),
    );
    figures.finish(Path::new("target/bench/mqtt.json"))
}
