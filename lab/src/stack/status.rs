//! The state of each process, readable by another process through one small file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How far a process has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum State {
    /// Those it comes after are not ready.
    Waiting,
    /// Running, not ready.
    Starting,
    /// Ready.
    Ready {
        /// From its start to its readiness, milliseconds.
        took_ms: u64,
    },
    /// Ended by itself; starts again after a pause.
    Restarting {
        /// How it ended, with its last words.
        why: String,
    },
    /// Not started again.
    Failed {
        /// How it ended, with its last words.
        why: String,
    },
    /// Ended by the launcher.
    Ended,
}

/// All states by the name of the process.
pub(crate) type States = BTreeMap<String, State>;

/// Where states are told: to waiting tasks, and to a file if one is named.
#[derive(Debug)]
pub(crate) struct Board {
    states: watch::Sender<States>,
    file: Option<PathBuf>,
}

impl Board {
    /// A board on which every process waits.
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>, file: Option<PathBuf>) -> Self {
        let states = names
            .into_iter()
            .map(|name| (name.to_owned(), State::Waiting))
            .collect();
        let board = Self {
            states: watch::Sender::new(states),
            file,
        };
        board.write();
        board
    }

    /// Sets the state of `name`.
    pub(crate) fn set(&self, name: &str, state: State) {
        self.states.send_modify(|states| {
            states.insert(name.to_owned(), state);
        });
        self.write();
    }

    /// A view that can be waited on.
    pub(crate) fn watch(&self) -> watch::Receiver<States> {
        self.states.subscribe()
    }

    /// A reader of the file sees the old or the new text, never half of one.
    fn write(&self) {
        let Some(file) = &self.file else { return };
        let text = serde_json::to_string_pretty(&*self.states.borrow()).unwrap_or_default();
        let next = file.with_extension("next");
        if let Err(error) = std::fs::write(&next, text).and_then(|()| std::fs::rename(&next, file))
        {
            tracing::warn!(file = %file.display(), %error, "status not written");
        }
    }
}

/// The states in `file`, if it is there and whole.
pub(crate) fn read(file: &Path) -> Option<States> {
    serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()
}
