//! A running lab as the rest of this program sees it.
//!
//! The lab lives in a box: its own mount, pid, uts, ipc and network namespaces (and a user namespace when
//! started by an ordinary user). The box's root network namespace is the management side; each router and
//! host has namespaces of its own inside. Nothing of a lab outlives the box's first process.

mod inventory;
mod requirements;
mod snmp;
mod start;
pub(crate) mod state;
mod table;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub(crate) use requirements::{missing, missing_for_story, missing_for_tests};
pub(crate) use start::up;

use crate::credentials::Credentials;
use crate::inside::{Answer, BoxStatus, Request};
use crate::interrupt::Interrupt;
use crate::line;
use crate::topology::{self, Shape, Topology};
use state::{Running, State};

/// How long the box may take for one order.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time between two looks at whether it is to end.
const LOOK: Duration = Duration::from_millis(50);
/// How long the kernel may take to end everything in the box.
const END: Duration = Duration::from_secs(10);

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
    /// Links with delay and loss run in user space even where the kernel has netem.
    pub(crate) user_space_links: bool,
    /// What ends it while it is built.
    pub(crate) interrupt: Interrupt,
}

/// Why something with a lab did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("lab name {0:?}: expected 1 to 32 letters, digits, - and _")]
    Name(String),
    #[error(
        "a lab named {0} runs or starts already; end it with `sotp-lab down --name {0}` or choose another --name"
    )]
    Running(String),
    #[error("no lab named {0} runs; start it with `sotp-lab up --name {0}`")]
    NotRunning(String),
    #[error("the lab {0} ended while it was started")]
    Gone(String),
    #[error(
        "these programs are missing:\n{}install them with: apt-get install {}",
        missing_lines(.0),
        missing_packages(.0)
    )]
    Missing(Vec<(&'static str, &'static str)>),
    #[error(transparent)]
    Topology(#[from] topology::Error),
    #[error("{}", path.display())]
    State {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the lab {name} did not come up: {reason}")]
    NotUp { name: String, reason: String },
    #[error("no node {name}; there are box, {known}")]
    NoNode { name: String, known: String },
    /// The box refused an order.
    #[error("{0}")]
    Refused(String),
    #[error("the lab {0} is still starting")]
    Starting(String),
    #[error("the lab {name} does not answer")]
    Silent {
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the lab {0} was to end before it was up")]
    Interrupted(String),
    #[error("the lab {0} did not end in time")]
    StillThere(String),
}

impl Error {
    fn state(path: &Path, source: std::io::Error) -> Self {
        Self::State {
            path: path.to_owned(),
            source,
        }
    }
}

fn missing_lines(missing: &[(&str, &str)]) -> String {
    missing
        .iter()
        .map(|(program, package)| format!("  {program} (package {package})\n"))
        .collect()
}

fn missing_packages(missing: &[(&str, &str)]) -> String {
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages.join(" ")
}

/// Ends the lab of this name; of one that was killed, removes what it left on disk.
pub(crate) fn down(name: &str) -> Result<(), Error> {
    match Lab::open(name) {
        Err(Error::NotRunning(_)) => {
            let state = State::named(name)?;
            let Ok(lock) = std::fs::File::open(state.lock()) else {
                return Err(Error::NotRunning(name.to_owned()));
            };
            if lock.try_lock().is_err() {
                return Err(Error::Starting(name.to_owned()));
            }
            state
                .remove()
                .map_err(|error| Error::state(state.path(), error))
        }
        Err(error) => Err(error),
        Ok(lab) => lab.down(),
    }
}

/// A handle on a running lab.
#[derive(Debug)]
pub(crate) struct Lab {
    name: String,
    state: State,
    topology: Topology,
    running: Running,
    /// The outermost process, of an attached lab: its standard input keeps the box alive.
    keeper: Option<Child>,
}

impl Lab {
    /// The running lab of this name.
    pub(crate) fn open(name: &str) -> Result<Self, Error> {
        let state = State::named(name)?;
        let running = state
            .running()
            .ok_or_else(|| Error::NotRunning(name.to_owned()))?;
        Ok(Self {
            name: name.to_owned(),
            topology: state.topology()?,
            state,
            running,
            keeper: None,
        })
    }

    /// The folder that holds the lab's state, logs and credentials. It is the same path inside the box and
    /// outside, so that a unix socket made in it on one side is reachable on the other.
    pub(crate) fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// The topology that runs.
    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// User names, passwords and communities of the routers.
    pub(crate) fn credentials(&self) -> Result<Credentials, Error> {
        self.state.credentials()
    }

    /// A command that runs `argv` inside the node, or in the box's root namespaces when `node` is `None`.
    /// Its working directory is `/`.
    pub(crate) fn enter_command<S: AsRef<OsStr>>(
        &self,
        node: Option<&str>,
        argv: &[S],
    ) -> Result<Command, Error> {
        let mut command = Command::new("nsenter");
        command.env("PATH", requirements::search_path());
        command
            .arg("--target")
            .arg(self.running.first.pid.to_string());
        if self.running.user_namespace {
            command.arg("--user");
        }
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--"]);
        if let Some(name) = node {
            if self.topology.node(name).is_none() {
                let names: Vec<&str> = self
                    .topology
                    .nodes
                    .iter()
                    .map(|node| node.name.as_str())
                    .collect();
                return Err(Error::NoNode {
                    name: name.to_owned(),
                    known: names.join(", "),
                });
            }
            let pid = match self.call(&Request::Processes)? {
                Answer::Processes(processes) => processes.get(name).copied(),
                _ => None,
            };
            let pid = pid.ok_or_else(|| Error::Refused(format!("{name} has no process")))?;
            command.args([
                "nsenter",
                "--target",
                &pid.to_string(),
                "--mount",
                "--uts",
                "--net",
                "--",
            ]);
        }
        command.args(argv);
        Ok(command)
    }

    /// Cuts the cable of a link, named as `r1-r2`: both ports lose their carrier, and stay as they were configured.
    pub(crate) fn break_link(&self, link: &str) -> Result<(), Error> {
        self.order(&Request::Cut {
            link: link.to_owned(),
        })
    }

    /// Sets both ports of a link administratively down.
    pub(crate) fn shut_link(&self, link: &str) -> Result<(), Error> {
        self.order(&Request::Shut {
            link: link.to_owned(),
        })
    }

    /// Changes what a link with a shape does to packets; `change` gets what it does now.
    pub(crate) fn shape_link(
        &self,
        link: &str,
        change: impl Fn(Shape) -> Shape,
    ) -> Result<(), Error> {
        let name = self.topology.link(link).map_or(link, |known| &known.name);
        let links = self.status()?.links;
        let now = links
            .iter()
            .find(|status| status.name == name)
            .and_then(|status| status.shape);
        let shape = change(now.unwrap_or_default());
        self.order(&Request::Shape {
            link: link.to_owned(),
            shape,
        })
    }

    /// Restores a link, or all of them.
    pub(crate) fn heal(&self, link: Option<&str>) -> Result<(), Error> {
        self.order(&Request::Heal {
            link: link.map(str::to_owned),
        })
    }

    /// What runs in the lab now.
    pub(crate) fn status(&self) -> Result<BoxStatus, Error> {
        match self.call(&Request::Status)? {
            Answer::Status(status) => Ok(status),
            Answer::Failed(text) => Err(Error::Refused(text)),
            _ => Err(Error::Refused("the box sent no status".to_owned())),
        }
    }

    /// What runs in the lab now, as a table for people.
    pub(crate) fn status_table(&self) -> Result<String, Error> {
        Ok(table::status(self, &self.status()?, &self.credentials()?))
    }

    /// What runs in the lab now, as JSON for programs.
    pub(crate) fn status_json(&self) -> Result<serde_json::Value, Error> {
        Ok(table::json(self, &self.status()?, &self.credentials()?))
    }

    /// The inventory of this lab, as YAML.
    pub(crate) fn inventory_yaml(&self) -> String {
        inventory::yaml(&self.topology)
    }

    /// The names of its sensors: one stands beside each router.
    pub(crate) fn sensors(&self) -> Vec<String> {
        let routers = self.topology.nodes.iter().filter(|node| node.is_router());
        routers.map(|node| inventory::sensor(&node.name)).collect()
    }

    /// Returns when the lab ends, by `down` or by accident, or has been ended since `interrupt` came.
    pub(crate) fn wait(mut self, interrupt: &Interrupt) -> Result<(), Error> {
        if let Some(keeper) = &mut self.keeper {
            // Waiting would close it, and with it the box.
            let _lifeline = keeper.stdin.take();
            while !interrupt.came() {
                if matches!(keeper.try_wait(), Ok(None)) {
                    std::thread::sleep(LOOK);
                    continue;
                }
                return Ok(());
            }
        }
        self.down()
    }

    /// Ends the lab and returns when nothing of it is left.
    pub(crate) fn down(mut self) -> Result<(), Error> {
        self.end()?;
        self.state
            .remove()
            .map_err(|error| Error::state(self.state.path(), error))
    }

    fn end(&mut self) -> Result<(), Error> {
        self.running.outer.kill();
        if let Some(mut keeper) = self.keeper.take() {
            // It is dead or dying; without this it would stay as a zombie.
            let _ = keeper.wait();
        }
        let deadline = Instant::now() + END;
        if self.running.outer.gone(deadline) && self.running.first.gone(deadline) {
            Ok(())
        } else {
            Err(Error::StillThere(self.name.clone()))
        }
    }

    fn order(&self, request: &Request) -> Result<(), Error> {
        match self.call(request)? {
            Answer::Failed(text) => Err(Error::Refused(text)),
            _ => Ok(()),
        }
    }

    fn call(&self, request: &Request) -> Result<Answer, Error> {
        line::call(&self.state.control(), request, PATIENCE).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::Starting(self.name.clone()),
            _ => Error::Silent {
                name: self.name.clone(),
                source,
            },
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.keeper.is_some() {
            // Nobody is left to tell.
            let _ = self.end();
        }
    }
}
