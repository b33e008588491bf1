//! The service, put together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Context as _;
use devices::Readiness;
use loki::{DeadLetters, Delivery};
use spool::Queue;
use toolkit::{App, ConfigError, Identity, Live, OnEnd, Stop};

use crate::config::Config;
use crate::flags::Flags;
use crate::handover;
use crate::intake::{Intake, Waiting, now};
use crate::listeners::Listeners;
use crate::metrics::Series;
use crate::statistics::{AtDestination, Statistics};
use crate::translate::Translator;

mod backlog;
mod outputs;

use outputs::Outputs;

/// The service.
pub struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-syslog",
        title: "Syslog",
        about: "Receives syslog from every device, translates it and delivers it to Loki without losing a line",
        port: 19514,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/syslog.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(_: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        Config::parse(text, origin)
    }

    async fn build(flags: Flags, live: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let config = live.current();
        let feed = flags.devices.open().await?;
        let translator = Arc::new(Translator::built_in().context("translation rules")?);
        let mut taken = handover::taken();
        let (queue, recovery) = Queue::open(&config.spool_path, config.spool.clone())
            .with_context(|| format!("spool {}", config.spool_path.display()))?;
        tracing::info!(queued = ?recovery.queued, cut_bytes = recovery.cut, "queue opened");
        let statistics = Arc::new(Statistics::new(config.spool.readers.clone()));
        let given = taken.backlog.take();
        if !given.is_some_and(|given| backlog::given(given, &recovery.queued, &statistics)) {
            backlog::count(&queue, &statistics)?;
        }
        let intake = Arc::new(Intake {
            max_bytes: config.spool.max_bytes,
            queue,
            statistics,
            feed: feed.clone(),
            config: live.clone(),
            waiting: Waiting::default(),
        });
        if let Some(folder) = config.dead_letters.0.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        }
        let dead = DeadLetters::open(&config.dead_letters.0, config.dead_letters.1)
            .with_context(|| format!("dead_letters.path {}", config.dead_letters.0.display()))?;
        // What is sent before there is an inventory would be lost if it were not taken.
        devices::follow(app, &feed, Readiness::Independent);
        let delivery = Delivery::new("syslog", intake.queue.clone(), Arc::new(dead), |index| {
            let statistics = intake.statistics.clone();
            Arc::new(AtDestination { statistics, index })
        });
        let webhook_counters = Arc::default();
        let outputs = Outputs {
            intake: intake.clone(),
            translator,
            delivery: delivery.clone(),
            webhook_counters: Arc::clone(&webhook_counters),
        };
        outputs.start(app)?;
        let listeners = Arc::new(Listeners::new(intake.clone(), app.spawner(), taken));
        listeners.apply(&config)?;
        let restart_needed = Arc::new(AtomicBool::new(false));
        reload(app, &live, &listeners, &restart_needed);
        if let Some(path) = flags.handover_socket {
            hand_over(app, path, &listeners, &intake, delivery.handing_over());
        }
        app.collect(Series {
            intake,
            listeners,
            webhooks: webhook_counters,
            restart_needed,
            started: now(),
        });
        app.collect(delivery);
        Ok(())
    }
}

/// Follows the configuration: listeners change here, destinations by themselves, everything else with the next message.
fn reload(
    app: &mut App,
    live: &Live<Config>,
    listeners: &Arc<Listeners>,
    restart_needed: &Arc<AtomicBool>,
) {
    let (live, listeners, restart_needed) =
        (live.clone(), listeners.clone(), restart_needed.clone());
    let started = live.current();
    app.spawn("reload", OnEnd::Restart, move |stop| {
        let (mut live, listeners, started) = (live.clone(), listeners.clone(), started.clone());
        let restart_needed = restart_needed.clone();
        async move {
            loop {
                tokio::select! {
                    () = live.changed() => {}
                    () = stop.requested() => return Ok(()),
                }
                let config = live.current();
                if let Err(error) = listeners.apply(&config) {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "not everything can be listened on"
                    );
                }
                let waits = started.needs_restart(&config);
                restart_needed.store(!waits.is_empty(), Relaxed);
                for path in waits {
                    tracing::warn!(path, "this change takes effect at the next start");
                }
            }
        }
    });
}

fn hand_over(
    app: &mut App,
    path: PathBuf,
    listeners: &Arc<Listeners>,
    intake: &Arc<Intake>,
    ending: &Stop,
) {
    let (listeners, intake, ending) = (listeners.clone(), intake.clone(), ending.clone());
    app.spawn("handover", OnEnd::Restart, move |stop| {
        let (path, listeners, intake, ending) = (
            path.clone(),
            listeners.clone(),
            intake.clone(),
            ending.clone(),
        );
        async move {
            handover::serve(&path, &listeners, &intake, &ending, &stop)
                .await
                .with_context(|| format!("--handover.socket {}", path.display()))
        }
    });
}
