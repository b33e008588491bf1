//! Programs of Debian packages that cannot be installed here, unpacked into the build's own folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::TempDir;

/// The files of a package and of what it depends on, beside the system and not in it.
#[derive(Debug, Clone)]
pub struct Unpacked(PathBuf);

impl Unpacked {
    /// Unpacks `package` and those of its dependencies that are not installed into `target/debian/`, once.
    ///
    /// The packages come through the machine's own apt. Neither root nor an installation is needed, and packages that
    /// exclude each other stand side by side.
    ///
    /// # Errors
    /// There is no apt, or it cannot get a package; the text says what it answered.
    pub fn new(package: &str) -> anyhow::Result<Self> {
        let shelf = shelf();
        let place = shelf.join(package);
        if place.is_dir() {
            return Ok(Self(place));
        }
        std::fs::create_dir_all(&shelf).with_context(|| shelf.display().to_string())?;
        let packages = needed(package)?;
        let folder = TempDir::new()?;
        run(Command::new("apt-get")
            .args(["-q", "-o", "APT::Sandbox::User=root", "download"])
            .args(&packages)
            .current_dir(folder.path()))?;
        // Beside its place and then renamed: another test may do the same at this moment.
        let beside = shelf.join(format!("{package}.{}", std::process::id()));
        for entry in std::fs::read_dir(folder.path())? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "deb") {
                run(Command::new("dpkg").arg("-x").arg(&path).arg(&beside))?;
            }
        }
        if std::fs::rename(&beside, &place).is_err() {
            std::fs::remove_dir_all(&beside)?;
        }
        if !place.is_dir() {
            bail!("{} was not made", place.display());
        }
        Ok(Self(place))
    }

    /// A path inside the packages, as in `usr/sbin/syslog-ng`.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.0.join(inside)
    }

    /// A call of a program of the packages with their libraries before the system's.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut libraries = Vec::new();
        for folder in ["usr/lib", "lib"] {
            collect(&self.path(folder), &mut libraries);
        }
        let mut command = Command::new(self.path(program));
        if let Ok(all) = std::env::join_paths(libraries) {
            command.env("LD_LIBRARY_PATH", all);
        }
        command
    }
}

/// syslog-ng in the foreground with a configuration and its own state in `folder`; the configuration begins with
/// `@version: current`. Debian's package excludes rsyslog's, so it is [`Unpacked`] rather than installed.
///
/// # Errors
/// The package cannot be had.
pub fn syslog_ng(config: &Path, folder: &Path) -> anyhow::Result<Command> {
    let unpacked = Unpacked::new("syslog-ng-core")?;
    let modules = std::fs::read_dir(unpacked.path("usr/lib/syslog-ng"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.is_dir())
        .context("syslog-ng-core without modules")?;
    let mut command = unpacked.command("usr/sbin/syslog-ng");
    command
        .args(["--foreground", "--no-caps", "--cfgfile"])
        .arg(config)
        .arg("--module-path")
        .arg(modules)
        .arg("--persist-file")
        .arg(folder.join("syslog-ng.persist"))
        .arg("--pidfile")
        .arg(folder.join("syslog-ng.pid"))
        .arg("--control")
        .arg(folder.join("syslog-ng.ctl"));
    Ok(command)
}

/// `target/debian`, or a folder of its own among temporary ones when the program does not run out of a build.
fn shelf() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors()
        .find(|folder| folder.ends_with("debug") || folder.ends_with("release"))
        .and_then(Path::parent)
        .map_or_else(
            || std::env::temp_dir().join(format!("sotp-debian-{}", nix::unistd::getuid())),
            |target| target.join("debian"),
        )
}

/// The package and everything that it depends on and that is not installed.
fn needed(package: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut open = vec![package.to_owned()];
    while let Some(name) = open.pop() {
        if found.len() >= 60 {
            bail!("{package} needs more than 60 packages that are not installed");
        }
        let text = run(Command::new("apt-cache").args([
            "depends",
            "--no-recommends",
            "--no-suggests",
            "--no-conflicts",
            "--no-breaks",
            "--no-replaces",
            "--no-enhances",
            &name,
        ]))?;
        found.insert(name);
        // ` |Depends:` goes on with an alternative in the next line.
        let mut group: Vec<String> = Vec::new();
        for line in text.lines() {
            let Some((kind, wanted)) = line.split_once("epends: ") else {
                continue;
            };
            group.push(wanted.trim().to_owned());
            if kind.trim_start().starts_with('|') {
                continue;
            }
            let all = std::mem::take(&mut group);
            if all
                .iter()
                .any(|name| name.starts_with('<') || installed(name))
            {
                continue;
            }
            open.extend(all.into_iter().take(1).filter(|name| !found.contains(name)));
        }
    }
    Ok(found)
}

fn installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status}", package])
        .output()
        .is_ok_and(|out| out.stdout.starts_with(b"installed"))
}

/// Folders with shared objects, the outer ones first.
fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    if paths
        .iter()
        .any(|path| path.to_string_lossy().contains(".so"))
    {
        into.push(folder.to_path_buf());
    }
    for path in paths.iter().filter(|path| path.is_dir()) {
        collect(path, into);
    }
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.output().with_context(|| name.clone())?;
    if !out.status.success() {
        let text = String::from_utf8_lossy(&out.stderr);
        let last = text.lines().rfind(|l| l.starts_with("E:"));
        bail!("{name}: {}", last.unwrap_or(text.trim()));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syslog_ng_runs_out_of_its_unpacked_packages_alone() {
        let folder = TempDir::new().unwrap();
        let config = folder.join("ng.conf");
        std::fs::write(
            &config,
            "@version: current\nsource s { internal(); };\ndestination d { file(\"/dev/null\"); };\n\
             log { source(s); destination(d); };\n",
        )
        .unwrap();
        let mut command = match syslog_ng(&config, folder.path()) {
            Ok(command) => command,
            Err(error) => return crate::skip(format!("syslog-ng: {error:#}")),
        };
        let mut child = command.spawn().unwrap();
        let control = folder.join("syslog-ng.ctl");
        let begin = std::time::Instant::now();
        while !control.exists() && begin.elapsed() < std::time::Duration::from_secs(30) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
        let _ = child.kill();
        let _ = child.wait();
        let own: BTreeSet<&str> = maps
            .lines()
            .filter_map(|l| l.split_whitespace().nth(5))
            .filter(|path| {
                path.contains("syslog-ng") && !path.starts_with(&*folder.path().to_string_lossy())
            })
            .collect();
        let shelf = shelf();
        assert!(own.len() >= 3, "{maps}");
        assert!(
            own.iter().all(|path| Path::new(path).starts_with(&shelf)),
            "{own:#?}"
        );
    }

    #[test]
    fn what_apt_does_not_know_is_an_error_that_names_it() {
        let error = Unpacked::new("no-such-package-of-debian").unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("no-such-package-of-debian") || text.contains("apt"),
            "{text}"
        );
    }
}
