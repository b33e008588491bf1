//! A running lab as the rest of this program sees it.
//!
//! The lab lives in a box: its own mount, pid, uts, ipc and network namespaces (and a user namespace when
//! started by an ordinary user). The box's root network namespace is the management side; each router and
//! host has namespaces of its own inside. Nothing of a lab outlives the box's first process.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a lab lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Until `down`.
    Detached,
    /// Until `down`, or until the [`Lab`] that [`up`] returned is dropped or its process ends in whatever way.
    Attached,
}

/// What to bring up.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The lab's name: several run at the same time under different names.
    pub(crate) name: String,
    /// A shipped topology's name, or the path of a TOML file.
    pub(crate) topology: String,
    /// The time that the network may take until all of it is up.
    pub(crate) deadline: Duration,
    /// How long it lives.
    pub(crate) life: Life,
}

/// Why something with a lab did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Not yet.
    #[error("{0}")]
    Failed(String),
}

/// A handle on a running lab.
#[derive(Debug)]
pub(crate) struct Lab {
    state: PathBuf,
}

/// The programs that a lab runs, and the Debian package of each.
pub(crate) fn requirements() -> &'static [(&'static str, &'static str)] {
    &[]
}

/// Builds a lab and returns when all of it is up, or says what did not come up. Progress lines go to stderr.
pub(crate) fn up(options: Options) -> Result<Lab, Error> {
    let _ = (
        requirements(),
        &options.topology,
        options.deadline,
        options.life,
        Life::Attached,
    );
    Ok(Lab {
        state: options.name.into(),
    })
}

impl Lab {
    /// The running lab of this name.
    pub(crate) fn open(name: &str) -> Result<Self, Error> {
        Err(Error::Failed(format!("no lab {name} is running")))
    }

    /// The folder that holds the lab's state, logs and credentials. It is the same path inside the box and
    /// outside, so that a unix socket made in it on one side is reachable on the other.
    pub(crate) fn state_dir(&self) -> &Path {
        &self.state
    }

    /// A command that runs `argv` inside the node, or in the box's root namespaces when `node` is `None`.
    pub(crate) fn enter_command<S: AsRef<OsStr>>(
        &self,
        node: Option<&str>,
        argv: &[S],
    ) -> Result<Command, Error> {
        let _ = (node, argv);
        Err(Error::Failed(String::new()))
    }

    /// Sets both ends of a link down, named as `r1-r2`.
    pub(crate) fn break_link(&self, link: &str) -> Result<(), Error> {
        Err(Error::Failed(link.to_owned()))
    }

    /// Restores a link, or all of them.
    pub(crate) fn heal(&self, link: Option<&str>) -> Result<(), Error> {
        Err(Error::Failed(format!("{link:?}")))
    }

    /// The inventory of this lab, as YAML.
    pub(crate) fn inventory_yaml(&self) -> Result<String, Error> {
        Err(Error::Failed(String::new()))
    }

    /// Ends the lab and returns when nothing of it is left.
    pub(crate) fn down(self) -> Result<(), Error> {
        Ok(())
    }
}
