//! The binary as an unprivileged process in the namespace of the calling thread.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use testkit::{Samples, Signal, TempDir, eventually};

use testkit::namespace::{NOBODY, Namespace};

const ADDRESS: &str = "127.0.0.1:19427";

/// A folder with the binary, its inventory and its configuration, readable by everybody.
#[derive(Clone)]
pub(crate) struct Files {
    dir: Rc<TempDir>,
}

impl Files {
    pub(crate) fn new(inventory: &str, config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        dir.program(env!("CARGO_BIN_EXE_sotp-ping")).unwrap();
        let files = Self { dir: Rc::new(dir) };
        files.write("inventory.yaml", inventory);
        files.write("ping.yaml", config);
        files
    }

    fn binary(&self) -> PathBuf {
        self.dir.join("sotp-ping")
    }

    /// Where a file of it is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a file whole.
    pub(crate) fn write(&self, name: &str, text: &str) {
        self.dir.write(name, text).unwrap();
        std::fs::set_permissions(self.dir.join(name), PermissionsExt::from_mode(0o644)).unwrap();
    }

    /// A command that runs the binary as nobody and without a capability.
    fn command(&self, namespace: &Namespace) -> Command {
        let mut command = self.bare(namespace);
        self.flags(&mut command);
        command
    }

