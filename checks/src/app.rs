//! The app plugin for Grafana, built from npm: sources in `dashboards/app`, everything that is made of them in `target/app`.
//!
//! npm works on a copy, so that the thousands of files that it installs never lie among the sources, where Grafana would take
//! each `package.json` for a dashboard. What is there and still fits is not made again.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::root;

/// How long npm may install, and how long one step after it may take.
const INSTALL: Duration = Duration::from_secs(540);
const STEP: Duration = Duration::from_secs(300);

/// What is made of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The plugin's folder, its types checked.
    Plugin,
    /// The same, after its own tests passed.
    Tested,
    /// The page around it for tests in a browser.
    Host,
}

/// The folders that there are after a build.
#[derive(Clone, Debug)]
pub struct App(PathBuf);

impl App {
    /// The plugin, as Grafana wants it.
    #[must_use]
    pub fn plugin(&self) -> PathBuf {
        self.0.join("dist")
    }

    /// The scripts of the page around it.
    #[must_use]
    pub fn host(&self) -> PathBuf {
        self.0.join("host-dist")
    }

    /// Runs Node.js where the packages are: whether it ended well, and what it wrote when `input` was given to it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn node(&self, arguments: &[&str], input: &str) -> anyhow::Result<(bool, String)> {
        let mut child = Command::new("node")
            .args(arguments)
            .current_dir(&self.0)
            .env("PATH", with_own_node(&self.0)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(mut writer) = child.stdin.take() {
            writer.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.success(), said))
    }

    /// A file of a package from npm.
    #[must_use]
    pub fn package(&self, path: &str) -> PathBuf {
        self.0.join("node_modules").join(path)
    }
}

/// Why it cannot be built here; `None` where it can.
#[must_use]
pub fn missing() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join("npm").is_file());
    (!there).then(|| "no npm on PATH (Debian packages nodejs and npm)".to_owned())
}

/// Makes what is asked for, if it is not there yet.
///
/// # Errors
/// npm, the compiler or a test fails, or takes too long; what they said was printed.
pub fn build(parts: &[Part]) -> anyhow::Result<App> {
    let (sources, work) = (root().join("dashboards/app"), root().join("target/app"));
    std::fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
    // Tests of several processes want it at the same time.
    let lock = std::fs::File::create(work.join(".lock"))?;
    lock.lock().context("target/app/.lock")?;
    copy(&sources, &work)?;
    let npm = |args: &[&str], within| run(&work, args, within);
    let packages = hashed(&[work.join("package-lock.json")])?;
    once(&work.join("node_modules/.made"), packages, || {
        let install = ["ci", "--no-audit", "--no-fund"];
        if version()? >= 10 {
            return npm(&install, INSTALL);
        }
        // Debian 12's npm 9 stumbles over a git address in the packages of Grafana; it can fetch one that does not.
        let newer = ["exec", "--yes", "--package=npm@10.9.4", "--", "npm"];
        npm(&[&newer[..], &install].concat(), INSTALL)
    })?;
    let files = files(&sources)?;
    let of_host = |path: &Path| path.starts_with(sources.join("host"));
    let own: Vec<PathBuf> = files
        .iter()
        .filter(|path| !of_host(path))
        .cloned()
        .collect();
    let own = hashed(&own)?;
    for part in parts {
        match part {
            Part::Plugin => once(&work.join("dist/.made"), own, || {
                npm(&["run", "-s", "check"], STEP)?;
                npm(&["run", "-s", "build"], STEP)
            })?,
            Part::Tested => once(&work.join("dist/.tested"), own, || {
                npm(&["test", "-s"], STEP)
            })?,
            Part::Host => {
                let host: Vec<PathBuf> =
                    files.iter().filter(|path| of_host(path)).cloned().collect();
                once(
                    &work.join("host-dist/.made"),
                    packages ^ hashed(&host)?,
                    || npm(&["run", "-s", "host"], STEP),
                )?;
            }
        }
    }
    Ok(App(work))
}

/// Does something unless `mark` says that it was done for this very content.
fn once(
    mark: &Path,
    content: u64,
    make: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let content = format!("{content:016x}");
    if std::fs::read_to_string(mark).is_ok_and(|known| known == content) {
        return Ok(());
    }
    make()?;
    std::fs::write(mark, content).with_context(|| mark.display().to_string())
}

/// The major version of npm.
fn version() -> anyhow::Result<u32> {
    let said = Command::new("npm").arg("--version").output()?;
    let text = String::from_utf8_lossy(&said.stdout);
    let major = text
        .trim()
        .split('.')
        .next()
        .and_then(|text| text.parse().ok());
    major.with_context(|| format!("npm --version says {text:?}"))
}

/// `PATH` with the Node.js that the packages bring before others: Debian's own may be older than they take.
fn with_own_node(folder: &Path) -> anyhow::Result<OsString> {
    let packages = folder.join("node_modules");
    let own = ["x64", "arm64"].map(|kind| packages.join(format!("node-linux-{kind}/bin")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(
        own.into_iter().chain(std::env::split_paths(&path)),
    )?)
}

/// One call of npm.
fn run(folder: &Path, args: &[&str], within: Duration) -> anyhow::Result<()> {
    let what = format!("npm {}", args.join(" "));
    let mut child = Command::new("npm")
        .args(args)
        .current_dir(folder)
        .env("PATH", with_own_node(folder)?)
        .env("npm_config_update_notifier", "false")
        .env("CI", "true")
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| what.clone())?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            anyhow::ensure!(status.success(), "{what} in {}: {status}", folder.display());
            return Ok(());
        }
        if began.elapsed() > within {
            let _ = child.kill();
            let _ = child.wait();
            bail!("{what} took longer than {} s", within.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every file of the sources.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = crate::files(folder, "")?;
    files.retain(|path| {
        !path
            .components()
            .any(|step| step.as_os_str() == "node_modules")
    });
    Ok(files)
}

/// Brings the copy up to date: what is gone from the sources goes from it too.
fn copy(sources: &Path, work: &Path) -> anyhow::Result<()> {
    const MADE: [&str; 4] = ["node_modules", "dist", "host-dist", ".lock"];
    for entry in std::fs::read_dir(work)? {
        let entry = entry?;
        if MADE.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    for file in files(sources)? {
        let to = work.join(file.strip_prefix(sources)?);
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::copy(&file, &to).with_context(|| to.display().to_string())?;
    }
    Ok(())
}

/// What files are called and hold, in one number.
pub(crate) fn hashed(files: &[PathBuf]) -> anyhow::Result<u64> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.hash(&mut hasher);
        let content = std::fs::read(file).with_context(|| file.display().to_string())?;
        content.hash(&mut hasher);
    }
    Ok(hasher.finish())
}
