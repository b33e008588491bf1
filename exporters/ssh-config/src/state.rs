//! What is known of each device, kept over a restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use ssh::{Facts, Incomplete, Seconds, Weakness};

/// The version of the file.
const VERSION: u32 = 1;

/// What is known of one device. Times are Unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Known {
    /// The last collection that ended, well or not.
    pub(crate) attempt: Option<f64>,
    pub(crate) success: Option<f64>,
    /// The last time that the configuration was another one than before.
    pub(crate) change: Option<f64>,
    /// Seconds of the phases of the last success: connect, login, prompt, commands.
    pub(crate) seconds: [f64; 4],
    pub(crate) bytes: usize,
    pub(crate) lines: usize,
    pub(crate) masked: usize,
    pub(crate) changes: u64,
    pub(crate) failures: u64,
    /// By [`Incomplete::REASONS`].
    pub(crate) incomplete: [u64; 3],
    /// Why the last attempt failed.
    pub(crate) reason: Option<String>,
    pub(crate) host_key_changed: bool,
    /// By [`Weakness::ALL`].
    pub(crate) weak: [bool; 4],
    /// Whether the running configuration is another one than that which the device starts with.
    pub(crate) unsaved: Option<bool>,
    /// Model, version and serial number.
    pub(crate) info: Option<[String; 3]>,
    /// Numbers of show commands.
    pub(crate) numbers: BTreeMap<String, f64>,
    /// Failures since the last success, for back-off.
    pub(crate) in_a_row: u32,
}

impl Known {
    /// Notes how long the phases took.
    pub(crate) fn took(&mut self, seconds: Seconds) {
        let Seconds {
            connect,
            login,
            prompt,
            commands,
        } = seconds;
        self.seconds = [connect, login, prompt, commands].map(|phase| phase.as_secs_f64());
    }

    /// Notes what the device says of itself; what it did not say stays.
    pub(crate) fn said(&mut self, facts: Facts) {
        let said = [facts.model, facts.version, facts.serial];
        if said.iter().any(Option::is_some) {
            self.info = Some(said.map(Option::unwrap_or_default));
        }
        self.numbers = facts.numbers.into_iter().collect();
    }

    /// Notes the weak algorithms.
    pub(crate) fn agreed(&mut self, weak: &[Weakness]) {
        self.weak = Weakness::ALL.map(|kind| weak.contains(&kind));
    }

    /// Counts a configuration that was not whole.
    pub(crate) fn incomplete(&mut self, flaw: &Incomplete) {
        if let Some(at) = Incomplete::REASONS
            .iter()
            .position(|reason| *reason == flaw.reason())
        {
            self.incomplete[at] += 1;
        }
    }
}

#[derive(Deserialize, Serialize)]
struct File {
    version: u32,
    devices: BTreeMap<String, Known>,
}

/// The state of all devices, and its file.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    devices: BTreeMap<String, Known>,
    dirty: bool,
}

impl State {
    /// The state in the file at `path`; empty when there is none.
    ///
    /// # Errors
    /// The file cannot be read, or is not a state of this version.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let devices = match std::fs::read(path) {
            Ok(bytes) => {
                let wrong =
                    |message: String| std::io::Error::new(std::io::ErrorKind::InvalidData, message);
                #[derive(Deserialize)]
                struct Form {
                    version: u32,
                }
                let parse = |error: serde_json::Error| wrong(error.to_string());
                let Form { version } = serde_json::from_slice(&bytes).map_err(parse)?;
                if version != VERSION {
                    return Err(wrong(format!(
                        "expected version {VERSION}, found {version}: go back to the version of the program that wrote it, or restore a backup from before it"
                    )));
                }
                let file: File = serde_json::from_slice(&bytes).map_err(parse)?;
                file.devices
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            path: path.to_owned(),
            held: Mutex::new(Held {
                devices,
                dirty: false,
            }),
        })
    }

    /// What is known of a device.
    pub(crate) fn of(&self, device: &str) -> Known {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.devices.get(device).cloned().unwrap_or_default()
    }

    /// Changes what is known of a device.
    pub(crate) fn change(&self, device: &str, change: impl FnOnce(&mut Known)) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        change(held.devices.entry(device.to_owned()).or_default());
        held.dirty = true;
    }

    /// Forgets devices that `known` does not hold.
    pub(crate) fn retain(&self, known: impl Fn(&str) -> bool) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.devices.len();
        held.devices.retain(|device, _| known(device));
        held.dirty |= held.devices.len() != before;
    }

    /// Writes the file, when something has changed since the last time.
    ///
    /// # Errors
    /// It cannot be written; it is tried again the next time.
    pub(crate) fn save(&self) -> std::io::Result<()> {
        let file = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::mem::take(&mut held.dirty) {
                return Ok(());
            }
            File {
                version: VERSION,
                devices: held.devices.clone(),
            }
        };
        let written = self.write(&file);
        if written.is_err() {
            self.held
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .dirty = true;
        }
        written
    }

    fn write(&self, file: &File) -> std::io::Result<()> {
        use std::io::Write as _;
        let beside = self.path.with_extension("new");
        let mut out = std::io::BufWriter::new(std::fs::File::create(&beside)?);
        serde_json::to_writer(&mut out, file)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        std::fs::rename(&beside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_survives_and_another_version_is_refused() {
        let dir = testkit::TempDir::new().unwrap();
        let path = dir.path().join("state.json");
        let state = State::open(&path).unwrap();
        state.change("r1", |known| {
            known.changes = 3;
            known.incomplete(&Incomplete::Pager);
        });
        state.save().unwrap();
        let again = State::open(&path).unwrap();
        assert_eq!(again.of("r1"), state.of("r1"));
        assert_eq!(again.of("r1").incomplete, [0, 0, 1]);
        assert_eq!(again.of("r2"), Known::default());
        again.retain(|device| device != "r1");
        again.save().unwrap();
        assert_eq!(State::open(&path).unwrap().of("r1"), Known::default());
        dir.write("state.json", "{\"version\":2,\"of\":{}}")
            .unwrap();
        assert!(
            State::open(&path)
                .unwrap_err()
                .to_string()
                .contains("expected version 1, found 2: go back")
        );
    }
}
