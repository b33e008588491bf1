//! The service, put together.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use inventory::Feed;
use tokio::task::{JoinError, JoinSet};
use toolkit::{App, ConfigError, Identity, Live, OnEnd};

use crate::broker::{self, Status};
use crate::config::Config;
use crate::flags::Flags;
use crate::intake::{Intake, lock};
use crate::metrics::{Brokers, Series};

/// The service.
#[derive(Debug)]
pub struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-mqtt",
        title: "MQTT",
        about: "Readings of sensors from MQTT brokers, beside the devices that they stand by",
        port: 19_883,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/mqtt.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(_: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        Config::parse(text, origin)
    }

    async fn build(flags: Flags, live: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let feed = flags.devices.follow(app).await?;
        let config = live.current();
        let intake = Arc::new(Mutex::new(Intake::new(config.settings.clone())));
        lock(&intake).configure(config.settings.clone(), &config.names());
        lock(&intake).follow(&feed.current());
        let brokers = Brokers::default();
        app.collect(Series {
            intake: Arc::clone(&intake),
            brokers: Arc::clone(&brokers),
        });
        devices(app, &feed, &intake);
        listen(app, &live, &intake, &brokers);
        Ok(())
    }
}

fn devices(app: &mut App, feed: &Feed, intake: &Arc<Mutex<Intake>>) {
    let (feed, intake) = (feed.clone(), Arc::clone(intake));
    app.spawn("devices", OnEnd::Restart, move |stop| {
        let (mut feed, intake) = (feed.clone(), Arc::clone(&intake));
        async move {
            loop {
                lock(&intake).follow(&feed.current());
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    _ = feed.changed() => {}
                }
            }
        }
    });
}

/// A connection that was not told to end and did.
fn ended(task: Result<(), JoinError>) -> anyhow::Result<()> {
    match task {
        Err(error) if !error.is_cancelled() => Err(error).context("the connection to a broker"),
        _ => Ok(()),
    }
}

/// A connection to each broker. A new configuration ends and begins those that it changes, and leaves the others alone.
fn listen(app: &mut App, live: &Live<Config>, intake: &Arc<Mutex<Intake>>, brokers: &Brokers) {
    let (live, intake, brokers) = (live.clone(), Arc::clone(intake), Arc::clone(brokers));
    app.spawn("brokers", OnEnd::Restart, move |stop| {
        let (mut live, intake, brokers) = (live.clone(), Arc::clone(&intake), Arc::clone(&brokers));
        async move {
            let mut tasks = JoinSet::new();
            let mut running = Vec::new();
            let mut asked: Arc<[String]> = Arc::new([]);
            loop {
                let config = live.current();
                lock(&intake).configure(config.settings.clone(), &config.names());
                let filters: Arc<[String]> = config.settings.rules.subscriptions().into();
                let same_filters = filters == asked;
                let mut ending = 0;
                running.retain(|(broker, task): &(Arc<_>, tokio::task::AbortHandle)| {
                    let stays = same_filters && config.brokers.contains(broker);
                    if !stays {
                        task.abort();
                        ending += 1;
                    }
                    stays
                });
                // Their end says that they are not connected; a new connection comes after it.
                for _ in 0..ending {
                    tasks.join_next().await.map_or(Ok(()), ended)?;
                }
                asked = filters;
                {
                    let mut known = brokers.lock().unwrap_or_else(PoisonError::into_inner);
                    known
                        .retain(|name, _| config.brokers.iter().any(|broker| broker.name == *name));
                    for broker in &config.brokers {
                        let status = known.entry(Arc::clone(&broker.name)).or_default();
                        if !running.iter().any(|(one, _)| one == broker) {
                            let status: Arc<Status> = Arc::clone(status);
                            let task = broker::listen(
                                Arc::clone(broker),
                                Arc::clone(&asked),
                                status,
                                Arc::clone(&intake),
                            );
                            running.push((Arc::clone(broker), tasks.spawn(task)));
                        }
                    }
                }
                loop {
                    tokio::select! {
                        () = stop.requested() => return Ok(()),
                        () = live.changed() => break,
                        Some(task) = tasks.join_next() => ended(task)?,
                    }
                }
            }
        }
    });
}
