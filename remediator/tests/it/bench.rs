//! An engine with a device in memory that answers as FRR does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use inventory::{Device, Feed, Inventory};
use sotp_remediator::clock::Clock;
use sotp_remediator::drift::{Archive, NoArchive};
use sotp_remediator::engine::{Engine, Parts, Silent, Witness};
use sotp_remediator::job::{Job, State};
use sotp_remediator::journal::{Alert, Answered, CommandJob, Filter, Journal};
use sotp_remediator::metrics::Metrics;
use sotp_remediator::platform::Platforms;
use sotp_remediator::proof::{Nobody, Proof};
use sotp_remediator::rails::Bounds;
use sotp_remediator::runbook::{Level, Runbooks};
use sotp_remediator::session::{Access, AccessError, Account, Session};
use sotp_remediator::setup::{LevelRule, Setup};
use sotp_remediator::silences::{Silences, Unasked};
use testkit::{TempDir, eventually};
use toolkit::Stop;

/// A port of the device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Port {
    pub(crate) up: bool,
    pub(crate) shutdown: bool,
    pub(crate) description: String,
    /// It takes the line and stays as it is.
    pub(crate) broken: bool,
}

/// All devices, and every line that was typed on them.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) ports: BTreeMap<(String, String), Port>,
    pub(crate) typed: Vec<(String, String)>,
    /// A session does not open.
    pub(crate) unreachable: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Devices(pub(crate) Arc<Mutex<World>>, pub(crate) Option<Arc<Strike>>);

/// The end of a process, as far as an engine can tell: behind so many rows and typed lines whoever comes stands still for ever.
pub(crate) struct Strike {
    left: AtomicI64,
    struck: std::sync::mpsc::SyncSender<()>,
}

impl Strike {
    /// Strikes behind `points` rows and lines; the receiver is told when.
    pub(crate) fn behind(points: i64) -> (Arc<Self>, std::sync::mpsc::Receiver<()>) {
        let (struck, told) = std::sync::mpsc::sync_channel(1);
        let left = AtomicI64::new(points);
        (Arc::new(Self { left, struck }), told)
    }

    fn point(&self) {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        if left == 1 {
            let _ = self.struck.try_send(());
        }
        if left <= 1 {
            loop {
                std::thread::park();
            }
        }
    }
}

impl Witness for Strike {
    fn moved(&self, _: &Job, _: Option<State>) {
        self.point();
    }

    fn answered(&self, _: &CommandJob, _: &Device, _: &Answered) {}
}

struct Open {
    world: Arc<Mutex<World>>,
    strike: Option<Arc<Strike>>,
    device: String,
}

impl Access for Devices {
    fn open<'a>(
        &'a self,
        device: &'a Device,
        _: Account,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, AccessError>> {
        Box::pin(async move {
            if self.0.lock().unwrap().unreachable {
                return Err(AccessError::new("connect", "nobody answers"));
            }
            let session: Box<dyn Session> = Box::new(Open {
                world: Arc::clone(&self.0),
                strike: self.1.clone(),
                device: device.name.to_string(),
            });
            Ok(session)
        })
    }

    fn mask(&self, _: &Device, text: &str) -> String {
        text.to_owned()
    }
}

impl Session for Open {
    fn run<'a>(&'a mut self, command: &'a str) -> BoxFuture<'a, Result<String, AccessError>> {
        let world = self.world.lock().unwrap();
        let answer = if command == "show running-config" {
            let own = world
                .ports
                .iter()
                .filter(|((device, _), _)| *device == self.device);
            let block = |((_, name), port): (&(String, String), &Port)| {
                let mut text = format!("interface {name}\n");
                if !port.description.is_empty() {
                    text.push_str(&format!(" description {}\n", port.description));
                }
                text.push_str(if port.shutdown {
                    " shutdown\nexit\n!\n"
                } else {
                    "exit\n!\n"
                });
                text
            };
            own.map(block).collect::<String>() + "end\n"
        } else {
            let name = command.strip_prefix("show interface ").unwrap_or(command);
            match world.ports.get(&(self.device.clone(), name.to_owned())) {
                Some(port) if port.up => format!("Interface {name} is up, line protocol is up\n"),
                Some(_) => format!("Interface {name} is down\n"),
                None => format!("% Can't find interface {name}\n"),
            }
        };
        Box::pin(async move { Ok(answer) })
    }

