//! Installing what is missing: Debian packages by apt, the rest by verified download.
//!
//! A package of a daemon starts and enables that daemon, which nobody asked for: the stack and the lab
//! run their own copies. So while apt runs a `policy-rc.d` forbids starts (Debian's own interface for
//! that, invoke-rc.d(8)) unless the machine has one already, and afterwards the units that came with
//! the new packages are disabled.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

use crate::lab;
use crate::stack::fetch::agreed;
use crate::stack::programs::{ALERTMANAGER, Kind, PROMETHEUS, on_path};
use crate::stack::{Fetch, Install};

/// Debian's hook that is asked before a package starts a daemon.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// Its exit status for "forbidden" (invoke-rc.d(8)).
const FORBIDDEN: i32 = 101;

/// `sotp-lab stack install`.
///
/// # Errors
/// A package could not be installed.
pub(crate) async fn run(install: &Install) -> anyhow::Result<ExitCode> {
    packages(&wanted(&install.fetch, !install.no_lab).await, install.yes)?;
    downloads(&install.fetch).await?;
    for (kind, found) in install.fetch.find_all().await {
        match found {
            Some(program) => println!(
                "{:13} {:9} {}",
                kind.name,
                program.version,
                program.path.display()
            ),
            None => println!("{:13} missing", kind.name),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Downloads what is still missing after the packages.
///
/// # Errors
/// The list of pins is at fault.
pub(crate) async fn downloads(fetch: &Fetch) -> anyhow::Result<()> {
    let missing: Vec<&Kind> = fetch
        .find_all()
        .await
        .into_iter()
        .filter(|(_, found)| found.is_none())
        .map(|(kind, _)| kind)
        .collect();
    fetch.download(&missing).await
}

/// The Debian packages that are missing, for the stack and, if asked for, for the lab.
pub(crate) async fn wanted(fetch: &Fetch, with_lab: bool) -> BTreeSet<&'static str> {
    let finder = fetch.finder();
    let mut packages = BTreeSet::new();
    for kind in [&PROMETHEUS, &ALERTMANAGER] {
        if finder.find(kind).await.is_none() {
            packages.extend(kind.package);
        }
    }
    if with_lab {
        packages.extend(lab::missing().into_iter().map(|(_, package)| package));
    }
    packages
}

/// Installs `packages`, after asking where somebody can be asked.
///
/// # Errors
/// They cannot be installed by this user, or apt failed; the error names the command to run.
pub(crate) fn packages(packages: &BTreeSet<&str>, yes: bool) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.iter().copied().collect::<Vec<_>>().join(" ");
    let by_hand = format!(
        "missing Debian packages; install them with\n  sudo apt-get install --no-install-recommends {list}"
    );
    anyhow::ensure!(
        on_path("apt-get").is_some(),
        "{by_hand}\n(no apt-get here: the same programs from elsewhere do as well)"
    );
    if !yes && !agreed(&format!("Install the Debian packages {list}?")) {
        anyhow::bail!("{by_hand}");
    }
    if !nix::unistd::geteuid().is_root() {
        return as_root().with_context(|| by_hand);
    }
    let policy = Policy::forbid(Path::new(POLICY)).context(by_hand.clone())?;
    eprintln!("installing {list}; {}", policy.says());
    let before = units();
    let status = Command::new("apt-get")
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()?;
    drop(policy);
    disable(&before);
    anyhow::ensure!(status.success(), "apt-get ended with {status}; {by_hand}");
    Ok(())
}

/// Runs this program's own `stack install` by sudo, which asks for the password itself.
fn as_root() -> anyhow::Result<()> {
    let sudo = on_path("sudo").context("not root, and no sudo")?;
    let program = std::env::current_exe()?;
    let status = Command::new(sudo)
        .arg("--")
        .arg(program)
        .args(["stack", "install", "--yes", "--no-download"])
        .status()?;
    anyhow::ensure!(status.success(), "sudo ended with {status}");
    Ok(())
}

/// No daemon is started by a package while this value lives.
struct Policy {
    ours: Option<PathBuf>,
}

impl Policy {
    /// Puts the hook in place, unless there is one that forbids already.
    fn forbid(path: &Path) -> anyhow::Result<Self> {
        let hook = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(path);
        match hook {
            Ok(mut file) => {
                // From here on the hook is removed, whatever happens.
                let policy = Self {
                    ours: Some(path.to_path_buf()),
                };
                file.write_all(format!("#!/bin/sh\nexit {FORBIDDEN}\n").as_bytes())?;
                Ok(policy)
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let answer = Command::new(path)
                    .args(["prometheus", "start"])
                    .stdin(Stdio::null())
                    .output()?;
                anyhow::ensure!(
                    answer.status.code() == Some(FORBIDDEN),
                    "{} exists and allows packages to start their daemons",
                    path.display()
                );
                Ok(Self { ours: None })
            }
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    fn says(&self) -> &'static str {
        if self.ours.is_some() {
            "a policy-rc.d keeps their daemons from starting, and is removed afterwards"
        } else {
            "this machine's own policy-rc.d keeps their daemons from starting"
        }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Some(path) = &self.ours {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The service units on this machine.
fn units() -> BTreeSet<String> {
    let folders = ["/lib/systemd/system", "/usr/lib/systemd/system"];
    let entries = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.ends_with(".service") && !name.contains('@'))
        .collect()
}

/// Disables the units that were not there `before`, so that they do not start at the next boot either.
fn disable(before: &BTreeSet<String>) {
    let new: Vec<String> = units().difference(before).cloned().collect();
    if new.is_empty() || on_path("systemctl").is_none() {
        return;
    }
    let status = Command::new("systemctl")
        .arg("disable")
        .args(&new)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let said = if status.is_ok_and(|status| status.success()) {
        "disabled"
    } else {
        "could not be disabled, look at"
    };
    eprintln!("{said}: {}", new.join(" "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("sotp-doctor-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_hook_forbids_while_it_is_needed_and_is_gone_after() {
        let folder = folder("own");
        let path = folder.join("policy-rc.d");
        let policy = Policy::forbid(&path).unwrap();
        assert!(policy.says().contains("removed afterwards"));
        let answer = Command::new(&path).args(["frr", "start"]).status().unwrap();
        assert_eq!(answer.code(), Some(FORBIDDEN));
        drop(policy);
        assert!(!path.exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_hook_of_the_machines_own_is_respected_and_stays() {
        let folder = folder("other");
        let path = folder.join("policy-rc.d");
        let hook = |code: i32| {
            std::fs::write(&path, format!("#!/bin/sh\nexit {code}\n")).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        };
        hook(FORBIDDEN);
        drop(Policy::forbid(&path).unwrap());
        assert!(path.exists());
        hook(0);
        let error = Policy::forbid(&path).map(|_| ()).unwrap_err().to_string();
        assert!(
            error.ends_with("exists and allows packages to start their daemons"),
            "{error}"
        );
        assert!(path.exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
