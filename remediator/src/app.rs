//! The service, put together.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use access::audit::{self, Audit};
use access::caller;
use access::edit::EditService;
use access::trail;
use anyhow::Context as _;
use inventory::Feed;
use toolkit::{App, ConfigError, Identity, Latch, Live, OnEnd, Stop};

use crate::api::{self, Api};
use crate::clock::System;
use crate::config::Config;
use crate::drift::{Archive, Drift, NoArchive};
use crate::engine::{Engine, Parts, Silent, Witness};
use crate::flags::Flags;
use crate::journal::{Journal, Lock};
use crate::lines;
use crate::metrics::Metrics;
use crate::proof::{Nobody, Proof};
use crate::reach::Reached;
use crate::runbook;
use crate::silences::{Silenced, Silences, Unasked};
use crate::snmp::{self, Series};

/// Between two tries for the journal's lock.
const LOCK: Duration = Duration::from_millis(500);
/// Between two looks for sessions that nobody uses.
const TIDY: Duration = Duration::from_secs(10);

/// The service.
#[derive(Debug)]
pub struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-remediator",
        title: "Remediator",
        about: "Repairs what it is allowed to repair: alerts in, runbooks, approvals, proof; console commands for known callers",
        port: 19095,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/remediator.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(_: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        Config::parse(text, origin)
    }

    fn print(flags: &Flags) -> Option<String> {
        flags.print_schema.then(runbook::json_schema)
    }

    async fn build(flags: Flags, config: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let feed = flags.devices.follow(app).await?;
        let metrics = Arc::new(Metrics::new(app.registry())?);
        metrics.runbooks(&config.current().setup.runbooks);
        let api = Arc::new(Api {
            config: config.clone(),
            feed: feed.clone(),
            engine: OnceLock::new(),
            metrics: Arc::clone(&metrics),
            edits: OnceLock::new(),
        });
        api::register(app, &api);
        if config.current().editing.is_some() {
            app.collect(api::Recorded(Arc::clone(&api)));
            caller::register(app.registry())?;
            let recorded = Arc::clone(&api);
            audit::wrong_logins(app, move || Some(recorded.edits.get()?.audit().clone()));
        }
        let own = Arc::clone(&api);
        trail::register(app, Self::IDENTITY, move || own.edits.get().cloned());
        let witness: Arc<dyn Witness> = match lines::start(&config, app)? {
            Some(teller) => Arc::new(teller),
            None => Arc::new(Silent),
        };
        let reached = Arc::new(Reached::new(config.clone()));
        let gate = app.gate("journal_lock");
        let tidy = Arc::clone(&reached);
        app.spawn("sessions", OnEnd::Restart, move |stop| {
            let tidy = Arc::clone(&tidy);
            async move {
                loop {
                    tokio::select! {
                        () = tokio::time::sleep(TIDY) => tidy.tidy(),
                        () = stop.requested() => return Ok(()),
                    }
                }
            }
        });
        let work = Work {
            config,
            feed,
            metrics,
            reached,
            api,
            gate,
            witness,
        };
        let work = Arc::new(work);
        // The lock is held by the process that works; when the engine ends in the middle, the process does, and another one may begin.
        app.spawn("engine", OnEnd::Fail, move |stop| {
            let work = Arc::clone(&work);
            async move { work.run(&stop).await }
        });
        Ok(())
    }
}

/// Where writes go, where the configuration says who may write.
fn edits(config: &Live<Config>) -> anyhow::Result<Option<EditService>> {
    let now = config.current();
    let Some(editing) = &now.editing else {
        return Ok(None);
    };
    let audit = Audit::open(&editing.audit, audit::Options::default())
        .with_context(|| format!("audit log in {}", editing.audit.display()))?;
    let config = config.clone();
    let policy = move || {
        config
            .current()
            .editing
            .as_ref()
            .map(|editing| Arc::clone(&editing.access))
    };
    Ok(Some(EditService::new(audit, policy)))
}

/// What the engine is made of once the lock is there.
struct Work {
    config: Live<Config>,
    feed: Feed,
    metrics: Arc<Metrics>,
    reached: Arc<Reached>,
    api: Arc<Api>,
    gate: Latch,
    witness: Arc<dyn Witness>,
}

