//! Finding the programs of others, and downloading those that are missing and pinned.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;

use super::args::{Download, Programs};
use super::download::{self, Error};
use super::http;
use super::pins::Pins;
use super::programs::{ALERTMANAGER, Finder, GRAFANA, Kind, LOKI, PROMETHEUS, Program, TEMPO};

/// Every program of others that the stack knows, the needed ones first.
pub(crate) const ALL: [&Kind; 5] = [&PROMETHEUS, &ALERTMANAGER, &GRAFANA, &LOKI, &TEMPO];

impl Programs {
    /// The folder that is searched first and that downloads go to.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        let cache = || cache().map(|base| base.join("sotp/stack"));
        let folder = self.stack_dir.clone().or_else(cache)?;
        std::path::absolute(folder).ok()
    }

    /// What searches that folder and `PATH`.
    pub(crate) fn finder(&self) -> Finder {
        Finder {
            folders: self.folder().into_iter().collect(),
        }
    }

    /// The programs that are there, by name.
    pub(crate) async fn find_all(&self) -> Vec<(&'static Kind, Option<Program>)> {
        let finder = self.finder();
        let mut found = Vec::new();
        for kind in ALL {
            found.push((kind, finder.find(kind).await));
        }
        found
    }
}

impl Download {
    /// Downloads those of `kinds` that are pinned into the folder of `programs`, one after the other.
    /// Nothing here is fatal: what cannot be had is said in one line each, and no network in one line
    /// for all.
    ///
    /// # Errors
    /// The list of pins is at fault.
    pub(crate) async fn fetch(
        &self,
        programs: &Programs,
        kinds: &[&Kind],
        yes: bool,
    ) -> anyhow::Result<()> {
        let pins = Pins::load(self.pins.as_deref())?;
        let pinned: Vec<_> = kinds
            .iter()
            .filter_map(|kind| pins.get(kind.name))
            .collect();
        let names: Vec<String> = pinned
            .iter()
            .map(|pin| format!("{} {}", pin.name, pin.version))
            .collect();
        let Some(folder) = programs.folder().filter(|_| !pinned.is_empty()) else {
            return Ok(());
        };
        let question = format!("Download {} into {}?", names.join(", "), folder.display());
        if self.no_download || !(yes || agreed(&question)) {
            return Ok(());
        }
        let https_only = pinned.iter().all(|pin| pin.url.starts_with("https:"));
        let client = match http::publishers(https_only) {
            Ok(client) => client,
            Err(error) => {
                eprintln!("going on without {}: {error}", names.join(", "));
                return Ok(());
            }
        };
        for pin in pinned {
            eprintln!("downloading {} {} from {}", pin.name, pin.version, pin.url);
            match download::fetch(&client, pin, &folder).await {
                Ok(place) => eprintln!(
                    "{} {} verified and unpacked in {}",
                    pin.name,
                    pin.version,
                    place.display()
                ),
                Err(Error::Offline(host)) => {
                    eprintln!(
                        "no network ({host} cannot be reached): going on without {}",
                        names.join(", ")
                    );
                    return Ok(());
                }
                Err(error) => eprintln!(
                    "going on without {}: {:#}",
                    pin.name,
                    anyhow::Error::from(error)
                ),
            }
        }
        Ok(())
    }
}

/// Whether the user says yes. Without a terminal nobody can be asked: root, as in CI and images, means yes; for an
/// ordinary user it is no. A "no" is remembered, and the same is not asked again.
pub(crate) fn agreed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return nix::unistd::geteuid().is_root();
    }
    let refusals = cache().map(|cache| Refusals(cache.join("sotp/refused")));
    if let Some(refusals) = refusals.as_ref().filter(|all| all.has(question)) {
        let file = refusals.0.display();
        eprintln!("{question} You said no before; to be asked again, remove {file}");
        return false;
    }
    eprint!("{question} [Y/n] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer).unwrap_or(0);
    let answer = answer.trim().to_ascii_lowercase();
    let yes = read > 0 && matches!(answer.as_str(), "" | "y" | "yes");
    if let Some(refusals) = refusals.filter(|_| read > 0 && !yes) {
        // Where it cannot be kept it is asked again.
        let _ = refusals.add(question);
    }
    yes
}

/// Where programs keep what can be had again.
fn cache() -> Option<PathBuf> {
    let xdg = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    xdg.or_else(home)
}

/// Questions that were answered with no, one a line of a file.
struct Refusals(PathBuf);

impl Refusals {
    fn has(&self, question: &str) -> bool {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().any(|line| line == question)
    }

    fn add(&self, question: &str) -> std::io::Result<()> {
        if let Some(folder) = self.0.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0)?;
        writeln!(file, "{question}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_no_is_remembered_for_the_same_question() {
        let folder = testkit::TempDir::new().unwrap();
        let refusals = Refusals(folder.join("cache/refused"));
        assert!(!refusals.has("Download Grafana?"));
        refusals.add("Download Grafana?").unwrap();
        refusals.add("Download Loki?").unwrap();
        assert!(refusals.has("Download Grafana?") && refusals.has("Download Loki?"));
        assert!(!refusals.has("Download Tempo?"));
    }
}
