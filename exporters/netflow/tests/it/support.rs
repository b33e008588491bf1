//! Starts the program on free ports, with one device on loopback.

use std::net::UdpSocket;

use testkit::{Process, Spawn, TempDir, eventually};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sotp-netflow");

/// The devices: `r1` sends from loopback.
pub(crate) const DEVICES: &str = "\
sites: [{name: lab}]
devices:
  - {name: r1, address: 127.0.0.1, site: lab, role: router, flow: {sources: [127.0.0.1]}}
";

/// The running program and its files.
pub(crate) struct Place {
    pub(crate) process: Process,
    /// The port that takes flows.
    pub(crate) port: u16,
    pub(crate) files: TempDir,
}

/// A UDP port that is free.
pub(crate) fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Starts it with these devices and lines of configuration.
pub(crate) async fn start(devices: &str, more: &str) -> Place {
    start_in(TempDir::new().unwrap(), devices, more).await
}

impl Place {
    /// Ends it and starts it again with the same files.
    pub(crate) async fn restart(self, devices: &str, more: &str) -> Self {
        let Self {
            mut process, files, ..
        } = self;
        process.terminate().unwrap();
        process
            .wait(std::time::Duration::from_secs(20))
            .await
            .unwrap();
        start_in(files, devices, more).await
    }
}

async fn start_in(files: TempDir, devices: &str, more: &str) -> Place {
    let port = free_port();
    let config = format!("listen: ['127.0.0.1:{port}']\n{more}");
    std::fs::write(files.join("inventory.yaml"), devices).unwrap();
    std::fs::write(files.join("netflow.yaml"), config).unwrap();
    let process = Spawn::new(BINARY)
        .args([
            format!(
                "--inventory.source={}",
                files.join("inventory.yaml").display()
            ),
            format!("--config.file={}", files.join("netflow.yaml").display()),
        ])
        .start()
        .await
        .unwrap();
    Place {
        process,
        port,
        files,
    }
}

impl Place {
    /// The metrics, as soon as they hold what is asked for.
    pub(crate) async fn until(
        &self,
        what: &str,
        holds: impl Fn(&testkit::Samples) -> bool,
    ) -> testkit::Samples {
        eventually(std::time::Duration::from_secs(20), || async {
            let samples = self.process.scrape().await?;
            anyhow::ensure!(
                holds(&samples),
                "not yet: {what}\n{}",
                self.process.get("/metrics").await?.1
            );
            Ok(samples)
        })
        .await
        .unwrap()
    }
}
