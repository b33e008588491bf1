//! The service, put together.

use http::Method;
use inventory::sd::Job;
use inventory::{Feed, Source};
use toolkit::{App, Identity, Live, OnEnd};

use crate::config::Config;
use crate::metrics::Series;
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

    async fn build(flags: cli::Flags, _: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let feed = Feed::open(Source::File(flags.source)).await?;
        app.collect(Series::new(feed.clone()));
        discovery(app, &feed);
        views(app, &feed);
        app.spawn("inventory_feed", OnEnd::Restart, move |stop| {
            let feed = feed.clone();
            async move {
                tokio::select! {
                    () = feed.follow() => {}
                    () = stop.requested() => {}
                }
                Ok(())
            }
        });
        Ok(())
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

fn views(app: &mut App, feed: &Feed) {
    for (path, title, view) in api::VIEWS {
        let feed = feed.clone();
        app.route(Method::GET, path, move |request| {
            let feed = feed.clone();
            async move { view(&feed, &request) }
        });
        if !path.contains('{') {
            app.link(*path, *path, *title);
        }
    }
}
