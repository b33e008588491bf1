//! The service: inventory and names in, engine and metrics out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use inventory::{Feed, Inventory};
use tokio::sync::{Mutex, Notify, watch};
use toolkit::{App, BadInput, ConfigError, Configuration as _, Identity, Live, OnEnd, Stop};

use crate::compat::{self, Kind, Peer, Windows};
use crate::config::Config;
use crate::echo::Mode;
use crate::engine::{Command, Engine, Sockets};
use crate::flags::Flags;
use crate::metrics::Metrics;
use crate::path;
use crate::probe::Prober;
use crate::resolve;
use crate::targets::{Directory, Names, View, WantedNames, names_interfaces, wanted_names};

/// Changes of targets after which memory is given back.
const MANY: usize = 1_000;
/// How often the numbers of interfaces are looked at.
const INTERFACES: Duration = Duration::from_secs(5);

/// The service `sotp-ping`.
#[derive(Debug)]
pub struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-ping",
        title: "Ping",
        about: "Pings every device of the inventory and exports round trip, loss and reason.",
        port: 19_427,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/ping.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(flags: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        let Some(kind) = flags.compat else {
            return Config::parse(text, origin);
        };
        // Without a file there is what the other prober's flags say.
        let text = if text == Config::DEFAULT { "" } else { text };
        compat::parse(kind, &flags.of_peer, text, origin)
    }

    fn check(flags: &Flags, config: &Config) -> Result<Option<String>, BadInput> {
        let kind = config.peer.as_ref().map(|peer| peer.kind);
        match has_inventory(flags, kind)? {
            true => flags.devices.check().map(Some),
            false => Ok(None),
        }
    }

    async fn build(flags: Flags, config: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let now = config.current();
        let asked = match flags.raw_sockets {
            true => Some(Mode::Raw),
            false => now.sockets.mode,
        };
        let sockets = Sockets::open(asked, now.sockets.receive_buffer_bytes)?;
        let mode = sockets.mode();
        tracing::info!(
            mode = mode.name(),
            why = match (asked, mode) {
                (Some(_), _) => "configured",
                (None, Mode::Unprivileged) =>
                    "net.ipv4.ping_group_range has the group of this process",
                (None, Mode::Raw) =>
                    "net.ipv4.ping_group_range lacks the group of this process, which has CAP_NET_RAW",
            },
            "ICMP sockets"
        );
        let modes = sockets.modes();
        let kind = now.peer.as_ref().map(|peer| peer.kind);
        let feed = feed(&flags, kind, app).await?;

        let ended = Arc::new(Notify::new());
        let at_end = Arc::clone(&ended);
        let engine = Engine::start(sockets, flags.threads, move || at_end.notify_one())?;
        let view = Arc::new(ArcSwap::from_pointee(View::default()));
        let ages = Arc::new(resolve::Ages::default());
        let metrics = Metrics::new(
            Arc::clone(&view),
            Arc::clone(engine.stats()),
            &modes,
            config.clone(),
            Arc::clone(&ages),
        );
        app.collect(metrics);
        if kind.is_some() {
            stand_in(&view, &engine, &config, app);
        }
        let offset = flags.timeout_offset;
        let prober = Prober::new(
            Arc::clone(&view),
            config.clone(),
            mode,
            offset,
            app.registry(),
        )?;
        let prober = Arc::new(prober);
        app.route(toolkit::http::Method::GET, "/probe", move |request| {
            let prober = Arc::clone(&prober);
            async move { prober.answer(request).await }
        });
        app.link(
            "/probe?target=127.0.0.1&module=icmp&debug=true",
            "Probe",
            "one target now, as blackbox_exporter's icmp prober",
        );
        app.spawn("engine", OnEnd::Fail, move |stop| {
            let ended = Arc::clone(&ended);
            async move {
                tokio::select! {
                    // The thread ends when the service does: then both are true.
                    biased;
                    () = stop.requested() => Ok(()),
                    () = ended.notified() => anyhow::bail!("the probing thread ended"),
                }
            }
        });

        let (wanted, wanted_seen) = watch::channel(Arc::new(WantedNames::new()));
        let (known, known_seen) = watch::channel(Arc::new(Names::new()));
        let known = Arc::new(known);
        let live = config.clone();
        app.spawn("resolver", OnEnd::Restart, move |stop| {
            let (live, wanted) = (live.clone(), wanted_seen.clone());
            let (known, ages) = (Arc::clone(&known), Arc::clone(&ages));
            async move { resolve::run(&stop, live, wanted, &known, &ages).await }
        });

        let paths = Arc::new(path::Shared::default());
        app.collect(path::metrics::Metrics(Arc::clone(&paths)));
        let (traced, traced_seen) = watch::channel(Arc::new(Vec::new()));
        let live = config.clone();
        app.spawn("paths", OnEnd::Restart, move |stop| {
            let (live, traced, paths) = (live.clone(), traced_seen.clone(), Arc::clone(&paths));
            async move { path::run::run(&stop, live, traced, &paths).await }
        });

        let mut control = Control {
            engine,
            feed,
            config,
            wanted,
            known: known_seen,
            view,
            directory: Directory::default(),
            peers: compat::Directory::default(),
            traced,
            warned: Vec::new(),
            applied: app.gate("targets"),
            interfaces: false,
            paced: None,
        };
        control.apply().await?;
        let control = Arc::new(Mutex::new(control));
        app.spawn("targets", OnEnd::Restart, move |stop| {
            let control = Arc::clone(&control);
            async move { control.lock().await.run(&stop).await }
        });
        Ok(())
    }
}

