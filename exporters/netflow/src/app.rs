//! The service, put together.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use inventory::Feed;
use loki::Lines;
use toolkit::{App, ConfigError, Identity, Live, OnEnd};

use crate::collector::Collector;
use crate::config::Config;
use crate::duplicates::Duplicates;
use crate::flags::Flags;
use crate::intake::{self, Listener, lock};
use crate::metrics::Series;
use crate::names::InterfaceNames;
use crate::pages;
use crate::reverse::ReverseNames;
use crate::state::State;
use crate::tables::Shown;

mod sinks;

/// How often the thread that takes datagrams is looked at.
const WATCH: Duration = Duration::from_secs(1);

/// The service.
#[derive(Debug)]
pub struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-netflow",
        title: "NetFlow",
        about: "Takes NetFlow, IPFIX and sFlow from every device and tells who uses which line",
        port: 19_055,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/netflow.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(_: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        Config::parse(text, origin)
    }

    async fn build(flags: Flags, live: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let config = live.current();
        let feed = flags.devices.follow(app).await?;
        let passed = netio::descriptors::inherited();
        let mut passed = passed
            .into_iter()
            .map(|(socket, _)| socket.into())
            .collect();
        let listeners: Arc<[Listener]> = config
            .listen
            .iter()
            .map(|address| {
                Listener::open(*address, config.receive_buffer, &mut passed)
                    .with_context(|| format!("listen {address}"))
            })
            .collect::<anyhow::Result<Vec<_>>>()?
            .into();
        if !passed.is_empty() {
            let sockets = passed.len();
            tracing::warn!(
                sockets,
                "sockets from the service manager are of no use here"
            );
        }
        for listener in listeners.iter() {
            tracing::info!(address = %listener.address, "listening for flows");
        }
        let mut collector = Collector::new(config.knowledge.clone(), config.top, config.accounting);
        match State::read(&config.templates) {
            Ok(state) => state.into_iter().for_each(|state| collector.restore(state)),
            Err(error) => tracing::warn!(
                error = %error, path = %config.templates.display(),
                "templates of the last run are not to be had: flows wait until exporters tell them again"
            ),
        }
        let suppression = &config.duplicates;
        collector.duplicates = Duplicates::new(
            suppression.policy,
            &suppression.rank,
            suppression.conversations,
        );
        collector.sinks = sinks::open(app, &live, &config)?;
        let collector = Arc::new(Mutex::new(collector));
        lock(&collector).follow(feed.current());
        let names = Arc::new(ArcSwap::from_pointee(InterfaceNames::default()));
        let reverse = match &config.reverse_dns {
            None => None,
            Some(names) => {
                let names = ReverseNames::new(&names.servers, names.cache);
                Some(Arc::new(names.context("reverse_dns")?))
            }
        };
        app.collect(Series {
            collector: Arc::clone(&collector),
            listeners: Arc::clone(&listeners),
            names: Arc::clone(&names),
            reverse: reverse.clone(),
        });
        pages::register(app, &collector, reverse.as_ref());
        devices(app, &feed, &collector);
        settings(app, &live, &collector);
        interfaces(app, &live, &names);
        let lines = match &config.loki {
            None => None,
            Some(_) => Some(Lines::open(
                app,
                "netflow",
                (&config.queue, &config.base),
                &live,
                |config: &Config| config.loki.clone(),
                || Shown,
            )?),
        };
        windows(app, &live, &collector, (lines, reverse));
        keep(app, config.templates.clone(), &collector);
        take(app, listeners, collector);
        Ok(())
    }
}

/// The thread that takes datagrams; when it ends, so does the service.
fn take(app: &mut App, listeners: Arc<[Listener]>, collector: Arc<Mutex<Collector>>) {
    app.spawn("intake", OnEnd::Fail, move |stop| {
        let (listeners, collector) = (Arc::clone(&listeners), Arc::clone(&collector));
        async move {
            let running =
                intake::start(listeners, collector).context("the thread for datagrams")?;
            loop {
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    () = tokio::time::sleep(WATCH) => {}
                }
                anyhow::ensure!(!running.has_ended(), "the thread for datagrams has ended");
            }
        }
    });
}

