//! Installing what is missing: Debian packages by apt, the rest by verified download.
//!
//! A package of a daemon starts and enables that daemon, which nobody asked for: the stack and the lab
//! run their own copies. So while apt runs a `policy-rc.d` forbids starts (Debian's own interface for
//! that, invoke-rc.d(8)) unless the machine has one already, and afterwards the units that came with
//! the new packages are disabled. The hook forbids only while this process lives, so that a run that
//! is killed leaves nothing that matters.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

use crate::lab;
use crate::stack::fetch::agreed;
use crate::stack::programs::{ALERTMANAGER, Kind, MOSQUITTO, PROMETHEUS, on_path};
use crate::stack::{Download, Install, Programs};

/// Debian's hook that is asked before a package starts a daemon.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// Its exit status for "forbidden" (invoke-rc.d(8)).
const FORBIDDEN: i32 = 101;

/// `sotp-lab stack install`.
///
/// # Errors
/// A package could not be installed.
pub(crate) async fn run(install: &Install) -> anyhow::Result<ExitCode> {
    let Install {
        yes,
        no_lab,
        tests,
        story,
        programs,
        download,
    } = install;
    let scope = Scope {
        lab: !no_lab,
        tests: *tests,
        story: *story,
    };
    packages(&wanted(programs, scope).await, *yes, scope)?;
    downloads(programs, download, *yes).await?;
    let mut missing = Vec::new();
    for (kind, found) in programs.find_all().await {
        let Some(program) = found else {
            println!("{:13} missing", kind.name);
            missing.extend(kind.package.map(|_| kind.name));
            continue;
        };
        println!(
            "{:13} {:9} {}",
            kind.name,
            program.version,
            program.path.display()
        );
    }
    anyhow::ensure!(
        missing.is_empty(),
        "the stack needs {}",
        missing.join(" and ")
    );
    Ok(ExitCode::SUCCESS)
}

/// Downloads what is still missing after the packages.
///
/// # Errors
/// The list of pins is at fault.
pub(crate) async fn downloads(
    programs: &Programs,
    download: &Download,
    yes: bool,
) -> anyhow::Result<()> {
    let found = programs.find_all().await;
    let missing = found.into_iter().filter(|(_, found)| found.is_none());
    let missing: Vec<&Kind> = missing.map(|(kind, _)| kind).collect();
    download.fetch(programs, &missing, yes).await
}

/// What is wanted besides the stack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    /// The programs of the lab.
    pub(crate) lab: bool,
    /// What the tests of this project call.
    pub(crate) tests: bool,
    /// What the story of the demo plays in.
    pub(crate) story: bool,
}

/// The Debian packages that are missing, for the stack and for `scope`.
pub(crate) async fn wanted(programs: &Programs, scope: Scope) -> BTreeSet<&'static str> {
    let finder = programs.finder();
    let mut packages = BTreeSet::new();
    for kind in [&PROMETHEUS, &ALERTMANAGER] {
        if finder.find(kind).await.is_none() {
            packages.extend(kind.package);
        }
    }
    if on_path("nginx").is_none() {
        packages.insert("nginx-light");
    }
    if (scope.lab || scope.tests) && finder.find(&MOSQUITTO).await.is_none() {
        packages.extend(MOSQUITTO.package);
    }
    if scope.lab {
        packages.extend(lab::missing().into_iter().map(|(_, package)| package));
    }
    if scope.story {
        let missing = lab::missing_for_story();
        packages.extend(missing.into_iter().map(|(_, package)| package));
    }
    if scope.tests {
        let missing = lab::missing_for_tests();
        packages.extend(missing.into_iter().map(|(_, package)| package));
    }
    packages
}

/// Installs `packages`, after asking where somebody can be asked.
///
/// # Errors
/// They cannot be installed by this user, or apt failed; the error names the command to run.
pub(crate) fn packages(packages: &BTreeSet<&str>, yes: bool, scope: Scope) -> anyhow::Result<()> {
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
        return as_root(scope).with_context(|| by_hand);
    }
    let policy = Policy::forbid(Path::new(POLICY)).context(by_hand.clone())?;
    eprintln!("installing {list}; {}", policy.says());
    let before = units();
    // A fresh machine has no lists yet; where this fails the installation says what matters.
    let _ = apt_get().arg("update").status();
    let status = apt_get()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages)
        .status()?;
    drop(policy);
    disable(&before);
    anyhow::ensure!(status.success(), "apt-get ended with {status}; {by_hand}");
    Ok(())
}

/// apt-get, quiet, asking nothing, writing to standard error.
fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(["--quiet=2", "-o", "Dpkg::Use-Pty=0"])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(std::io::stderr());
    command
}

/// Runs this program's own `stack install` by sudo, which asks for the password itself.
fn as_root(scope: Scope) -> anyhow::Result<()> {
    let sudo = on_path("sudo").context("not root, and no sudo")?;
    let program = std::env::current_exe()?;
    let mut command = Command::new(sudo);
    command
        .arg("--")
        .arg(program)
        .args(["stack", "install", "--yes", "--no-download"]);
    if !scope.lab {
        command.arg("--no-lab");
    }
    for (wanted, flag) in [(scope.tests, "--tests"), (scope.story, "--story")] {
        if wanted {
            command.arg(flag);
        }
    }
    let status = command.status()?;
    anyhow::ensure!(status.success(), "sudo ended with {status}");
    Ok(())
}

/// The hook: forbids while the process `pid` lives, and takes itself away after that.
fn hook_text(pid: u32) -> String {
    format!(
        "#!/bin/sh\n\
         # Written by sotp-lab while it installs packages: their daemons shall not start.\n\
         if grep -q sotp /proc/{pid}/comm 2>/dev/null; then exit {FORBIDDEN}; fi\n\
         rm -f \"$0\"\n"
    )
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
                file.write_all(hook_text(std::process::id()).as_bytes())?;
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
    fn a_hook_that_was_left_behind_allows_and_takes_itself_away() {
        let folder = folder("left");
        let path = folder.join("policy-rc.d");
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        std::fs::write(&path, hook_text(gone.id())).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(
            Command::new(&path)
                .args(["frr", "start"])
                .status()
                .unwrap()
                .code(),
            Some(0)
        );
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
