//! Our service with the double of Loki behind it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::Samples;
use testkit::loki::Loki;

use crate::load::Seen;
use crate::process::{BUFFER, Running, free_port};

pub(crate) struct Service {
    pub(crate) loki: Loki,
    pub(crate) seen: Arc<Seen>,
    pub(crate) running: Option<Running>,
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) folder: tempfile::TempDir,
    binary: PathBuf,
}

/// How a service is set up.
#[derive(Default)]
pub(crate) struct SetUp {
    /// Bytes per second of Loki's default tenant limit; without it neither side has a limit.
    pub(crate) limit: Option<f64>,
    /// The TCP port speaks TLS with this certificate and key, PEM.
    pub(crate) tls: Option<(String, String)>,
}

fn free_stream_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl Service {
    pub(crate) async fn start(binary: &std::path::Path, most: u64, set_up: SetUp) -> Self {
        let loki = Loki::start(None).await.unwrap();
        loki.limits(|l| {
            l.rate = set_up.limit.map(|rate| (rate, rate * 1.5));
        });
        let seen = Arc::new(Seen::new(most));
        let sink = seen.clone();
        loki.sink(move |_, _, line| sink.note(line));
        let folder = tempfile::tempdir_in(".").unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write(
            "inventory.yaml",
            "sites: [{name: lab}]\ndevices: [{name: r1, address: 192.0.2.1, site: lab, role: router, syslog: {sources: [127.0.0.1]}}]\n",
        );
        let (udp, tcp) = (free_port(), free_stream_port());
        let tls = match &set_up.tls {
            Some((certificate, key)) => {
                write("cert.pem", certificate);
                write("key.pem", key);
                ", tls: {cert_file: cert.pem, key_file: key.pem}"
            }
            None => "",
        };
        let pace = if set_up.limit.is_some() {
            ""
        } else {
            ", bytes_per_second: 0"
        };
        write(
            "syslog.yaml",
            &format!(
                "listen: {{udp: [{{address: '{udp}', receive_buffer_bytes: {BUFFER}}}], tcp: [{{address: '{tcp}'{tls}}}]}}\n\
                 spool: {{max_bytes: 4294967296}}\nloki: [{{name: main, url: '{}'{pace}}}]\n",
                loki.push_url()
            ),
        );
        let mut service = Self {
            loki,
            seen,
            running: None,
            udp,
            tcp,
            folder,
            binary: binary.to_owned(),
        };
        service.run().await;
        service
    }

    /// Starts the process and waits until it listens.
    pub(crate) async fn run(&mut self) {
        let path = |name: &str| self.folder.path().join(name);
        let _ = std::fs::remove_file(path("port"));
        let child = Command::new(&self.binary)
            .args(["--web.listen-address=127.0.0.1:0", "--log.level=error"])
            .arg(format!("--web.port-file={}", path("port").display()))
            .arg(format!("--config.file={}", path("syslog.yaml").display()))
            .arg(format!(
                "--inventory.source={}",
                path("inventory.yaml").display()
            ))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.running = Some(Running(child));
        let begin = Instant::now();
        while !path("port").exists() {
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "the service does not start"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn metrics(&self) -> Samples {
        let address = std::fs::read_to_string(self.folder.path().join("port")).unwrap();
        let url = format!("http://{}/metrics", address.trim());
        let body = testkit::client().get(url).send().await.unwrap();
        Samples::parse(&body.text().await.unwrap()).unwrap()
    }

    /// Waits until so many are stored, or nothing more comes for three seconds; gives the seconds it took.
    pub(crate) async fn stored(&self, count: u64) -> f64 {
        let begin = Instant::now();
        let mut last = (u64::MAX, Instant::now());
        loop {
            let now = self.seen.unique();
            if now != last.0 {
                last = (now, Instant::now());
            }
            if now >= count || last.1.elapsed() > Duration::from_secs(3) {
                return begin.elapsed().as_secs_f64();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What was dropped by us and by the kernel, and whether the statistics balance.
    pub(crate) async fn losses(&self) -> serde_json::Value {
        let metrics = self.metrics().await;
        let sum = |name: &str| metrics.sum(name, &[]);
        let came = sum("syslog_messages_received_total") + sum("syslog_messages_recovered_total");
        let went = sum("syslog_messages_dropped_total")
            + sum("syslog_messages_delivered_total")
            + sum("syslog_messages_queued")
            + sum("syslog_messages_evicted_total")
            + sum("syslog_messages_dead_lettered_total");
        serde_json::json!({
            "kernel_dropped": sum("syslog_kernel_dropped_total"),
            "dropped": sum("syslog_messages_dropped_total"),
            "balanced": came == went,
        })
    }
}

/// Says where the bench is, on standard error: the table stands on standard output.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