/// Whether targets come from an inventory: not in the place of another prober, unless it is one that is asked by URL and the flag is given.
fn has_inventory(flags: &Flags, kind: Option<Kind>) -> Result<bool, BadInput> {
    match (flags.devices.given(), kind) {
        (Some(_), Some(Kind::SmokepingProber | Kind::PingExporter)) => Err(BadInput(
            "--inventory.source: with --compat the targets are those of the other prober's configuration".into(),
        )),
        (given, kind) => Ok(kind.is_none() || given.is_some()),
    }
}

/// The inventory: that of the flag, else the file of the default name; none is needed to stand in for another prober.
async fn feed(flags: &Flags, kind: Option<Kind>, app: &mut App) -> anyhow::Result<Feed> {
    if has_inventory(flags, kind)? {
        return flags.devices.follow(app).await;
    }
    let nothing = Inventory::parse("devices: []", Path::new("no inventory"))?;
    Ok(Feed::fixed(nothing))
}

/// Adds the series of the prober that is stood in for.
fn stand_in(view: &Arc<ArcSwap<View>>, engine: &Engine, config: &Live<Config>, app: &mut App) {
    let windows = Arc::new(Windows::default());
    app.collect(compat::Series::new(
        config.clone(),
        Arc::clone(view),
        Arc::clone(engine.stats()),
        Arc::clone(&windows),
        app.registry().clone(),
    ));
    let (view, config) = (Arc::clone(view), config.clone());
    app.spawn("history", OnEnd::Restart, move |stop| {
        let (view, config, windows) = (Arc::clone(&view), config.clone(), Arc::clone(&windows));
        async move {
            loop {
                let now = config.current();
                let peer = now.peer.as_ref().filter(|peer| peer.style.history > 0);
                let period = peer.and_then(Peer::shortest);
                tokio::select! {
                    () = tokio::time::sleep(compat::period(period)) => {}
                    () = stop.requested() => return Ok(()),
                }
                if let Some(peer) = peer {
                    windows.look(&view.load(), peer.style.history);
                }
            }
        }
    });
}

/// Keeps the engine's targets those of the inventory.
struct Control {
    engine: Engine,
    feed: Feed,
    config: Live<Config>,
    wanted: watch::Sender<Arc<WantedNames>>,
    known: watch::Receiver<Arc<Names>>,
    view: Arc<ArcSwap<View>>,
    directory: Directory,
    /// Targets whose path is followed.
    traced: watch::Sender<Arc<Vec<path::Target>>>,
    /// The targets of the prober that is stood in for.
    peers: compat::Directory,
    /// What was said of its configuration.
    warned: Vec<String>,
    /// Opens once the targets are those of the first inventory.
    applied: toolkit::Latch,
    /// Interfaces are named, so that their numbers are looked at now and then.
    interfaces: bool,
    /// The rates the engine was told.
    paced: Option<crate::config::Pacing>,
}

impl Control {
    async fn run(&mut self, stop: &Stop) -> anyhow::Result<()> {
        loop {
            // What changed between the last look and this one is seen now, whatever woke the task.
            self.apply().await?;
            tokio::select! {
                _ = self.feed.changed() => {}
                () = self.config.changed() => {}
                changed = self.known.changed() => if changed.is_err() {
                    // The supervisor keeps the other end until the process drains.
                    stop.requested().await;
                    return Ok(());
                },
                () = tokio::time::sleep(INTERFACES), if self.interfaces => {}
                () = stop.requested() => return Ok(()),
            }
        }
    }

    async fn apply(&mut self) -> anyhow::Result<()> {
        let began = std::time::Instant::now();
        let inventory = self.feed.current();
        // The names are marked as seen when they are taken, not when all is done: a change meanwhile wakes the task again.
        let names = Arc::clone(&self.known.borrow_and_update());
        let config = self.config.current();
        let probe = &config.probe;
        // The rates go before the targets, so that ten thousand new ones never start at the old rate.
        if self.paced != Some(config.pacing) {
            self.engine.tell(vec![Command::Pace(config.pacing)]).await?;
            self.paced = Some(config.pacing);
        }
        let (commands, view, wanted) = match &config.peer {
            Some(peer) if peer.kind != Kind::Blackbox => {
                let (commands, view) = self.peers.update(peer, &names, probe.down_after);
                self.interfaces = peer.targets.iter().any(|target| target.zone().is_some());
                (commands, view, peer.wanted_names())
            }
            _ => {
                let (commands, view) = self.directory.update(&inventory, probe, &names);
                self.interfaces = names_interfaces(&inventory, probe);
                (commands, view, wanted_names(&inventory))
            }
        };
        let warnings = config.peer.as_ref().map_or(&[][..], |peer| &peer.warnings);
        if self.warned != warnings {
            for warning in warnings {
                tracing::warn!(warning, "configuration of another prober");
            }
            self.warned = warnings.to_vec();
        }
        self.wanted.send_if_modified(|current| {
            let changed = **current != wanted;
            if changed {
                *current = Arc::new(wanted);
            }
            changed
        });
        let changed = commands.len();
        let mut commands = commands;
        if changed > 0 {
            commands.push(Command::Mark(began));
            self.engine.tell(commands).await?;
            tracing::info!(targets = view.rows.len(), changed, "targets changed");
        }
        let traced = path::targets(&config.path, &inventory, &view);
        if !(traced.is_empty() && self.traced.borrow().is_empty()) {
            self.traced.send_replace(Arc::new(traced));
        }
        // The engine is told of targets before the page shows them: a row without a target behind it would stand still.
        self.view.store(Arc::new(view));
        if changed >= MANY {
            // What reading and comparing took is many times what is kept.
            netio::memory::give_back();
        }
        // Last: ready is said when all of the above is true.
        if self.feed.health().loaded {
            self.applied.open();
        }
        Ok(())
    }
}
