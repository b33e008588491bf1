//! The service, put together.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http::Method;
use loki::Lines;
use toolkit::{App, ConfigError, Identity, Live, OnEnd};

use crate::collect::Collector;
use crate::config::Config;
use crate::exception::Shown;
use crate::flags::Flags;
use crate::metrics::{Series, lock};
use crate::rate::Rate;
use crate::spans::Spans;
use crate::statistics::Statistics;

/// The service.
#[derive(Debug)]
pub struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-rum",
        title: "Real users",
        about: "Takes what users' browsers measure of web pages (Grafana Faro), and tells how fast they were",
        port: 19_887,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/rum.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(_: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        Config::parse(text, origin)
    }

    async fn build(_: Flags, live: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let config = live.current();
        let statistics = Arc::new(Mutex::new(Statistics::new()));
        lock(&statistics).know(&config.apps);
        let spans = Spans::new();
        app.collect(Series {
            statistics: Arc::clone(&statistics),
            live: live.clone(),
            spans: Arc::clone(&spans),
        });
        let lines = match &config.loki {
            None => None,
            Some(_) => Some(Lines::open(
                app,
                "rum",
                (&config.queue, &config.base),
                &live,
                |config: &Config| config.loki.clone(),
                || Shown,
            )?),
        };
        let collector = Arc::new(Collector {
            live: live.clone(),
            statistics: Arc::clone(&statistics),
            rate: Rate::new(config.posts_per_second, Instant::now()),
            lines,
            spans: Arc::clone(&spans),
        });
        for path in ["/collect", "/collect/{key}"] {
            let one = Arc::clone(&collector);
            app.route(Method::POST, path, move |request| {
                let one = Arc::clone(&one);
                async move { one.post(&request) }
            });
            let one = Arc::clone(&collector);
            app.route(Method::OPTIONS, path, move |request| {
                let one = Arc::clone(&one);
                async move { one.preflight(&request) }
            });
        }
        applications(app, &live, &statistics);
        hand_on(app, &live, &spans);
        Ok(())
    }
}

/// Hands spans on to the collector.
fn hand_on(app: &mut App, live: &Live<Config>, spans: &Arc<Spans>) {
    let (live, spans) = (live.clone(), Arc::clone(spans));
    app.spawn("spans", OnEnd::Restart, move |stop| {
        let (live, spans) = (live.clone(), Arc::clone(&spans));
        async move {
            tokio::select! {
                () = spans.send(&live) => {}
                () = stop.requested() => {}
            }
            Ok(())
        }
    });
}

/// Knows of the applications that a new configuration names.
fn applications(app: &mut App, live: &Live<Config>, statistics: &Arc<Mutex<Statistics>>) {
    let (live, statistics) = (live.clone(), Arc::clone(statistics));
    app.spawn("applications", OnEnd::Restart, move |stop| {
        let (mut live, statistics) = (live.clone(), Arc::clone(&statistics));
        async move {
            loop {
                lock(&statistics).know(&live.current().apps);
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    () = live.changed() => {}
                }
            }
        }
    });
}
