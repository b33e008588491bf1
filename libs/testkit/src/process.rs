//! A real binary of ours on a free port.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Samples, TempDir, client, eventually};

/// How long a service may take to listen.
const START: Duration = Duration::from_secs(30);

/// What to start and how.
#[derive(Debug)]
pub struct Spawn {
    binary: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    scheme: &'static str,
    listen: String,
}

impl Spawn {
    /// A binary with no flags but those of the harness.
    pub fn new(binary: impl AsRef<Path>) -> Self {
        Self {
            binary: binary.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            scheme: "http",
            listen: "127.0.0.1:0".to_owned(),
        }
    }

    /// Adds flags.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Addresses of the service begin with `https`.
    #[must_use]
    pub fn https(mut self) -> Self {
        self.scheme = "https";
        self
    }

    /// Listens elsewhere than on a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// It cannot be started, or ends or stays silent before it listens; the error carries what it logged.
    pub async fn start(self) -> anyhow::Result<Process> {
        let dir = TempDir::new()?;
        let port_file = dir.join("port");
        let mut command = Command::new(&self.binary);
        command
            .arg(format!("--web.listen-address={}", self.listen))
            .arg(format!("--web.port-file={}", port_file.display()))
            .args(&self.args)
            .envs(self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("{} cannot be started", self.binary.display()))?;
        let log = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    log.push_str(&line);
                    log.push('\n');
                }
            });
        }
        let mut process = Process {
            child,
            address: String::new(),
            scheme: self.scheme,
            log,
            client: client(),
            _dir: dir,
        };
        process.address = process.listening(&port_file).await?;
        Ok(process)
    }
}

/// A running service; it is killed on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    address: String,
    scheme: &'static str,
    log: Arc<Mutex<String>>,
    client: reqwest::Client,
    _dir: TempDir,
}

impl Process {
    /// Starts a binary with flags on a free port of 127.0.0.1 and waits until it listens.
    ///
    /// # Errors
    /// As [`Spawn::start`].
    pub async fn spawn(
        binary: impl AsRef<Path>,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> anyhow::Result<Self> {
        Spawn::new(binary).args(args).start().await
    }

    async fn listening(&mut self, port_file: &Path) -> anyhow::Result<String> {
        let began = std::time::Instant::now();
        loop {
            if let Ok(line) = std::fs::read_to_string(port_file) {
                return Ok(line.trim().to_owned());
            }
            if let Some(status) = self.child.try_wait()? {
                // What it wrote last may still be on its way through the pipe.
                tokio::time::sleep(Duration::from_millis(50)).await;
                bail!("ended with {status} before it listened:\n{}", self.log());
            }
            if began.elapsed() > START {
                bail!("does not listen after {START:?}:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The address it listens on, `127.0.0.1:41234`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The full address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote on standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Status and body of a GET.
    ///
    /// # Errors
    /// No whole response came.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let response = self.client.get(self.url(path)).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// Status and body of a POST.
    ///
    /// # Errors
    /// No whole response came.
    pub async fn post(
        &self,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> anyhow::Result<(u16, String)> {
        let response = self.client.post(self.url(path)).body(body).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// Scrapes `/metrics`.
    ///
    /// # Errors
    /// It does not answer 200, or not in the text format.
    pub async fn scrape(&self) -> anyhow::Result<Samples> {
        let (status, body) = self.get("/metrics").await?;
        anyhow::ensure!(status == 200, "metrics answered {status}: {body}");
        Samples::parse(&body)
    }

    /// Waits until `/-/ready` answers 200.
    ///
    /// # Errors
    /// It does not within `timeout`.
    pub async fn ready(&self, timeout: Duration) -> anyhow::Result<()> {
        eventually(timeout, || async {
            let (status, body) = self.get("/-/ready").await?;
            anyhow::ensure!(status == 200, "ready answered {status}: {body}");
            Ok(())
        })
        .await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// The process is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).context("process id")?;
        kill(Pid::from_raw(pid), signal).context("signal cannot be sent")
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// The process is gone.
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Asks it to reload with SIGHUP.
    ///
    /// # Errors
    /// The process is gone.
    pub fn hang_up(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGHUP)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It has not ended within `timeout`.
    pub async fn wait(&mut self, timeout: Duration) -> anyhow::Result<ExitStatus> {
        let began = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                // Lets the reader of its log see the end too.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return Ok(status);
            }
            if began.elapsed() > timeout {
                bail!("has not ended after {timeout:?}:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of process {}\n{}", self.child.id(), self.log());
        }
    }
}
