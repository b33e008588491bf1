//! A service with the double of Loki behind it.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use testkit::loki::Loki;
use testkit::{Process, Samples, Spawn, eventually};
use toolkit::anyhow;

pub(crate) struct World {
    pub(crate) loki: Loki,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) process: Option<Process>,
}

const INVENTORY: &str = "
sites:
  - name: lab
devices:
  - {name: r1, address: 192.0.2.11, site: lab, role: router, syslog: {sources: [127.0.0.1]}}
  - {name: r2, address: 192.0.2.12, site: lab, role: router, syslog: {sources: [127.0.0.2]}}
";

pub(crate) const BOTH: &str =
    "listen: {udp: [{address: '127.0.0.1:0'}], tcp: [{address: '127.0.0.1:0'}]}";

pub(crate) fn check(good: bool, text: impl Fn() -> String) -> anyhow::Result<()> {
    if good {
        Ok(())
    } else {
        Err(anyhow::anyhow!(text()))
    }
}

impl World {
    /// Starts a service with some configuration, to which the destination is added.
    pub(crate) async fn new(config: &str) -> Self {
        let mut world = Self::prepared(config).await;
        world.process = Some(world.spawn().start().await.unwrap());
        world
    }

    /// The same without starting it.
    pub(crate) async fn prepared(config: &str) -> Self {
        let loki = Loki::start(None).await.unwrap();
        loki.limits(|l| l.rate = None);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("inventory.yaml"), INVENTORY).unwrap();
        let world = Self {
            loki,
            folder,
            process: None,
        };
        world.configure(config);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn configure(&self, config: &str) {
        let text = format!(
            "{config}\nloki: [{{name: main, url: '{}', bytes_per_second: 0, batch_age: 20ms, hold_retry: 100ms}}]\n",
            self.loki.push_url()
        );
        std::fs::write(self.path("syslog.yaml"), text).unwrap();
    }

    pub(crate) fn spawn(&self) -> Spawn {
        Spawn::new(env!("CARGO_BIN_EXE_sotp-syslog")).args([
            format!("--config.file={}", self.path("syslog.yaml").display()),
            format!(
                "--inventory.source={}",
                self.path("inventory.yaml").display()
            ),
        ])
    }

    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    /// The last address that the log says for a transport; the line may still be on its way through the pipe.
    pub(crate) fn address(&self, what: &str) -> SocketAddr {
        for _ in 0..400 {
            let log = self.process().log();
            if let Some(line) = log.lines().rfind(|l| l.contains(what)) {
                let behind = line.split("address=").nth(1).unwrap();
                let word = behind.split_whitespace().next().unwrap();
                return word.trim_matches('"').parse().unwrap();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no {what:?} in\n{}", self.process().log());
    }

    pub(crate) fn udp(&self) -> SocketAddr {
        self.address("listening for datagrams")
    }

    pub(crate) fn tcp(&self) -> SocketAddr {
        self.address("listening for streams")
    }

    /// Waits until so many lines with the text are stored.
    pub(crate) async fn stored(&self, text: &str, count: usize) {
        let found = || {
            let entries = self.loki.entries();
            entries.iter().filter(|e| e.line.contains(text)).count()
        };
        let result = eventually(Duration::from_secs(40), || async {
            let found = found();
            check(found >= count, || {
                format!("{found} of {count} {text:?} stored")
            })
        })
        .await;
        if let Err(error) = result {
            panic!("{error}\n{}", self.process().log());
        }
        assert_eq!(found(), count, "no more than was sent");
    }

    /// The samples, after the statistics were held to balance.
    pub(crate) async fn balanced(&self) -> Samples {
        let samples = self.process().scrape().await.unwrap();
        let destinations: Vec<String> = samples
            .select("syslog_spool_messages", &[])
            .filter_map(|s| s.labels.get("destination").cloned())
            .collect();
        for device in ["r1", "r2", "unknown"] {
            for destination in &destinations {
                let sum = |name: &str| samples.sum(name, &[("device", device)]);
                let own = |name: &str| {
                    samples.sum(name, &[("device", device), ("destination", destination)])
                };
                let came =
                    sum("syslog_messages_received_total") + sum("syslog_messages_recovered_total");
                let went = sum("syslog_messages_dropped_total")
                    + own("syslog_messages_delivered_total")
                    + own("syslog_messages_queued")
                    + own("syslog_messages_evicted_total")
                    + own("syslog_messages_dead_lettered_total");
                assert_eq!(came, went, "the statistics of {device} for {destination}");
            }
        }
        samples
    }
}

/// A socket that sends from an address.
pub(crate) fn from(source: &str) -> UdpSocket {
    UdpSocket::bind(source).unwrap()
}

/// Waits until a value of the metrics is as it should be.
pub(crate) async fn metric(
    world: &World,
    name: &str,
    labels: &[(&str, &str)],
    good: impl Fn(f64) -> bool,
) {
    let result = eventually(Duration::from_secs(30), || async {
        let value = world.process().scrape().await?.sum(name, labels);
        check(good(value), || format!("{name}{labels:?} is {value}"))
    })
    .await;
    if let Err(error) = result {
        panic!("{error}\n{}", world.process().log());
    }
}
