//! The service, put together.

use std::path::Path;
use std::sync::Arc;

use access::audit::{self, Audit};
use access::caller;
use access::edit::EditService;
use access::trail;
use anyhow::Context as _;
use inventory::{Feed, Inventory, Source};
use tokio::sync::Semaphore;
use toolkit::prometheus;
use toolkit::{App, BadInput, ConfigError, Identity, Live, OnEnd, chain};

use crate::api::edits::{Api, Editor, remembered};
use crate::config::Config;
use crate::flags::Flags;
use crate::metrics::{Editing, Series};
use crate::store::disk::Real;
use crate::store::{Options, Store, StoreError, blocking};
use crate::{api, sync};

/// The service.
#[derive(Debug)]
pub struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-inventory",
        title: "Inventory",
        about: "Answers for the devices of the network: discovery for Prometheus, series and JSON",
        port: 19870,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/inventory.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(_: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        Config::parse(text, origin)
    }

    async fn build(flags: Flags, config: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let (editor, unavailable) = match editor(&flags, &config).await? {
            Opened::No => (None, None),
            Opened::Yes(editor) => (Some(editor), None),
            Opened::Cannot(why) => (None, Some(why)),
        };
        if config.current().editing.is_some() {
            if !flags.lock_reading {
                app.open_to_readers(&["/sd/"]);
            }
            let up = prometheus::IntGauge::new(
                "sotp_inventory_store_up",
                "Whether the store of changes could be opened; else the service answers and nothing can be changed.",
            )?;
            up.set(i64::from(unavailable.is_none()));
            app.registry().register(Box::new(up))?;
        }
        let feed = match &editor {
            Some(editor) => editor.store.feed().clone(),
            None => {
                let guard = flags.guard.guard();
                let feed = Feed::open_guarded(Source::File(flags.source), guard);
                feed.await.map_err(bad)?
            }
        };
        let store = editor.as_ref().map(|editor| Arc::clone(&editor.store));
        app.collect(Series::new(feed.clone()));
        app.collect(devices::Health::new(feed.clone()));
        if let Some(editor) = &editor {
            app.collect(Editing::new(Arc::clone(&editor.store), config.clone()));
            app.collect(editor.edits.audit().clone());
            caller::register(app.registry())?;
            let audit = editor.edits.audit().clone();
            audit::wrong_logins(app, move || Some(audit.clone()));
        }
        let own = editor.as_ref().map(|editor| editor.edits.clone());
        trail::register(app, Self::IDENTITY, move || own.clone());
        let (looked, settled) = (feed.clone(), store.clone());
        app.reload(move || look(looked.clone(), settled.clone()));
        let api = Arc::new(Api {
            feed: feed.clone(),
            config,
            editor,
            unavailable,
            imports: Arc::new(Semaphore::new(1)),
            histories: Arc::new(Semaphore::new(HISTORIES)),
        });
        api::register(app, &api);
        app.spawn("inventory_feed", OnEnd::Restart, move |stop| {
            let (feed, store) = (feed.clone(), store.clone());
            async move {
                let follow = async {
                    match &store {
                        Some(store) => store.follow().await,
                        None => feed.follow().await,
                    }
                };
                tokio::select! {
                    () = follow => {}
                    () = stop.requested() => {}
                }
                match store {
                    // What the journal holds is safe; git has it the sooner the better.
                    Some(store) => Ok(store.flushed().await?),
                    None => Ok(()),
                }
            }
        });
        if let Some(editor) = api.editor.clone() {
            app.spawn("inventory_remote", OnEnd::Restart, move |stop| {
                let (api, editor) = (Arc::clone(&api), editor.clone());
                async move {
                    tokio::select! {
                        () = sync::follow(&api, &editor) => {}
                        () = stop.requested() => {}
                    }
                    Ok(())
                }
            });
        }
        Ok(())
    }

    fn check(flags: &Flags, _config: &Config) -> Result<Option<String>, BadInput> {
        let inventory = Inventory::read(&flags.source).map_err(bad)?;
        let (devices, sites) = (inventory.devices().len(), inventory.sites().len());
        let path = flags.source.display();
        Ok(Some(format!(
            "{path}: inventory is good: {devices} devices, {sites} sites"
        )))
    }

    fn print(flags: &Flags) -> Option<String> {
        flags.print_schema.then(inventory::json_schema)
    }
}

/// An inventory that is wrong at the start.
fn bad(error: inventory::Error) -> BadInput {
    BadInput(format!("{:#}", anyhow::Error::from(error)))
}

/// Reads the inventory file again; tells whether it had changed.
async fn look(feed: Feed, store: Option<Arc<Store>>) -> Result<bool, String> {
    let Some(store) = store else {
        return feed.refresh().await.map_err(|error| chain(&error));
    };
    let before = feed.current();
    let mut held = store.hold().await;
    let settled = blocking(move || held.confirm()).await;
    settled.map_err(|error| chain(&error))?;
    Ok(!Arc::ptr_eq(&before, &feed.current()))
}

/// Requests that read the history at a time.
const HISTORIES: usize = 4;

/// What came of opening the store.
enum Opened {
    /// Nobody may change anything.
    No,
    Yes(Editor),
    /// The disk or git is in the way.
    Cannot(String),
}

/// The store and the audit log, where the configuration says who may change something.
async fn editor(flags: &Flags, live: &Live<Config>) -> anyhow::Result<Opened> {
    let config = live.current();
    let Some(editing) = &config.editing else {
        return Ok(Opened::No);
    };
    let audit = Audit::open(&editing.audit, audit::Options::default())
        .with_context(|| format!("audit log in {}", editing.audit.display()))?;
    let options = Options {
        file: flags.source.clone(),
        branch: editing.branch.clone(),
        audit: Some(audit.clone()),
        guard: flags.guard.guard(),
    };
    match blocking(move || Store::open(Arc::new(Real), options)).await {
        Ok(store) => {
            let (live, kept) = (live.clone(), Arc::clone(&store));
            let policy = move || Some(Arc::clone(&live.current().editing.as_ref()?.access));
            let recall = move |name: String| {
                let store = Arc::clone(&kept);
                async move { Some(remembered(&store.answered(&name).await?)) }
            };
            let edits = EditService::recalling(audit, policy, recall);
            Ok(Opened::Yes(Editor { store, edits }))
        }
        Err(StoreError::Inventory(error)) => Err(bad(error).into()),
        Err(error @ (StoreError::Disk { .. } | StoreError::Git(_) | StoreError::Link(_))) => {
            // Who only reads is not left without an answer for it.
            let why = chain(&error);
            tracing::error!(
                error = why,
                "the inventory cannot be edited; it is answered from the file until the service starts again"
            );
            Ok(Opened::Cannot(why))
        }
        Err(error) => Err(error).context("the inventory cannot be edited"),
    }
}
