//! What the supervisor is told about one process.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// One process of the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    /// Name before its log lines, in `after` lists and in the status.
    pub(crate) name: String,
    /// Program and arguments. The program is a path or is looked up on `PATH`.
    pub(crate) argv: Vec<String>,
    /// Variables on top of the launcher's own environment.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// URL that answers 2xx once the process is of use. Without it, running is enough.
    #[serde(default)]
    pub(crate) ready: Option<String>,
    /// Processes that must be ready before this one is started; they are ended after it.
    #[serde(default)]
    pub(crate) after: Vec<String>,
    /// Whether the stack is of no use without it.
    #[serde(default)]
    pub(crate) needed: bool,
}

impl Process {
    /// A process without environment, readiness URL or order.
    pub(crate) fn new(name: impl Into<String>, argv: Vec<String>) -> Self {
        Self {
            name: name.into(),
            argv,
            env: BTreeMap::new(),
            ready: None,
            after: Vec::new(),
            needed: false,
        }
    }

    /// The same, called ready when `url` answers 2xx.
    #[must_use]
    pub(crate) fn ready_at(mut self, url: impl Into<String>) -> Self {
        self.ready = Some(url.into());
        self
    }

    /// The same, started once the process `name` is ready.
    #[must_use]
    pub(crate) fn after(mut self, name: impl Into<String>) -> Self {
        self.after.push(name.into());
        self
    }

    /// The same, with the variable `key`.
    #[must_use]
    pub(crate) fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(key.into(), value.into());
        self
    }

    /// The same, needed by the whole stack.
    #[must_use]
    pub(crate) fn needed(mut self) -> Self {
        self.needed = true;
        self
    }
}

/// A list of processes that cannot be started as it stands.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ListError {
    /// Two processes have one name.
    #[error("two processes are named {0:?}")]
    Duplicate(String),
    /// No program to run.
    #[error("process {0:?} has an empty argv")]
    Empty(String),
    /// `after` names a process that is not in the list.
    #[error("process {name:?} waits for {after:?}, which is not in the list")]
    Unknown {
        /// The process that waits.
        name: String,
        /// What it waits for.
        after: String,
    },
    /// `after` runs in a circle.
    #[error("these processes wait for each other: {}", .0.join(", "))]
    Circle(Vec<String>),
}

/// Groups of indexes into `processes`: each group waits only for groups before it.
///
/// # Errors
/// Names the first fault of the list.
pub(crate) fn order(processes: &[Process]) -> Result<Vec<Vec<usize>>, ListError> {
    let mut names = BTreeSet::new();
    for process in processes {
        if process.argv.is_empty() {
            return Err(ListError::Empty(process.name.clone()));
        }
        if !names.insert(process.name.as_str()) {
            return Err(ListError::Duplicate(process.name.clone()));
        }
    }
    for process in processes {
        if let Some(after) = process
            .after
            .iter()
            .find(|name| !names.contains(name.as_str()))
        {
            return Err(ListError::Unknown {
                name: process.name.clone(),
                after: after.clone(),
            });
        }
    }
    let mut groups = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<usize> = (0..processes.len()).collect();
    while !left.is_empty() {
        let (free, waiting): (Vec<usize>, Vec<usize>) = left.iter().partition(|&&at| {
            processes[at]
                .after
                .iter()
                .all(|name| done.contains(name.as_str()))
        });
        if free.is_empty() {
            let names = waiting
                .iter()
                .map(|&at| processes[at].name.clone())
                .collect();
            return Err(ListError::Circle(names));
        }
        done.extend(free.iter().map(|&at| processes[at].name.as_str()));
        groups.push(free);
        left = waiting;
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, after: &[&str]) -> Process {
        let mut process = Process::new(name, vec!["true".into()]);
        process.after = after.iter().map(ToString::to_string).collect();
        process
    }

    #[test]
    fn groups_follow_after() {
        let list = [
            process("grafana", &["prometheus"]),
            process("ping", &[]),
            process("prometheus", &["ping", "alertmanager"]),
            process("alertmanager", &[]),
        ];
        assert_eq!(order(&list).unwrap(), vec![vec![1, 3], vec![2], vec![0]]);
    }

    #[test]
    fn faults_of_a_list_are_named() {
        let circle = [
            process("a", &["b"]),
            process("b", &["a"]),
            process("c", &[]),
        ];
        let text = order(&circle).unwrap_err().to_string();
        assert_eq!(text, "these processes wait for each other: a, b");
        let unknown = order(&[process("a", &["z"])]).unwrap_err().to_string();
        assert_eq!(
            unknown,
            "process \"a\" waits for \"z\", which is not in the list"
        );
        let twice = order(&[process("a", &[]), process("a", &[])]);
        assert_eq!(twice.unwrap_err(), ListError::Duplicate("a".into()));
        let empty = order(&[Process::new("a", Vec::new())]);
        assert_eq!(empty.unwrap_err(), ListError::Empty("a".into()));
    }
}
