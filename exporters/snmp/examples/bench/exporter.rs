//! An exporter under measurement, and its scrapes.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// One exporter under measurement.
pub(crate) struct Exporter {
    child: Child,
    pub(crate) url: String,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exporter {
    /// With these arguments, `pinned` to the first processor.
    pub(crate) async fn start(
        binary: &Path,
        args: &[String],
        pinned: bool,
    ) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let mut command = if pinned {
            let mut command = Command::new("taskset");
            command.args(["-c", "0"]).arg(binary);
            command
        } else {
            Command::new(binary)
        };
        let child = command
            .args(args)
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} cannot be started", binary.display()))?;
        let exporter = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        testkit::eventually(Duration::from_secs(30), || async {
            Ok(std::net::TcpStream::connect(("127.0.0.1", port))?)
        })
        .await?;
        Ok(exporter)
    }

    /// User and system time so far, of all threads there were. The kernel gives it in hundredths of a second: what is measured takes many.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, rest) = stat.rsplit_once(") ").context("/proc/PID/stat")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    pub(crate) fn peak_kilobytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .context("VmHWM")?;
        Ok(line.split_whitespace().nth(1).context("VmHWM")?.parse()?)
    }

    pub(crate) async fn scrape(
        &self,
        client: &reqwest::Client,
        target: &str,
    ) -> anyhow::Result<(Duration, usize)> {
        scrape(self.url.clone(), client.clone(), target.to_owned()).await
    }
}

/// How long one scrape took and how large its answer was.
pub(crate) async fn scrape(
    url: String,
    client: reqwest::Client,
    target: String,
) -> anyhow::Result<(Duration, usize)> {
    let began = Instant::now();
    let request = client
        .get(format!("{url}/snmp?target={target}&module=if_mib"))
        .header("Accept-Encoding", "gzip")
        .header("X-Prometheus-Scrape-Timeout-Seconds", "300")
        .timeout(Duration::from_secs(400));
    let response = request.send().await?;
    ensure!(
        response.status().is_success(),
        "{target}: {}",
        response.text().await?
    );
    Ok((began.elapsed(), response.bytes().await?.len()))
}
