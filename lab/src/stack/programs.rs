//! Which programs there are, where, and in which version.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// A program of somebody else's that the stack can run.
#[derive(Debug)]
pub(crate) struct Kind {
    /// The project's own name for it, and the name in `stack.toml`.
    pub(crate) name: &'static str,
    /// File names it goes by.
    pub(crate) files: &'static [&'static str],
    /// What its version line begins with; another program of the same name does not have it.
    pub(crate) says: &'static str,
    /// The Debian package that brings it, if one does.
    pub(crate) package: Option<&'static str>,
}

/// Prometheus, without which there is no stack.
pub(crate) const PROMETHEUS: Kind = Kind {
    name: "prometheus",
    files: &["prometheus"],
    says: "prometheus, version ",
    package: Some("prometheus"),
};
/// Alertmanager, without which there is no stack. Debian names the file after Prometheus.
pub(crate) const ALERTMANAGER: Kind = Kind {
    name: "alertmanager",
    files: &["alertmanager", "prometheus-alertmanager"],
    says: "alertmanager, version ",
    package: Some("prometheus-alertmanager"),
};
/// Grafana.
pub(crate) const GRAFANA: Kind = Kind {
    name: "grafana",
    files: &["grafana"],
    says: "grafana version ",
    package: None,
};
/// Loki. Debian's package `loki` is another program.
pub(crate) const LOKI: Kind = Kind {
    name: "loki",
    files: &["loki", "loki-linux-amd64", "loki-linux-arm64"],
    says: "loki, version ",
    package: None,
};
/// Tempo.
pub(crate) const TEMPO: Kind = Kind {
    name: "tempo",
    files: &["tempo"],
    says: "tempo, version ",
    package: None,
};

/// Mosquitto, the MQTT broker of a lab. It has no `--version`, and says its version in what it says about that.
pub(crate) const MOSQUITTO: Kind = Kind {
    name: "mosquitto",
    files: &["mosquitto"],
    says: "mosquitto version ",
    package: Some("mosquitto"),
};

/// A program that was found and said its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it says it is.
    pub(crate) version: String,
}

/// Finds programs in a folder of the user's and on `PATH`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Finder {
    /// Folders searched first, and one and two levels below them: where unpacked archives lie.
    pub(crate) folders: Vec<PathBuf>,
}

impl Finder {
    /// The first program of this kind that says it is one.
    pub(crate) async fn find(&self, kind: &Kind) -> Option<Program> {
        let mut places: Vec<PathBuf> = self
            .folders
            .iter()
            .flat_map(|folder| below(folder))
            .collect();
        places.extend(path_folders());
        for place in places {
            for file in kind.files {
                let path = place.join(file);
                if executable(&path)
                    && let Some(version) = version(&path, kind.says).await
                {
                    return Some(Program { path, version });
                }
            }
        }
        None
    }
}

/// The folder and those up to two levels below, a `bin` at each level included; at most a few hundred.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_path_buf()];
    for level in [0, 1] {
        let from = found.clone();
        for parent in from
            .iter()
            .filter(|path| path.components().count() == folder.components().count() + level)
        {
            let Ok(entries) = std::fs::read_dir(parent) else {
                continue;
            };
            let folders = entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.is_dir());
            let mut folders: Vec<PathBuf> = folders.take(200).collect();
            // Of two unpacked versions the higher comes first.
            folders.sort_by(|a, b| b.cmp(a));
            found.extend(folders);
        }
    }
    found
}

fn path_folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Daemons live in sbin, which an ordinary user's PATH lacks.
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders
}

/// The first executable file of this name on `PATH`.
pub(crate) fn on_path(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    path_folders()
        .into_iter()
        .map(|folder| folder.join(name.as_ref()))
        .find(|path| executable(path))
}

/// Whether `path` is a file that may be run.
pub(crate) fn executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The version `program --version` tells in a line that begins with `says`.
async fn version(program: &Path, says: &str) -> Option<String> {
    let run = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(10), run).await.ok()?.ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let rest = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(says))?;
    rest.split_whitespace().next().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(path: &Path, says: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn the_users_folder_comes_first_and_namesakes_are_passed_over() {
        let folder = std::env::temp_dir().join(format!("sotp-programs-{}", std::process::id()));
        script(
            &folder.join("loki"),
            "Loki, a program for linkage analysis, 2.4.7",
        );
        script(
            &folder.join("loki-3.7.6/loki-linux-amd64"),
            "loki, version 3.7.6 (branch: main)",
        );
        script(
            &folder.join("grafana-13.1.0/bin/grafana"),
            "grafana version 13.1.0",
        );
        script(
            &folder.join("grafana-13.2.0/bin/grafana"),
            "grafana version 13.2.0",
        );
        let finder = Finder {
            folders: vec![folder.clone()],
        };
        let loki = finder.find(&LOKI).await.unwrap();
        assert_eq!(
            loki,
            Program {
                path: folder.join("loki-3.7.6/loki-linux-amd64"),
                version: "3.7.6".into()
            }
        );
        assert_eq!(finder.find(&GRAFANA).await.unwrap().version, "13.2.0");
        assert_eq!(finder.find(&TEMPO).await, None);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn debians_alertmanager_is_found_under_its_own_name() {
        let found = Finder::default()
            .find(&ALERTMANAGER)
            .await
            .expect("package prometheus-alertmanager");
        assert!(found.version.split('.').count() >= 3, "{found:?}");
    }
}
