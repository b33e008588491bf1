//! Finding the programs of others, and downloading those that are missing and pinned.

use std::io::IsTerminal;
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
        let cache = || {
            let xdg = std::env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .filter(|path| path.is_absolute());
            let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
            xdg.or_else(home).map(|base| base.join("sotp/stack"))
        };
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
/// ordinary user it is no.
pub(crate) fn agreed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return nix::unistd::geteuid().is_root();
    }
    eprint!("{question} [Y/n] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer).unwrap_or(0);
    read > 0
        && matches!(
            answer.trim().to_ascii_lowercase().as_str(),
            "" | "y" | "yes"
        )
}
