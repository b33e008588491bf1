//! The builder: makes the network inside the box, says how far it is, then answers questions until the box ends.

mod network;
mod ready;

use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::{InBox, Medium, wire};
use crate::files::{RUN, tail};
use crate::lab::state::State;
use crate::line;
use crate::node::{self, NodeStatus};
use crate::topology::{Node, Shape, Topology};

/// How long a node may take for one small order.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the builder tells to who started the lab.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    Progress(String),
    Ready,
    Failed(String),
}

/// A question to the box, or an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Status,
    /// The process of each node.
    Processes,
    /// Cuts the cable of a link.
    Cut {
        link: String,
    },
    /// Sets both ports of a link down.
    Shut {
        link: String,
    },
    /// Changes what a link does to packets.
    Shape {
        link: String,
        shape: Shape,
    },
    /// Restores one link, or all.
    Heal {
        link: Option<String>,
    },
}

/// The answer to a [`Request`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Done,
    Status(BoxStatus),
    /// Node and process id in the box.
    Processes(HashMap<String, u32>),
    Failed(String),
}

/// All that runs in the box.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BoxStatus {
    pub(crate) nodes: Vec<NodeStatus>,
    pub(crate) links: Vec<LinkStatus>,
}

/// A link now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LinkStatus {
    pub(crate) name: String,
    pub(crate) medium: Medium,
    /// Both ends are up.
    pub(crate) up: bool,
    /// What it does to packets; `None` for a plain link.
    pub(crate) shape: Option<Shape>,
    /// Counters, of links in user space only.
    pub(crate) wire: Option<wire::WireStatus>,
}

/// The network while it runs.
#[derive(Debug)]
struct Network {
    state: State,
    processes: HashMap<String, u32>,
    topology: Topology,
    links: Mutex<HashMap<String, LinkStatus>>,
}

/// The life of the builder; the box ends with it.
pub(crate) fn run(args: &InBox) -> anyhow::Result<()> {
    match build(args) {
        Ok(network) => {
            serve(network)?;
            say(&Event::Ready);
            loop {
                std::thread::park();
            }
        }
        Err(error) => {
            say(&Event::Failed(format!("{error:#}")));
            Err(error)
        }
    }
}