    fn configure<'a>(
        &'a mut self,
        lines: &'a [String],
    ) -> BoxFuture<'a, Result<String, AccessError>> {
        let mut name = String::new();
        for line in lines {
            let mut world = self.world.lock().unwrap();
            world.typed.push((self.device.clone(), line.clone()));
            if let Some(port) = line.strip_prefix("interface ") {
                port.clone_into(&mut name);
            }
            if let Some(port) = world.ports.get_mut(&(self.device.clone(), name.clone())) {
                match line.as_str() {
                    "no shutdown" if !port.broken => (port.up, port.shutdown) = (true, false),
                    "shutdown" => (port.up, port.shutdown) = (false, true),
                    _ => {}
                }
            }
            drop(world);
            if let Some(strike) = &self.strike {
                strike.point();
            }
        }
        Box::pin(async { Ok(String::new()) })
    }

    fn act<'a>(&'a mut self, _: &'a [String]) -> BoxFuture<'a, Result<String, AccessError>> {
        Box::pin(async { Err(AccessError::new("refused", "it knows no such command")) })
    }
}

/// A clock that a test moves; it stands still otherwise.
pub(crate) struct Hand(pub(crate) AtomicI64);

impl Clock for Hand {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// 2026-01-01T00:00:00Z.
pub(crate) const BEGIN: i64 = 1_767_225_600_000;

pub(crate) const INVENTORY: &str = "
sites: [{name: lab}]
groups:
  - name: routers
    defaults: {site: lab, role: edge, platform: frr, ssh: {}}
devices:
  - {name: r1, address: 192.0.2.1, groups: [routers], ports: [{name: r9, desired: up}]}
  - {name: r2, address: 192.0.2.2, groups: [routers], maintenance: [{start: 2025-12-31T00:00:00Z, end: 2026-01-01T00:10:00Z, reason: optics}]}
  - {name: r3, address: 192.0.2.3, groups: [routers]}
";

/// Everything round an engine.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) inventory: &'static str,
    /// In the place of `devices`.
    pub(crate) access: Option<Arc<dyn Access>>,
    pub(crate) devices: Devices,
    pub(crate) clock: Arc<Hand>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) proof: Arc<dyn Proof>,
    pub(crate) silences: Arc<dyn Silences>,
    pub(crate) archive: Arc<dyn Archive>,
    pub(crate) witness: Arc<dyn Witness>,
    pub(crate) setup: Arc<Mutex<Arc<Setup>>>,
}

/// An engine at work; it is stopped with [`Works::end`].
pub(crate) struct Works {
    pub(crate) engine: Arc<Engine>,
    stop: Stop,
    task: tokio::task::JoinHandle<()>,
}

pub(crate) fn setup(level: Level) -> Setup {
    let platforms = Platforms::built_in().unwrap();
    Setup {
        levels: vec![LevelRule {
            runbook: None,
            group: Some("routers".to_owned()),
            level,
        }],
        successes: 0,
        bounds: Bounds::default(),
        approval: Duration::from_secs(900),
        person: Duration::from_secs(300),
        look: Duration::from_millis(10),
        snmp_proof: Duration::ZERO,
        commit_confirm: true,
        snmp: false,
        own_users: vec!["sotp".to_owned()],
        runbooks: Runbooks::built_in(&platforms).unwrap(),
        platforms,
    }
}

