//! The folder of a lab: topology, credentials, sockets and logs. Only its owner may look into it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{Pid, geteuid};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::credentials::Credentials;
use crate::topology::Topology;

/// Longest name of a lab: the path of a unix socket in its folder must stay below 108 bytes.
const NAME_MAX: usize = 32;

/// A lab's folder.
#[derive(Clone, Debug)]
pub(crate) struct State {
    path: PathBuf,
}

/// The processes of a running lab, as seen from outside the box.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    /// The outermost process; with it ends everything.
    pub(crate) outer: Process,
    /// Process 1 of the box.
    pub(crate) first: Process,
    /// The box has a user namespace, too.
    pub(crate) user_namespace: bool,
}

/// A process that is known again after others have had its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// When it began, in clock ticks since boot.
    start: u64,
}

impl Process {
    /// The process of this number, if there is one and it is not dead.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let (_, rest) = stat(pid)?;
        // Field 3 of proc_pid_stat(5) is the state, field 22 the start.
        let state = rest.first()?;
        let start = rest.get(19)?.parse().ok()?;
        (!matches!(state.as_str(), "Z" | "X")).then_some(Self { pid, start })
    }

    /// Whether it still runs.
    pub(crate) fn runs(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Waits until it runs no longer; whether that came in time.
    pub(crate) fn gone(self, deadline: Instant) -> bool {
        while self.runs() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Ends it at once.
    pub(crate) fn kill(self) {
        if self.runs() {
            // It may have ended in between.
            let _ =
                nix::sys::signal::kill(Pid::from_raw(self.pid), nix::sys::signal::Signal::SIGKILL);
        }
    }

    /// Its only or first child.
    pub(crate) fn child(self) -> Option<Self> {
        let numbers = fs::read_dir("/proc").ok()?.flatten();
        let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|&pid| {
            let parent = stat(pid).and_then(|(_, rest)| rest.get(1)?.parse::<i32>().ok());
            parent == Some(self.pid)
        })
        .find_map(Self::of)
    }
}

/// Name and remaining fields of `/proc/PID/stat`.
fn stat(pid: i32) -> Option<(String, Vec<String>)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, so the fields begin after the last parenthesis.
    let (head, tail) = text.rsplit_once(')')?;
    Some((
        head.to_owned(),
        tail.split_whitespace().map(str::to_owned).collect(),
    ))
}

impl State {
    /// The folder of the lab of this name.
    pub(crate) fn named(name: &str) -> Result<Self, Error> {
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if name.is_empty() || name.len() > NAME_MAX || !plain {
            return Err(Error::Name(name.to_owned()));
        }
        let uid = geteuid();
        let root = match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(folder) if !folder.is_empty() => Path::new(&folder).join("sotp-lab"),
            _ => std::env::temp_dir().join(format!("sotp-lab-{uid}")),
        };
        Ok(Self {
            path: root.join(name),
        })
    }

    /// A folder that is there already.
    pub(crate) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Makes it and its parent, both closed to others; takes them when they are there and closed already.
    pub(crate) fn create(&self) -> Result<(), Error> {
        for folder in self.folders() {
            let made = fs::DirBuilder::new()
                .mode(0o700)
                .recursive(false)
                .create(folder);
            if let Err(error) = made.or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            }) {
                return Err(Error::state(folder, error));
            }
            closed(folder).map_err(|error| Error::state(folder, error))?;
        }
        Ok(())
    }

    fn folders(&self) -> [&Path; 2] {
        [self.path.parent().unwrap_or(&self.path), &self.path]
    }

    /// Removes what an earlier lab left, all but the lock.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        self.remove_content()
            .map_err(|error| Error::state(&self.path, error))
    }

    fn remove_content(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.path() == self.lock() {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        fs::create_dir(self.logs())
    }

    /// Removes the folder. Processes of the box that are being ended may write to it until they are gone, so it is tried for five seconds.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for _ in 0..50 {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                result => return result,
            }
        }
        fs::remove_dir_all(&self.path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Held while a lab of this name starts.
    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// The socket on which the box answers.
    pub(crate) fn control(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.path.join("known_hosts")
    }

    /// The private key of the login user.
    pub(crate) fn ssh_key(&self) -> PathBuf {
        self.path.join("ssh_key")
    }

    /// For `ssh -F`, inside the box.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.path.join("ssh_config")
    }

    pub(crate) fn topology_file(&self) -> PathBuf {
        self.path.join("topology.toml")
    }

    pub(crate) fn credentials_file(&self) -> PathBuf {
        self.path.join("credentials.json")
    }

    pub(crate) fn running_file(&self) -> PathBuf {
        self.path.join("running.json")
    }

    /// The topology that was brought up.
    pub(crate) fn topology(&self) -> Result<Topology, Error> {
        let path = self.topology_file();
        let text = fs::read_to_string(&path).map_err(|error| Error::state(&path, error))?;
        Ok(Topology::parse(&text, &path.display().to_string())?)
    }

    /// The credentials of this lab.
    pub(crate) fn credentials(&self) -> Result<Credentials, Error> {
        self.read_json(&self.credentials_file())
    }

    /// The lab's processes, when it runs. A folder that others could have written to is not believed: processes named
    /// there are entered and killed.
    pub(crate) fn running(&self) -> Option<Running> {
        if self
            .folders()
            .into_iter()
            .any(|folder| closed(folder).is_err())
        {
            return None;
        }
        let running: Running = self.read_json(&self.running_file()).ok()?;
        (running.outer.runs() && running.first.runs()).then_some(running)
    }

    fn read_json<T: serde::de::DeserializeOwned>(&self, path: &Path) -> Result<T, Error> {
        let text = fs::read_to_string(path).map_err(|error| Error::state(path, error))?;
        serde_json::from_str(&text).map_err(|error| Error::state(path, error.into()))
    }
}

/// Whether this is a folder of this user's that nobody else may enter.
fn closed(folder: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(folder)?;
    if !about.is_dir() || about.uid() != geteuid().as_raw() || about.mode() & 0o077 != 0 {
        return Err(io::Error::other(
            "expected a folder of mine that nobody else may enter",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_lab_in_a_folder_that_is_open_to_others_is_not_believed() {
        let folder = testkit::TempDir::new().unwrap();
        let state = State::at(&folder.join("lab"));
        state.create().unwrap();
        let this = Process::of(std::process::id().try_into().unwrap()).unwrap();
        let running = Running {
            outer: this,
            first: this,
            user_namespace: false,
        };
        let text = serde_json::to_string(&running).unwrap();
        fs::write(state.running_file(), text).unwrap();
        assert!(state.running().is_some());
        for open in [folder.path(), state.path()] {
            fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
            assert!(state.running().is_none(), "{}", open.display());
            fs::set_permissions(open, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}
