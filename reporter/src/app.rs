//! The service, put together.

use std::path::Path;
use std::sync::Arc;

use access::audit::{self, Audit};
use access::caller;
use access::edit::EditService;
use access::trail;
use anyhow::Context as _;
use tokio::sync::Semaphore;
use toolkit::{App, ConfigError, Identity, Live, OnEnd};

use crate::api::{self, Api};
use crate::config::Config;
use crate::flags::Flags;
use crate::jobs::Jobs;
use crate::metrics::Metrics;
use crate::reporter::Reporter;
use crate::store::Store;

/// The service.
#[derive(Debug)]
pub struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-reporter",
        title: "Reporter",
        about: "The availability of a month as PDF, CSV and mail, with maintenance and what is not known told apart; `sotp-reporter render --help` and `sotp-reporter run --help` tell of one report",
        port: 19_880,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/reporter.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(_: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        Config::parse(text, origin)
    }

    async fn build(_: Flags, config: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let now = config.current();
        let store = Store::open(&now.data)
            .with_context(|| format!("the folder of the reports {}", now.data.display()))?;
        let metrics = Arc::new(Metrics::new(app.registry())?);
        let edits = edits(&config)?;
        if let Some(edits) = &edits {
            app.collect(edits.audit().clone());
            caller::register(app.registry())?;
            let audit = edits.audit().clone();
            audit::wrong_logins(app, move || Some(audit.clone()));
        }
        let own = edits.clone();
        trail::register(app, Self::IDENTITY, move || own.clone());
        let reporter = Arc::new(Reporter::new(config, store, metrics));
        let api = Arc::new(Api {
            reporter: Arc::clone(&reporter),
            jobs: Jobs::default(),
            edits,
            readers: Arc::new(Semaphore::new(READERS)),
        });
        api::register(app, &api);
        app.spawn("reports", OnEnd::Restart, move |stop| {
            let reporter = Arc::clone(&reporter);
            async move { reporter.follow(&stop).await }
        });
        Ok(())
    }
}

/// Requests that read the folder of the reports at a time.
const READERS: usize = 4;

/// Where reports are asked for, where the configuration says who may.
fn edits(config: &Live<Config>) -> anyhow::Result<Option<EditService>> {
    let now = config.current();
    let Some(editing) = &now.editing else {
        return Ok(None);
    };
    let audit = Audit::open(&editing.audit, audit::Options::default())
        .with_context(|| format!("audit log in {}", editing.audit.display()))?;
    let config = config.clone();
    Ok(Some(EditService::new(audit, move || {
        let now = config.current();
        now.editing
            .as_ref()
            .map(|editing| Arc::clone(&editing.access))
    })))
}
