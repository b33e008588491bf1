//! The service, put together.

use std::path::Path;
use std::sync::Arc;

use access::audit::{self, Audit};
use access::caller;
use access::edit::EditService;
use access::trail;
use anyhow::Context as _;
use ssh::Masker;
use toolkit::{App, ConfigError, Identity, Live, OnEnd};

use crate::api;
use crate::archive::Archive;
use crate::collector::{self, Shared};
use crate::compliance::Compliance;
use crate::config::{Config, masking_key};
use crate::counters::Counters;
use crate::flags::Flags;
use crate::journal;
use crate::metrics::Series;
use crate::push;
use crate::state::State;
use crate::webhook;

/// The service.
#[derive(Debug)]
pub struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-ssh-config",
        title: "Configurations",
        about: "Archives the configuration of every device over SSH: whole, masked, with who changed it, and judged by rules",
        port: 19222,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/ssh-config.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(_: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        Config::parse(text, origin)
    }

    async fn build(flags: Flags, live: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let config = live.current();
        let data = config.data.clone();
        std::fs::create_dir_all(&data).with_context(|| format!("data {}", data.display()))?;
        let feed = flags.devices.follow(app).await?;
        let archive =
            Archive::open(&data).with_context(|| format!("archive in {}", data.display()))?;
        let file = data.join("state.json");
        let state = State::open(&file).with_context(|| file.display().to_string())?;
        let lines = journal::start(&live, app)?;
        let counters = Counters::new(app.registry())?;
        let key = masking_key(&config).context("masking_key_file")?;
        let masker = Masker::new(&key);
        let edits = edits(&live)?;
        let (tell, changes) = tokio::sync::mpsc::channel(webhook::QUEUE);
        let (own, told) = (live.clone(), counters.clone());
        let changes = Arc::new(tokio::sync::Mutex::new(changes));
        app.spawn("webhook", OnEnd::Restart, move |stop| {
            webhook::run(Arc::clone(&changes), own.clone(), told.clone(), stop)
        });
        let shared = Arc::new(Shared::new(
            live,
            feed,
            archive,
            state,
            Compliance::default(),
            lines,
            tell,
            counters,
            masker,
        ));
        collector::reconsider(&shared).await;
        caller::register(app.registry())?;
        if let Some(edits) = &edits {
            app.collect(edits.audit().clone());
            let audit = edits.audit().clone();
            audit::wrong_logins(app, move || Some(audit.clone()));
        }
        let own = edits.clone();
        trail::register(app, Self::IDENTITY, move || own.clone());
        app.collect(Series(Arc::clone(&shared)));
        api::register(app, &shared, edits);
        let pushed = Arc::clone(&shared);
        app.spawn("push", OnEnd::Restart, move |stop| {
            push::run(Arc::clone(&pushed), stop)
        });
        app.spawn("collect", OnEnd::Restart, move |stop| {
            collector::run(Arc::clone(&shared), stop)
        });
        Ok(())
    }
}

/// The way of requests that make something happen, where the configuration says who may and where it is recorded.
fn edits(live: &Live<Config>) -> anyhow::Result<Option<EditService>> {
    let config = live.current();
    let Some(folder) = &config.audit else {
        return Ok(None);
    };
    let audit = Audit::open(folder, audit::Options::default())
        .with_context(|| format!("audit log in {}", folder.display()))?;
    let live = live.clone();
    Ok(Some(EditService::new(audit, move || {
        live.current().access.clone()
    })))
}