impl Work {
    async fn run(&self, stop: &Stop) -> anyhow::Result<()> {
        let folder = self.config.current().journal.clone();
        let mut waits = false;
        let _lock = loop {
            if let Some(lock) = Lock::take(&folder)? {
                break lock;
            }
            if !waits {
                waits = true;
                tracing::info!(folder = %folder.display(), "another instance has the journal: this one waits");
            }
            tokio::select! {
                () = tokio::time::sleep(LOCK) => {}
                () = stop.requested() => return Ok(()),
            }
        };
        let Some(journal) = opened(&folder, stop).await? else {
            return Ok(());
        };
        let setup = self.config.clone();
        let configured = Arc::new(Configured {
            config: self.config.clone(),
            feed: self.feed.clone(),
        });
        let parts = Parts {
            journal,
            clock: Arc::new(System),
            access: Arc::clone(&self.reached) as Arc<_>,
            proof: Arc::clone(&configured) as Arc<_>,
            silences: Arc::clone(&configured) as Arc<_>,
            archive: configured,
            feed: self.feed.clone(),
            setup: Box::new(move || Arc::clone(&setup.current().setup)),
            metrics: Arc::clone(&self.metrics),
            witness: Arc::clone(&self.witness),
        };
        let engine = Engine::start(parts).await?;
        if let Some(edits) = edits(&self.config)? {
            let _ = self.api.edits.set(edits);
        }
        let _ = self.api.engine.set(Arc::clone(&engine));
        self.metrics.active.set(1);
        self.gate.open();
        tracing::info!(folder = %folder.display(), "this instance has the journal and works");
        let worked = engine.run(stop).await;
        self.metrics.active.set(0);
        Ok(worked?)
    }
}

/// The journal, once it can be written; `None` when the service is to stop before.
async fn opened(folder: &Path, stop: &Stop) -> anyhow::Result<Option<Journal>> {
    let mut waits = false;
    loop {
        let error = match Journal::open(folder) {
            Ok(journal) => match journal.probe().await {
                Ok(()) => return Ok(Some(journal)),
                Err(error) => error,
            },
            Err(error) => error,
        };
        if !error.may_pass() {
            return Err(error.into());
        }
        if !waits {
            waits = true;
            tracing::error!(%error, folder = %folder.display(), "the journal cannot be written: this instance waits until it can");
        }
        tokio::select! {
            () = tokio::time::sleep(LOCK) => {}
            () = stop.requested() => return Ok(None),
        }
    }
}

/// The other services that the configuration names now.
struct Configured {
    config: Live<Config>,
    feed: Feed,
}

impl Proof for Configured {
    fn number<'a>(
        &'a self,
        query: &'a str,
    ) -> futures_util::future::BoxFuture<'a, Result<Option<f64>, String>> {
        Box::pin(async move {
            match self.config.current().prometheus.clone() {
                Some(prometheus) => prometheus.number(query).await,
                None => Nobody.number(query).await,
            }
        })
    }

    fn snmp<'a>(
        &'a self,
        device: &'a str,
        series: &'a Series,
    ) -> futures_util::future::BoxFuture<'a, Result<Option<f64>, String>> {
        Box::pin(async move {
            let inventory = self.feed.current();
            match (&self.config.current().snmp, inventory.device(device)) {
                (Some(pages), Some(device)) => snmp::ask(pages, device, series).await,
                (Some(_), None) => Err("the device is not in the inventory any more".to_owned()),
                (None, _) => Nobody.snmp(device, series).await,
            }
        })
    }
}

impl Silences for Configured {
    fn over<'a>(
        &'a self,
        labels: &'a std::collections::BTreeMap<String, String>,
    ) -> futures_util::future::BoxFuture<'a, Result<Option<Silenced>, String>> {
        Box::pin(async move {
            match self.config.current().alertmanager.clone() {
                Some(alertmanager) => alertmanager.over(labels).await,
                None => Unasked.over(labels).await,
            }
        })
    }
}

impl Archive for Configured {
    fn drift<'a>(
        &'a self,
        device: &'a str,
        rule: &'a str,
    ) -> futures_util::future::BoxFuture<'a, Result<Drift, String>> {
        Box::pin(async move {
            match self.config.current().ssh_config.clone() {
                Some(archive) => archive.drift(device, rule).await,
                None => NoArchive.drift(device, rule).await,
            }
        })
    }
}
