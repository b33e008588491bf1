//! Prometheus and Alertmanager as Debian packages them, as children of a test on free ports of the loopback address.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    folder: PathBuf,
    /// Its address, such as `http://127.0.0.1:40123`.
    pub url: String,
}

impl Server {
    /// Prometheus with this configuration, its data in the new folder `folder`.
    ///
    /// # Errors
    /// When it cannot be started or is not ready within 30 s.
    pub async fn prometheus(folder: &Path, config: &str) -> anyhow::Result<Self> {
        let port = free_port()?;
        let file = prepare(folder, "prometheus.yml", config)?;
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--log.level=warn".to_owned(),
        ];
        Self::start("prometheus", &arguments, folder, port).await
    }

    /// Alertmanager with this configuration, its data in the new folder `folder`.
    ///
    /// # Errors
    /// When it cannot be started or is not ready within 30 s.
    pub async fn alertmanager(folder: &Path, config: &str) -> anyhow::Result<Self> {
        let port = free_port()?;
        let file = prepare(folder, "alertmanager.yml", config)?;
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", folder.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        // Debian's name first: upstream's would be another program on some systems.
        let program = if crate::tools::on_path("prometheus-alertmanager") { "prometheus-alertmanager" } else { "alertmanager" };
        Self::start(program, &arguments, folder, port).await
    }

    async fn start(program: &str, arguments: &[String], folder: &Path, port: u16) -> anyhow::Result<Self> {
        let log = std::fs::File::create(folder.join("log"))?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut server = Self { child, folder: folder.to_path_buf(), url: format!("http://127.0.0.1:{port}") };
        let deadline = Instant::now() + Duration::from_secs(30);
        while server.get("/-/ready").await.is_err() {
            if server.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("{program} did not become ready:\n{}", std::fs::read_to_string(folder.join("log"))?);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(server)
    }

    /// The body at `path`.
    ///
    /// # Errors
    /// When the server does not answer, or with another status than a good one.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        Ok(client()?.get(format!("{}{path}", self.url)).send().await?.error_for_status()?.text().await?)
    }

    /// Sends a JSON body to `path`.
    ///
    /// # Errors
    /// As [`Server::get`].
    pub async fn post(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<()> {
        client()?.post(format!("{}{path}", self.url)).json(body).send().await?.error_for_status()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A child that is already gone has nothing left to end.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn client() -> anyhow::Result<reqwest::Client> {
    drop(rustls::crypto::ring::default_provider().install_default());
    Ok(reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?)
}

fn prepare(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let file = folder.join(name);
    std::fs::write(&file, text)?;
    Ok(file)
}

/// A port that was free a moment ago: neither server tells which one it took when asked for port 0.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
