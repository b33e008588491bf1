//! Prometheus and Alertmanager as Debian packages them, as children of a test on free ports of the loopback address.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{TempDir, client};

/// How often a server is started that finds its port taken: it was free a moment before.
const TRIES: usize = 5;
/// Time to become ready.
const READY: Duration = Duration::from_secs(30);

/// A running server with a folder of its own; both end with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    dir: TempDir,
    /// Its address, such as `http://127.0.0.1:40123`.
    pub url: String,
}

impl Server {
    /// Prometheus with this configuration.
    ///
    /// # Errors
    /// It cannot be started or is not ready in time; the text has its log.
    pub async fn prometheus(config: &str) -> anyhow::Result<Self> {
        Self::prometheus_with(config, &[]).await
    }

    /// The same with further arguments.
    ///
    /// # Errors
    /// As [`Server::prometheus`].
    pub async fn prometheus_with(config: &str, more: &[&str]) -> anyhow::Result<Self> {
        Self::start("prometheus", config, |dir| {
            let mut arguments = vec![format!(
                "--storage.tsdb.path={}",
                dir.join("data").display()
            )];
            arguments.extend(more.iter().map(|&argument| argument.to_owned()));
            arguments
        })
        .await
    }

    /// Prometheus over blocks that lie in the folder `data`, which it keeps for a hundred days.
    ///
    /// # Errors
    /// As [`Server::prometheus`].
    pub async fn prometheus_over(config: &str, data: &std::path::Path) -> anyhow::Result<Self> {
        Self::start("prometheus", config, |_| {
            let data = format!("--storage.tsdb.path={}", data.display());
            vec![data, "--storage.tsdb.retention.time=100d".to_owned()]
        })
        .await
    }

    /// Alertmanager with this configuration.
    ///
    /// # Errors
    /// As [`Server::prometheus`].
    pub async fn alertmanager(config: &str) -> anyhow::Result<Self> {
        // Debian's name first: upstream's would be another program on some systems.
        let debian = "prometheus-alertmanager";
        let path = std::env::var_os("PATH").unwrap_or_default();
        let there = std::env::split_paths(&path).any(|folder| folder.join(debian).is_file());
        Self::start(if there { debian } else { "alertmanager" }, config, |dir| {
            let data = format!("--storage.path={}", dir.join("data").display());
            vec![data, "--cluster.listen-address=".to_owned()]
        })
        .await
    }

    async fn start(
        program: &str,
        config: &str,
        arguments: impl Fn(&TempDir) -> Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut last = None;
        for _ in 0..TRIES {
            // Neither server tells which port it took when asked for port 0.
            let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            let dir = TempDir::new()?;
            let file = dir.write("config.yml", config)?;
            let log = std::fs::File::create(dir.join("log"))?;
            let child = Command::new(program)
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--log.level=warn")
                .args(arguments(&dir))
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
                .with_context(|| {
                    format!(
                        "cannot start {program}, which `sotp-lab stack install --tests` installs"
                    )
                })?;
            let mut server = Self {
                child,
                dir,
                url: format!("http://{address}"),
            };
            match server.ready(program).await {
                Ok(()) => return Ok(server),
                Err(error) if error.to_string().contains("address already in use") => {
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.context("never started")?)
    }

    async fn ready(&mut self, program: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY;
        while self.get("/-/ready").await.is_err() {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("{program} did not become ready:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// The body at `path`.
    ///
    /// # Errors
    /// It does not answer, or with another status than a good one.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        let answer = client().get(format!("{}{path}", self.url)).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// Sends a JSON body to `path`.
    ///
    /// # Errors
    /// As [`Server::get`].
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let url = format!("{}{path}", self.url);
        let request = client()
            .post(url)
            .header("content-type", "application/json");
        request
            .body(body.to_string())
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// What is under `data` in the answer of Prometheus' API, at a path such as `targets?state=active`.
    ///
    /// # Errors
    /// It says that the question failed, or nothing.
    pub async fn api(&self, path: &str) -> anyhow::Result<Value> {
        let answer: Value = serde_json::from_str(&self.get(&format!("/api/v1/{path}")).await?)?;
        anyhow::ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].clone())
    }

    /// The series that answer an instant query.
    ///
    /// # Errors
    /// As [`Server::api`].
    pub async fn query(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let data = self.api(&format!("query?query={encoded}")).await?;
        Ok(data["result"].as_array().cloned().unwrap_or_default())
    }

    /// The value of the first series that answers.
    ///
    /// # Errors
    /// As [`Server::api`], or there is none.
    pub async fn value(&self, query: &str) -> anyhow::Result<f64> {
        let series = self.query(query).await?;
        let value = series.first().and_then(|one| one["value"][1].as_str());
        Ok(value
            .with_context(|| format!("{query}: no series"))?
            .parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A child that is already gone has nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.url, self.log());
        }
    }
}