impl Bench {
    pub(crate) fn new(level: Level) -> Self {
        let devices = Devices::default();
        for (device, port) in [("r1", "r2"), ("r1", "r9"), ("r2", "r1"), ("r3", "r1")] {
            let port_up = Port {
                up: true,
                ..Port::default()
            };
            devices
                .0
                .lock()
                .unwrap()
                .ports
                .insert((device.to_owned(), port.to_owned()), port_up);
        }
        Self {
            dir: TempDir::new().unwrap(),
            inventory: INVENTORY,
            access: None,
            devices,
            clock: Arc::new(Hand(AtomicI64::new(BEGIN))),
            metrics: Arc::new(Metrics::new(&prometheus::Registry::new()).unwrap()),
            proof: Arc::new(Nobody),
            silences: Arc::new(Unasked),
            archive: Arc::new(NoArchive),
            witness: Arc::new(Silent),
            setup: Arc::new(Mutex::new(Arc::new(setup(level)))),
        }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Setup)) {
        let mut setup = self.setup.lock().unwrap();
        let mut new = (**setup).clone();
        change(&mut new);
        *setup = Arc::new(new);
    }

    /// The runbook `port-up` with other words in it.
    pub(crate) fn port_up(&self, changes: &[(&str, &str)]) {
        let mut text = include_str!("../../runbooks/port-up.yaml").to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        let folder = self.dir.join("runbooks");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("port-up.yaml"), text).unwrap();
        self.change(|setup| {
            let runbooks = setup.runbooks.clone();
            setup.runbooks = runbooks.with_folder(&folder, &setup.platforms).unwrap();
        });
    }

    /// What is struck at `strike` from now on; nothing is with `None`.
    pub(crate) fn struck(&mut self, strike: Option<&Arc<Strike>>) {
        self.devices.1 = strike.cloned();
        self.witness = match strike {
            Some(strike) => Arc::clone(strike) as Arc<_>,
            None => Arc::new(Silent),
        };
    }

    pub(crate) fn port(&self, device: &str, port: &str, change: impl FnOnce(&mut Port)) {
        let mut world = self.devices.0.lock().unwrap();
        change(
            world
                .ports
                .get_mut(&(device.to_owned(), port.to_owned()))
                .unwrap(),
        );
    }

    pub(crate) fn is_up(&self, device: &str, port: &str) -> bool {
        self.devices.0.lock().unwrap().ports[&(device.to_owned(), port.to_owned())].up
    }

    pub(crate) fn typed(&self) -> Vec<String> {
        self.devices
            .0
            .lock()
            .unwrap()
            .typed
            .iter()
            .map(|(_, line)| line.clone())
            .collect()
    }

    pub(crate) fn later(&self, milliseconds: i64) {
        self.clock.0.fetch_add(milliseconds, Ordering::SeqCst);
    }

    /// An engine on the journal as it is; not at work yet.
    pub(crate) async fn engine(&self) -> Arc<Engine> {
        let setup = Arc::clone(&self.setup);
        let parts = Parts {
            journal: Journal::open(self.dir.path()).unwrap(),
            clock: Arc::clone(&self.clock) as Arc<_>,
            access: match &self.access {
                Some(access) => Arc::clone(access),
                None => Arc::new(self.devices.clone()),
            },
            proof: Arc::clone(&self.proof),
            silences: Arc::clone(&self.silences),
            archive: Arc::clone(&self.archive),
            feed: Feed::fixed(Inventory::parse(self.inventory, Path::new("test.yaml")).unwrap()),
            setup: Box::new(move || Arc::clone(&setup.lock().unwrap())),
            metrics: Arc::clone(&self.metrics),
            witness: Arc::clone(&self.witness),
        };
        Engine::start(parts).await.unwrap()
    }

    pub(crate) async fn works(&self) -> Works {
        let engine = self.engine().await;
        let stop = Stop::new();
        let (own, ending) = (Arc::clone(&engine), stop.clone());
        let task = tokio::spawn(async move { own.run(&ending).await.unwrap() });
        Works { engine, stop, task }
    }
}

pub(crate) fn alert(device: &str, port: &str, starts_at: i64, firing: bool) -> Alert {
    let label = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Alert {
        seq: 0,
        at: starts_at,
        fingerprint: format!(
            "{:016x}",
            port.bytes()
                .chain(device.bytes())
                .map(u64::from)
                .sum::<u64>()
        ),
        firing,
        starts_at,
        labels: [
            ("alertname", "InterfaceShut"),
            ("device", device),
            ("ifName", port),
        ]
        .map(label)
        .into(),
        origin: None,
    }
}

impl Works {
    pub(crate) async fn send(&self, alerts: Vec<Alert>) {
        self.engine.parts.journal.receive(alerts).await.unwrap();
        self.engine.wake();
    }

    pub(crate) async fn jobs(&self) -> Vec<Job> {
        let filter = Filter {
            most: 1_000,
            ..Filter::default()
        };
        self.engine.parts.journal.jobs(filter).await.unwrap()
    }

    /// Waits until there are so many jobs and the newest stands at `state`.
    pub(crate) async fn newest(&self, count: usize, state: State) -> Job {
        self.newest_within(count, state, 10).await
    }

    pub(crate) async fn newest_within(&self, count: usize, state: State, seconds: u64) -> Job {
        eventually(Duration::from_secs(seconds), || async {
            let jobs = self.jobs().await;
            let newest = jobs.first().cloned();
            let stands: Vec<_> = jobs
                .iter()
                .map(|job| (job.state, job.reason.clone()))
                .collect();
            anyhow::ensure!(
                jobs.len() == count && newest.as_ref().is_some_and(|job| job.state == state),
                "{stands:?}"
            );
            Ok(newest.unwrap())
        })
        .await
        .unwrap()
    }

    pub(crate) async fn rows(&self, job: &Job) -> Vec<String> {
        self.engine
            .parts
            .journal
            .rows(&job.id)
            .await
            .unwrap()
            .into_iter()
            .map(|row| row.to)
            .collect()
    }

    /// Waits until no alert waits to be looked at.
    pub(crate) async fn quiet(&self) {
        eventually(Duration::from_secs(10), || async {
            let waiting = self.engine.parts.journal.open_alerts(10).await?;
            anyhow::ensure!(waiting.is_empty(), "{waiting:?}");
            Ok(())
        })
        .await
        .unwrap();
    }

    pub(crate) async fn end(self) {
        self.stop.trigger();
        self.engine.wake();
        self.task.await.unwrap();
    }
}
