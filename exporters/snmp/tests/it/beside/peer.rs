//! Debian's snmp_exporter, and what is compared of an answer.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::agent::{Agent, serve};
use testkit::TempDir;

const PROGRAM: &str = "/usr/bin/prometheus-snmp-exporter";

/// Debian's snmp_exporter, ended when dropped.
pub(crate) struct Peer {
    child: Child,
    pub(crate) address: String,
    _folder: TempDir,
}

impl Peer {
    /// Starts it with the text of its configuration; `None`, and said so, where it is not installed.
    pub(crate) async fn start(configuration: &str) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            testkit::skip(format_args!("{PROGRAM} is not installed"));
            return None;
        }
        let folder = TempDir::new().unwrap();
        let (file, log) = (folder.join("snmp.yml"), folder.join("log"));
        std::fs::write(&file, configuration).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let child = Command::new(PROGRAM)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let peer = Self {
            child,
            address,
            _folder: folder,
        };
        testkit::eventually(Duration::from_secs(30), || async {
            std::net::TcpStream::connect(&peer.address).map_err(|error| {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                anyhow::anyhow!("{error}: {said}")
            })
        })
        .await
        .unwrap();
        Some(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address at which this agent answers from now on.
pub(crate) fn serving(agent: Agent) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || serve(&socket, &agent, Duration::ZERO));
    target
}

pub(crate) async fn body(address: &str, target: &str, module: &str) -> (u16, String) {
    let url = format!("http://{address}/snmp?target={target}&module={module}");
    let response = testkit::client()
        .get(url)
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// How two answers differ, a few lines of each; `None` where they are the same. What tells of the scrape itself is passed over.
pub(crate) fn difference(theirs: &str, ours: &str) -> Option<String> {
    let (theirs, ours) = (series(theirs), series(ours));
    let missing: Vec<_> = theirs.difference(&ours).take(5).collect();
    let extra: Vec<_> = ours.difference(&theirs).take(5).collect();
    let same = missing.is_empty() && extra.is_empty();
    (!same).then(|| format!("only theirs: {missing:#?}\nonly ours: {extra:#?}"))
}

/// Everything but what tells of the scrape itself.
pub(crate) fn series(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter(|line| !line.contains("snmp_scrape_") && !line.contains("snmp_error"))
        .collect()
}
