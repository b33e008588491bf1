//! The service, put together.

use std::sync::Arc;

use anyhow::Context as _;
use http::Method;
use inventory::sd::Job;
use inventory::{Feed, Source};
use toolkit::audit::{self, Audit};
use toolkit::{App, Identity, Live, OnEnd};

use crate::api::desk::{Desk, Editor};
use crate::config::Config;
use crate::metrics::Series;
use crate::store::disk::Real;
use crate::store::{Options, Store, StoreError, blocking};
use crate::{api, cli, sd};

pub(crate) struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-inventory",
        title: "Inventory",
        about: "Answers for the devices of the network: discovery for Prometheus, series and JSON",
        port: 19870,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/inventory.md",
    };
    type Flags = cli::Flags;
    type Config = Config;

    async fn build(flags: cli::Flags, config: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let editor = editor(&flags, &config).await?;
        let feed = match &editor {
            Some(editor) => editor.store.feed().clone(),
            None => match Feed::open(Source::File(flags.source)).await {
                Ok(feed) => feed,
                Err(error) => cli::refuse(error),
            },
        };
        app.collect(Series::new(feed.clone()));
        discovery(app, &feed);
        let store = editor.as_ref().map(|editor| Arc::clone(&editor.store));
        let desk = Desk {
            feed: feed.clone(),
            config,
            editor,
        };
        api::register(app, &Arc::new(desk));
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
        Ok(())
    }
}

/// The store and the audit log, where the configuration says who may change something.
async fn editor(flags: &cli::Flags, config: &Live<Config>) -> anyhow::Result<Option<Editor>> {
    let config = config.current();
    let Some(editing) = &config.editing else {
        return Ok(None);
    };
    let audit = Audit::open(&editing.audit, audit::Options::default())
        .with_context(|| format!("audit log in {}", editing.audit.display()))?;
    let options = Options {
        file: flags.source.clone(),
        branch: editing.branch.clone(),
    };
    match blocking(move || Store::open(Arc::new(Real), options)).await {
        Ok(store) => Ok(Some(Editor { store, audit })),
        Err(StoreError::Inventory(error)) => cli::refuse(error),
        Err(error) => Err(error).context("the inventory cannot be edited"),
    }
}

fn discovery(app: &mut App, feed: &Feed) {
    for (job, path, text) in [
        (Job::Ping, "/sd/ping", "http_sd: devices to probe"),
        (
            Job::Snmp,
            "/sd/snmp",
            "http_sd: devices to collect by SNMP, with module and auth",
        ),
        (Job::Ssh, "/sd/ssh", "http_sd: devices to reach by SSH"),
        (
            Job::Flow,
            "/sd/flow",
            "http_sd: addresses that send NetFlow, IPFIX or sFlow",
        ),
        (
            Job::Syslog,
            "/sd/syslog",
            "http_sd: addresses that send syslog",
        ),
        (Job::Mqtt, "/sd/mqtt", "http_sd: MQTT sensors"),
    ] {
        let feed = feed.clone();
        app.route(Method::GET, path, move |request| {
            let feed = feed.clone();
            async move { sd::answer(&feed.current(), job, &request) }
        });
        app.link(path, path, text);
    }
}
