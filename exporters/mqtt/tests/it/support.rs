//! A broker and the program.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::{Process, Samples, Spawn, TempDir, eventually};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sotp-mqtt");
/// Long enough for a loaded machine; nothing waits for it when all is well.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A router with a sensor at its side.
pub(crate) const DEVICES: &str = "\
sites: [{name: lab}]
devices:
  - {name: r1, address: 192.0.2.1, site: lab, role: router, mqtt: {topics: ['tele/rack-1/+']}}
  - {name: quiet, address: 192.0.2.2, site: lab, role: sensor, mqtt: {topics: [zigbee2mqtt/quiet]}}
";

/// Mosquitto on a port of its own; it is killed on drop.
pub(crate) struct Broker {
    pub(crate) port: u16,
    pub(crate) files: TempDir,
    child: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Broker {
    /// With these lines of configuration beside the listener, in which `DIR` is its folder.
    pub(crate) async fn start(more: &str) -> Self {
        Self::with(TempDir::new().unwrap(), more).await
    }

    pub(crate) async fn with(files: TempDir, more: &str) -> Self {
        let port = free_port();
        let more = more.replace("DIR", &files.path().display().to_string());
        // Debian's broker started as root would become a user that cannot read the folder.
        let config = format!("user root\nlistener {port} 127.0.0.1\n{more}\n");
        std::fs::write(files.join("mosquitto.conf"), config).unwrap();
        let mut broker = Self {
            port,
            files,
            child: None,
        };
        broker.run().await;
        broker
    }

    pub(crate) async fn run(&mut self) {
        let child = Command::new("/usr/sbin/mosquitto")
            .arg("-c")
            .arg(self.files.join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's mosquitto");
        self.child = Some(child);
        let port = self.port;
        eventually(SOON, || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            Ok(())
        })
        .await
        .unwrap();
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends it in good order, so that it writes what it holds to its disk.
    pub(crate) async fn end(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        tokio::task::spawn_blocking(move || child.wait())
            .await
            .unwrap()
            .unwrap();
    }

    /// Publishes to many topics over one connection, to be kept (MQTT 3.1.1, sections 3.1, 3.3 and 3.12); comes back when the broker has them all.
    pub(crate) fn keep(&self, messages: impl Iterator<Item = (String, String)>) {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut packets = b"\x10\x10\0\x04MQTT\x04\x02\0\x3C\0\x04keep".to_vec();
        for (topic, payload) in messages {
            let length = u8::try_from(2 + topic.len() + payload.len()).unwrap();
            assert!(length < 128, "{topic}");
            packets.extend([0x31, length, 0, u8::try_from(topic.len()).unwrap()]);
            packets.extend(topic.as_bytes());
            packets.extend(payload.as_bytes());
        }
        packets.extend([0xC0, 0]);
        stream.write_all(&packets).unwrap();
        // The answers to the connection and to the ping.
        stream.read_exact(&mut [0; 6]).unwrap();
    }

    /// Publishes each line as a message, over one connection.
    pub(crate) fn publish_lines(&self, topic: &str, lines: &str, more: &[&str]) {
        let file = self.files.join("lines");
        std::fs::write(&file, lines).unwrap();
        let status = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-t", topic, "-l"])
            .args(more)
            .stdin(std::fs::File::open(file).unwrap())
            .status()
            .expect("Debian's mosquitto-clients");
        assert!(status.success(), "{status:?}");
    }

    /// Publishes with Debian's client.
    pub(crate) fn publish(&self, topic: &str, payload: &str, more: &[&str]) {
        let status = Command::new("mosquitto_pub")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-t",
                topic,
                "-m",
                payload,
            ])
            .args(more)
            .output()
            .expect("Debian's mosquitto-clients");
        assert!(status.status.success(), "{status:?}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The running program and its files.
pub(crate) struct Place {
    pub(crate) process: Process,
    pub(crate) files: TempDir,
}

/// Writes a file whole.
pub(crate) fn write(folder: &TempDir, name: &str, text: &str) {
    let new = folder.join(format!("{name}.new"));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, folder.join(name)).unwrap();
}

fn flag(name: &str, file: &Path) -> String {
    format!("--{name}={}", file.display())
}

/// Starts it with these devices and this configuration, in which `DIR` is the folder of its files.
pub(crate) async fn start(devices: &str, config: &str) -> Place {
    let files = TempDir::new().unwrap();
    write(&files, "inventory.yaml", devices);
    write(
        &files,
        "mqtt.yaml",
        &config.replace("DIR", &files.path().display().to_string()),
    );
    let process = Spawn::new(BINARY)
        .args([
            flag("inventory.source", &files.join("inventory.yaml")),
            flag("config.file", &files.join("mqtt.yaml")),
        ])
        .start()
        .await
        .unwrap();
    Place { process, files }
}

/// Starts it at this broker, with these further lines.
pub(crate) async fn at(broker: &Broker, more: &str) -> Place {
    let config = format!(
        "brokers: [{{name: main, url: 'mqtt://127.0.0.1:{}'}}]\n{more}",
        broker.port
    );
    let place = start(DEVICES, &config).await;
    place
        .becomes("mqtt_connected", &[("broker", "main")], Some(1.0))
        .await;
    place
}

impl Place {
    /// The metrics, as soon as this sample is this value, or is not there.
    pub(crate) async fn becomes(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        value: Option<f64>,
    ) -> Samples {
        eventually(SOON, || async {
            let samples = self.process.scrape().await?;
            let found = samples.value(name, labels);
            anyhow::ensure!(
                found == value,
                "{name}{labels:?} is {found:?}\n{}",
                self.process.log()
            );
            Ok(samples)
        })
        .await
        .unwrap()
    }

    /// Waits until the subscription holds, which the broker says after the connection.
    pub(crate) async fn subscribed(&self, broker: &Broker) {
        eventually(SOON, || async {
            broker.publish("zigbee2mqtt/asked", r#"{"linkquality":1}"#, &[]);
            let samples = self.process.scrape().await?;
            anyhow::ensure!(
                samples
                    .value("mqtt_link_quality", &[("sensor", "asked")])
                    .is_some()
            );
            Ok(())
        })
        .await
        .unwrap();
    }
}
