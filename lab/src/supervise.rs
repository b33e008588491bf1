//! Daemons in the foreground: started, watched, started again when they end.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// First pause before a daemon is started again; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A daemon that ran this long begins with the first pause again.
const SETTLED: Duration = Duration::from_secs(30);
/// Size of a log at which it starts over when its daemon does.
const LOG_MAX: u64 = 4 << 20;

/// A program that stays in the foreground.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Daemon {
    /// Names it in status and names its log file.
    pub(crate) name: String,
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// What to run after it was started again.
    pub(crate) after_restart: Vec<String>,
}

/// What a daemon does now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DaemonStatus {
    pub(crate) name: String,
    /// In the box; `None` between two runs.
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: u32,
    /// How it ended the last time.
    pub(crate) last_end: Option<String>,
}

/// The daemons of one node.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    logs: PathBuf,
    daemons: Arc<Mutex<Vec<DaemonStatus>>>,
}

impl Supervisor {
    /// A supervisor whose daemons log to `NAME.log` in this folder.
    pub(crate) fn new(logs: &Path) -> Self {
        Self {
            logs: logs.to_owned(),
            daemons: Arc::default(),
        }
    }

    /// Starts a daemon and keeps it running as long as this process lives.
    pub(crate) fn keep(&self, daemon: Daemon) {
        let slot = {
            let mut daemons = self.daemons.lock().unwrap_or_else(PoisonError::into_inner);
            daemons.push(DaemonStatus {
                name: daemon.name.clone(),
                ..DaemonStatus::default()
            });
            daemons.len() - 1
        };
        let this = self.clone();
        std::thread::spawn(move || this.watch(&daemon, slot));
    }

    /// What each daemon does now.
    pub(crate) fn status(&self) -> Vec<DaemonStatus> {
        self.daemons
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, slot: usize, change: impl FnOnce(&mut DaemonStatus)) {
        change(&mut self.daemons.lock().unwrap_or_else(PoisonError::into_inner)[slot]);
    }

    fn watch(&self, daemon: &Daemon, slot: usize) {
        let log = self.logs.join(format!("{}.log", daemon.name));
        let mut pause = PAUSE_MIN;
        loop {
            let begun = Instant::now();
            let end = match start(daemon, &log) {
                Ok(mut child) => {
                    let pid = child.id();
                    let again = self.status()[slot].restarts > 0;
                    self.set(slot, |status| status.pid = Some(pid));
                    if again && let [program, args @ ..] = &daemon.after_restart[..] {
                        // A failure of it shows in the daemon's own state.
                        let _ = Command::new(program)
                            .args(args)
                            .stdin(Stdio::null())
                            .status();
                    }
                    match child.wait() {
                        Ok(status) => status.to_string(),
                        Err(error) => error.to_string(),
                    }
                }
                Err(error) => format!("{}: {error}", daemon.program),
            };
            self.set(slot, |status| {
                status.pid = None;
                status.restarts += 1;
                status.last_end = Some(end);
            });
            if begun.elapsed() > SETTLED {
                pause = PAUSE_MIN;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

fn start(daemon: &Daemon, log: &Path) -> std::io::Result<Child> {
    if std::fs::metadata(log).is_ok_and(|log| log.len() > LOG_MAX) {
        std::fs::remove_file(log)?;
    }
    let out: File = OpenOptions::new().create(true).append(true).open(log)?;
    Command::new(&daemon.program)
        .args(&daemon.args)
        .envs(daemon.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .spawn()
}