fn devices(app: &mut App, feed: &Feed, collector: &Arc<Mutex<Collector>>) {
    let (feed, collector) = (feed.clone(), Arc::clone(collector));
    app.spawn("devices", OnEnd::Restart, move |stop| {
        let (mut feed, collector) = (feed.clone(), Arc::clone(&collector));
        async move {
            loop {
                lock(&collector).follow(feed.current());
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    _ = feed.changed() => {}
                }
            }
        }
    });
}

fn settings(app: &mut App, live: &Live<Config>, collector: &Arc<Mutex<Collector>>) {
    let (live, collector) = (live.clone(), Arc::clone(collector));
    app.spawn("settings", OnEnd::Restart, move |stop| {
        let (mut live, collector) = (live.clone(), Arc::clone(&collector));
        async move {
            loop {
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    () = live.changed() => {}
                }
                lock(&collector).configure(live.current().knowledge.clone());
            }
        }
    });
}

/// Asks for the names of interfaces; the last ones stay while Prometheus does not answer.
fn interfaces(app: &mut App, live: &Live<Config>, names: &Arc<ArcSwap<InterfaceNames>>) {
    let (live, names) = (live.clone(), Arc::clone(names));
    app.spawn("interface_names", OnEnd::Restart, move |stop| {
        let (mut live, names) = (live.clone(), Arc::clone(&names));
        async move {
            let mut complained = false;
            loop {
                let config = live.current();
                let pause = match &config.names {
                    None => None,
                    Some(asked) => {
                        let client = asked
                            .prometheus
                            .client(Path::new("."))
                            .context("interface_names.prometheus")?;
                        match InterfaceNames::ask(&client, &asked.query).await {
                            Ok(told) => {
                                complained = false;
                                names.store(Arc::new(told));
                                Some(asked.refresh)
                            }
                            Err(error) => {
                                if !std::mem::replace(&mut complained, true) {
                                    let error = anyhow::Error::new(error);
                                    tracing::warn!(
                                        error = format!("{error:#}"),
                                        "names of interfaces are not to be had"
                                    );
                                }
                                Some(asked.refresh.min(Duration::from_secs(10)))
                            }
                        }
                    }
                };
                let pause = async {
                    match pause {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    () = live.changed() => {}
                    () = pause => {}
                }
            }
        }
    });
}

/// How often changed templates are written.
const KEEP: Duration = Duration::from_secs(5);

/// Keeps templates and sampling rates over a restart.
fn keep(app: &mut App, path: std::path::PathBuf, collector: &Arc<Mutex<Collector>>) {
    let collector = Arc::clone(collector);
    app.spawn("templates", OnEnd::Restart, move |stop| {
        let (path, collector) = (path.clone(), Arc::clone(&collector));
        async move {
            let mut complained = false;
            loop {
                let stopped = tokio::select! {
                    () = stop.requested() => true,
                    () = tokio::time::sleep(KEEP) => false,
                };
                let changed = lock(&collector).state();
                if let Some(state) = changed {
                    let place = path.clone();
                    let written = tokio::task::spawn_blocking(move || state.write(&place)).await?;
                    match written {
                        Ok(()) => complained = false,
                        Err(error) if !std::mem::replace(&mut complained, true) => tracing::warn!(
                            error = %error, path = %path.display(),
                            "templates are not kept over a restart"
                        ),
                        Err(_) => {}
                    }
                }
                if stopped {
                    return Ok(());
                }
            }
        }
    });
}

/// Ends the windows, and has their tables written to Loki.
fn windows(
    app: &mut App,
    live: &Live<Config>,
    collector: &Arc<Mutex<Collector>>,
    (lines, reverse): (Option<Lines>, Option<Arc<ReverseNames>>),
) {
    let (live, collector) = (live.clone(), Arc::clone(collector));
    app.spawn("windows", OnEnd::Restart, move |stop| {
        let (live, collector) = (live.clone(), Arc::clone(&collector));
        let (lines, reverse) = (lines.clone(), reverse.clone());
        async move {
            loop {
                let begin = Instant::now();
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    () = tokio::time::sleep(live.current().window) => {}
                }
                let mut tables = lock(&collector)
                    .roll(begin.elapsed(), pages::unix_now())
                    .to_vec();
                let Some(lines) = &lines else { continue };
                if let Some(reverse) = &reverse {
                    reverse.fill(&mut tables, pages::NAMES_IN_TIME).await;
                }
                for table in &tables {
                    if !lines.keep(&table.line()) {
                        tracing::error!("the table of a window could not be queued");
                    }
                }
            }
        }
    });
}