    fn bare(&self, namespace: &Namespace) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]);
        if namespace.can_change_user {
            command
                .arg(format!("--reuid={NOBODY}"))
                .arg(format!("--regid={NOBODY}"));
            command.arg("--clear-groups");
        }
        command.arg(self.binary());
        command
    }

    fn flags(&self, command: &mut Command) {
        command
            .arg(format!("--web.listen-address={ADDRESS}"))
            .arg(format!(
                "--inventory.source={}",
                self.dir.join("inventory.yaml").display()
            ))
            .arg(format!(
                "--config.file={}",
                self.dir.join("ping.yaml").display()
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
    }

    /// Starts the service and waits until it is ready.
    pub(crate) async fn start(&self, namespace: &Namespace) -> Service {
        Service::start(self.command(namespace), self.clone()).await
    }

    /// The same with these flags beside its own.
    pub(crate) async fn start_as_nobody(&self, namespace: &Namespace, flags: &[&str]) -> Service {
        let mut command = self.command(namespace);
        command.args(flags);
        Service::start(command, self.clone()).await
    }

    /// Starts the service with all rights of the test, and these flags.
    pub(crate) async fn start_privileged(&self, flags: &[&str]) -> Service {
        let mut command = Command::new(self.binary());
        self.flags(&mut command);
        command.args(flags);
        Service::start(command, self.clone()).await
    }

    /// Starts the service as nobody with these flags alone beside its address.
    pub(crate) async fn start_with(&self, namespace: &Namespace, flags: &[String]) -> Service {
        let mut command = self.bare(namespace);
        command
            .arg(format!("--web.listen-address={ADDRESS}"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Service::start(command, self.clone()).await
    }

    /// Runs the program with these arguments alone to its end: its exit code, and what it wrote.
    pub(crate) fn ping(&self, namespace: &Namespace, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.bare(namespace).args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    /// Runs the service to its end: how it ended and what it wrote on standard error.
    pub(crate) fn run(&self, namespace: &Namespace) -> (ExitStatus, String) {
        self.run_with(namespace, &[])
    }

    /// The same, with these flags too.
    pub(crate) fn run_with(&self, namespace: &Namespace, flags: &[&str]) -> (ExitStatus, String) {
        let output = self.command(namespace).args(flags).output().unwrap();
        (
            output.status,
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }
}

/// A running service; ended with the test.
pub(crate) struct Service {
    child: Child,
    client: reqwest::Client,
    /// Kept for as long as the process may read them.
    _files: Files,
}

impl Service {
    async fn start(mut command: Command, files: Files) -> Self {
        let child = command.spawn().unwrap();
        let mut service = Self {
            child,
            client: testkit::client(),
            _files: files,
        };
        for _ in 0..1_000 {
            if service.get("/-/ready").await.is_some() {
                return service;
            }
            assert!(
                service.child.try_wait().unwrap().is_none(),
                "ended: {}",
                service.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not ready: {}", service.log());
    }

    async fn get(&self, path: &str) -> Option<String> {
        let response = self
            .client
            .get(format!("http://{ADDRESS}{path}"))
            .send()
            .await
            .ok()?;
        response.error_for_status().ok()?.text().await.ok()
    }

    /// A page that must be there.
    pub(crate) async fn page(&self, path: &str) -> String {
        self.get(path).await.unwrap_or_else(|| panic!("{path}"))
    }

    /// Where a page is.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{ADDRESS}{path}")
    }

    /// The status a page is answered with.
    pub(crate) async fn status(&self, path: &str) -> u16 {
        let url = format!("http://{ADDRESS}{path}");
        self.client.get(url).send().await.unwrap().status().as_u16()
    }

    /// Asks it to end as a service manager does: how it ended and what it wrote on standard error.
    pub(crate) fn terminate(mut self) -> (ExitStatus, String) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        let status = self.child.wait().unwrap();
        (status, self.log())
    }

    /// Stops it and answers what it wrote on standard error.
    pub(crate) fn log(&mut self) -> String {
        let _ = self.child.kill();
        let mut log = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut log);
        }
        log
    }

    /// Capability sets of the process, as `/proc` gives them.
    pub(crate) fn capabilities(&self) -> Vec<String> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let sets = status.lines().filter(|line| line.starts_with("Cap"));
        sets.filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned))
            .collect()
    }

    /// Scrapes, and checks that the counters of every target balance.
    pub(crate) async fn scrape(&self) -> Samples {
        let page = self.get("/metrics").await.expect("metrics");
        let samples = Samples::parse(&page).unwrap();
        for sample in samples.select("ping_requests_total", &[]) {
            let labels: Vec<_> = sample
                .labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let sum = [
                "ping_responses_total",
                "ping_lost_total",
                "ping_errors_total",
                "ping_in_flight",
            ]
            .into_iter()
            .map(|name| samples.sum(name, &labels))
            .sum::<f64>();
            assert_eq!(sample.value, sum, "requests of {labels:?}");
            let failed = samples.value("ping_failed_total", &labels);
            let reasons = samples.sum("ping_errors_total", &labels);
            assert_eq!(failed, Some(reasons), "reasons of {labels:?}");
            let count = samples.value("ping_rtt_seconds_count", &labels);
            assert_eq!(
                count,
                samples.value("ping_responses_total", &labels),
                "{labels:?}"
            );
        }
        samples
    }

    /// Scrapes until `what` holds; after ten seconds the test fails with `name` and the last scrape.
    pub(crate) async fn until(&self, name: &str, what: impl Fn(&Samples) -> bool) -> Samples {
        let ask = || async {
            let samples = self.scrape().await;
            let shown = || {
                let lines = samples.all().iter().filter(|sample| {
                    sample.name.starts_with("ping_")
                        && !sample.name.contains("bucket")
                        && sample.value != 0.0
                });
                lines
                    .map(|sample| format!("{sample:?}\n"))
                    .collect::<String>()
            };
            anyhow::ensure!(what(&samples), "{name}:\n{}", shown());
            Ok(samples)
        };
        eventually(Duration::from_secs(30), ask)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let log = self.log();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of sotp-ping\n{log}");
        }
    }
}

/// The value of a series of one target, 0 when it is not there.
pub(crate) fn of(samples: &Samples, name: &str, device: &str, family: &str) -> f64 {
    samples.sum(name, &[("device", device), ("family", family)])
}

/// `ping_errors_total` of one target and reason.
pub(crate) fn errors(samples: &Samples, device: &str, family: &str, reason: &str) -> f64 {
    let labels = [("device", device), ("family", family), ("reason", reason)];
    samples.sum("ping_errors_total", &labels)
}