/// One line to who started the lab, if it still listens.
fn say(event: &Event) {
    if let Ok(text) = serde_json::to_string(event) {
        let mut out = std::io::stdout();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

fn progress(text: &str) {
    say(&Event::Progress(text.to_owned()));
}

fn build(args: &InBox) -> anyhow::Result<Arc<Network>> {
    let deadline = Instant::now() + Duration::from_secs(args.deadline_seconds);
    let state = State::at(&args.state);
    let topology = state.topology()?;
    network::root(&state)?;
    let mut children = start_nodes(&state, &topology)?;
    let pids = await_nodes(&state, &topology, &mut children, deadline)?;
    for mut child in children {
        // A node that ends shows as one that does not answer.
        std::thread::spawn(move || child.wait());
    }
    progress(&format!("{} nodes have namespaces", topology.nodes.len()));
    let netem = !args.tun && network::has_netem();
    let links = network::links(&state, &topology, &pids, netem, deadline)?;
    network::known_hosts(&state, &topology)?;
    progress(&format!("{} links are laid", topology.links.len()));
    let names = topology.nodes.iter().map(|node| node.name.clone());
    let network = Arc::new(Network {
        processes: names.zip(pids).collect(),
        state,
        topology,
        links: Mutex::new(links),
    });
    network.start(deadline)?;
    progress("daemons answer");
    ready::wait(&network, deadline)?;
    network.all(&node::Request::Whole, PATIENCE)?;
    Ok(network)
}

fn start_nodes(state: &State, topology: &Topology) -> anyhow::Result<Vec<Child>> {
    let mut children = Vec::new();
    for node in &topology.nodes {
        let logs = state.logs().join(&node.name);
        std::fs::create_dir_all(&logs)?;
        let log = std::fs::File::create(logs.join("node.log"))?;
        let child = Command::new(std::env::current_exe()?)
            .args(["inside", "node", "--name", &node.name, "--state"])
            .arg(state.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("node")?;
        children.push(child);
    }
    Ok(children)
}

/// The process id of each node, in the topology's order, once each answers.
fn await_nodes(
    state: &State,
    topology: &Topology,
    children: &mut [Child],
    deadline: Instant,
) -> anyhow::Result<Vec<u32>> {
    for (node, child) in topology.nodes.iter().zip(children.iter_mut()) {
        while !node::socket(&node.name).exists() {
            let log = state.logs().join(&node.name).join("node.log");
            if let Some(status) = child.try_wait()? {
                bail!("{}: {status}: {}", node.name, tail(&log));
            }
            if Instant::now() > deadline {
                bail!("{}: no namespaces in time: {}", node.name, tail(&log));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(children.iter().map(Child::id).collect())
}

fn serve(network: Arc<Network>) -> anyhow::Result<()> {
    let path = network.state.control();
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
    line::serve(listener, move |request| match network.answer(request) {
        Ok(answer) => answer,
        Err(error) => Answer::Failed(format!("{error:#}")),
    });
    Ok(())
}

/// One order to a node.
fn order(node: &Node, request: &node::Request, patience: Duration) -> anyhow::Result<node::Answer> {
    match line::call(&node::socket(&node.name), request, patience) {
        Ok(node::Answer::Failed(text)) => bail!("{text}"),
        Ok(answer) => Ok(answer),
        Err(error) => Err(error).with_context(|| format!("{} does not answer", node.name)),
    }
}

impl Network {
    /// Starts the daemons of all nodes.
    fn start(&self, deadline: Instant) -> anyhow::Result<()> {
        let patience = deadline.saturating_duration_since(Instant::now());
        self.all(&node::Request::Start { patience }, patience + PATIENCE)?;
        for link in &self.topology.links {
            let netem = self
                .link(&link.name)
                .filter(|now| now.medium == Medium::Netem);
            if let Some(shape) = netem.and_then(|now| now.shape) {
                self.ends(link, |_, interface| node::Request::Shape {
                    interface,
                    shape,
                })?;
            }
        }
        network::routes(&self.topology)
    }

    /// The same order to all nodes at the same time.
    fn all(&self, request: &node::Request, patience: Duration) -> anyhow::Result<()> {
        let results: Vec<anyhow::Result<node::Answer>> = std::thread::scope(|scope| {
            let one = |node| scope.spawn(move || order(node, request, patience));
            let threads: Vec<_> = self.topology.nodes.iter().map(one).collect();
            let lost = || Err(anyhow::anyhow!("a thread was lost"));
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| lost()))
                .collect()
        });
        results
            .into_iter()
            .try_for_each(|result| result.map(|_| ()))
    }

    fn link(&self, name: &str) -> Option<LinkStatus> {
        self.links
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    fn set_link(&self, status: LinkStatus) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.insert(status.name.clone(), status);
    }

    fn answer(&self, request: Request) -> anyhow::Result<Answer> {
        match request {
            Request::Status => return Ok(Answer::Status(self.status())),
            Request::Processes => return Ok(Answer::Processes(self.processes.clone())),
            Request::Cut { link } => {
                self.cable(&link, false)?;
                self.set_link_up(&link, false)?;
            }
            Request::Shut { link } => {
                self.ports(&link, false)?;
                self.set_link_up(&link, false)?;
            }
            Request::Shape { link, shape } => self.shape(&link, Some(shape))?,
            Request::Heal { link: Some(link) } => self.heal(&link)?,
            Request::Heal { link: None } => {
                for link in &self.topology.links {
                    self.heal(&link.name)?;
                }
            }
        }
        Ok(Answer::Done)
    }

    fn find(&self, name: &str) -> anyhow::Result<&crate::topology::Link> {
        self.topology.link(name).with_context(|| {
            let names: Vec<&str> = self
                .topology
                .links
                .iter()
                .map(|link| link.name.as_str())
                .collect();
            format!("no link {name}; there are {}", names.join(", "))
        })
    }

    fn heal(&self, name: &str) -> anyhow::Result<()> {
        let link = self.find(name)?;
        let now = self.link(&link.name);
        if now.as_ref().is_some_and(|now| now.shape != link.shape) {
            self.shape(name, link.shape)?;
        }
        self.cable(name, true)?;
        self.ports(name, true)?;
        self.set_link_up(name, true)
    }

    /// The cable of a link, in place or cut.
    fn cable(&self, name: &str, in_place: bool) -> anyhow::Result<()> {
        let link = self.find(name)?;
        let medium = self.link(&link.name).map(|now| now.medium);
        if medium == Some(Medium::Tun) {
            return self.ends(link, |_, interface| node::Request::Carrier {
                interface,
                on: in_place,
            });
        }
        let index = self
            .topology
            .links
            .iter()
            .position(|one| one.name == link.name);
        network::plug(index.unwrap_or_default(), in_place)
    }

    /// The ports at both ends of a link, up or administratively down.
    fn ports(&self, name: &str, up: bool) -> anyhow::Result<()> {
        let link = self.find(name)?;
        self.ends(link, |_, interface| node::Request::Link { interface, up })
    }

    fn set_link_up(&self, name: &str, up: bool) -> anyhow::Result<()> {
        let link = self.find(name)?;
        if let Some(now) = self.link(&link.name) {
            self.set_link(LinkStatus { up, ..now });
        }
        Ok(())
    }

    fn shape(&self, name: &str, shape: Option<Shape>) -> anyhow::Result<()> {
        let link = self.find(name)?;
        let Some(now) = self.link(&link.name) else {
            bail!("link {name} is not laid")
        };
        let to = shape.unwrap_or_default();
        match now.medium {
            Medium::Tun => {
                let order = wire::Order { shape: Some(to) };
                let _: wire::WireStatus = line::call(&wire::socket(&link.name), &order, PATIENCE)?;
            }
            Medium::Netem => self.ends(link, |_, interface| node::Request::Shape {
                interface,
                shape: to,
            })?,
            Medium::Veth => bail!(
                "link {name} is plain; only a link with delay_ms, jitter_ms or loss_ratio in its topology \
                 can change them"
            ),
        }
        self.set_link(LinkStatus { shape, ..now });
        Ok(())
    }

    /// The same order to both ends of a link.
    fn ends(
        &self,
        link: &crate::topology::Link,
        request: impl Fn(&Node, String) -> node::Request,
    ) -> anyhow::Result<()> {
        let (a, b) = (&self.topology.nodes[link.a], &self.topology.nodes[link.b]);
        for (node, peer) in [(a, b), (b, a)] {
            let interface = crate::topology::interface_name(&peer.name);
            order(node, &request(node, interface), PATIENCE)?;
        }
        Ok(())
    }

    fn status(&self) -> BoxStatus {
        let ask = |node: &Node| match order(node, &node::Request::Status, PATIENCE) {
            Ok(node::Answer::Status(status)) => status,
            // A node that does not answer shows as one without daemons.
            _ => NodeStatus {
                name: node.name.clone(),
                ..NodeStatus::default()
            },
        };
        let nodes = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .topology
                .nodes
                .iter()
                .map(|node| scope.spawn(move || ask(node)))
                .collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect()
        });
        let links = self.topology.links.iter().filter_map(|link| {
            let mut status = self.link(&link.name)?;
            if status.medium == Medium::Tun {
                let order = wire::Order { shape: None };
                status.wire = line::call(&wire::socket(&link.name), &order, PATIENCE).ok();
            }
            Some(status)
        });
        BoxStatus {
            nodes,
            links: links.collect(),
        }
    }
}

/// The folder of the box's own files.
fn run_folder() -> &'static std::path::Path {
    std::path::Path::new(RUN)
}
