//! The tasks that take messages out of the queue: to Loki, to copies, to webhooks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use loki::{DeadLetters, Pusher};
use tokio::sync::Notify;
use toolkit::{App, OnEnd, Stop};

use crate::config::{Config, EVENTS_READER};
use crate::copy::{self, Sink};
use crate::intake::Intake;
use crate::render::Lines;
use crate::translate::Translator;
use crate::watch::Watch;
use crate::webhooks::{self, Tallies};

/// What the tasks share.
#[derive(Clone)]
pub(super) struct Outputs {
    pub(super) intake: Arc<Intake>,
    pub(super) translator: Arc<Translator>,
    pub(super) dead: Arc<DeadLetters>,
    pub(super) tallies: Arc<Tallies>,
    /// Triggered when another process takes over: nothing more is taken out of the queue here.
    pub(super) ending: Stop,
}

/// Time for a request under way when the configuration changes or the service stops.
const FINISH: Duration = Duration::from_secs(8);
/// The same when another process waits for the sockets.
const HURRY: Duration = Duration::from_millis(300);

impl Outputs {
    /// Starts a task for every reader of the queue; gives what is known of each, in the order of the books.
    pub(super) fn start(&self, app: &mut App) -> anyhow::Result<Vec<Arc<Watch>>> {
        let config = self.intake.config.current();
        let mut watches = Vec::new();
        for (at, name) in config.spool.readers.iter().enumerate() {
            let watch = Arc::new(Watch::new(self.intake.clone(), at));
            watches.push(watch.clone());
            if let Some(place) = config.loki.iter().position(|d| d.name == *name) {
                // A wrong certificate or address is a fault of the configuration: say so at the start.
                self.pusher(&config, name, at, &watch)
                    .with_context(|| format!("loki[{place}]"))?;
                self.push(app, name.clone(), at, watch);
            } else if name == EVENTS_READER {
                self.webhooks(app, watch);
            } else {
                self.copy(app, name.clone(), watch);
            }
        }
        Ok(watches)
    }

    fn pusher(
        &self,
        config: &Config,
        name: &str,
        at: usize,
        watch: &Arc<Watch>,
    ) -> anyhow::Result<Option<Pusher<Lines>>> {
        let Some(destination) = config.loki.iter().find(|d| d.name == name) else {
            return Ok(None);
        };
        let intake = &self.intake;
        let readers = &intake.books.destinations;
        let counts = at == 0 && !readers.iter().any(|r| r == EVENTS_READER);
        let lines = Lines::new(
            self.translator.clone(),
            intake.feed.clone(),
            counts.then(|| intake.books.clone()),
            intake.config.clone(),
        );
        Ok(Some(Pusher::new(
            destination.clone(),
            intake.queue.reader(name)?,
            lines,
            watch.clone(),
            self.dead.clone(),
        )?))
    }

    /// Pushes to one Loki; begins anew when its part of the configuration changes.
    fn push(&self, app: &mut App, name: String, at: usize, watch: Arc<Watch>) {
        let this = self.clone();
        app.spawn("push", OnEnd::Restart, move |stop| {
            let (this, name, watch) = (this.clone(), name.clone(), watch.clone());
            async move {
                let mut live = this.intake.config.clone();
                loop {
                    let config = live.current();
                    let mine = |config: &Config| {
                        let own = config.loki.iter().find(|d| d.name == name);
                        own.map(|d| format!("{d:?}"))
                    };
                    let Some(mut pusher) = this.pusher(&config, &name, at, &watch)? else {
                        // It is no longer configured: what waits for it waits until the next start.
                        tokio::select! {
                            () = live.changed() => continue,
                            () = stop.requested() => return Ok(()),
                        }
                    };
                    let notify = Notify::new();
                    let run = pusher.run(&notify);
                    tokio::pin!(run);
                    let patience = loop {
                        tokio::select! {
                            ended = &mut run => return Ok(ended?),
                            () = live.changed() => {
                                if mine(&live.current()) != mine(&config) {
                                    break FINISH;
                                }
                            }
                            () = stop.requested() => break FINISH,
                            () = this.ending.requested() => break HURRY,
                        }
                    };
                    notify.notify_one();
                    // What is given up half-way is sent again with the same stamps.
                    let _ = tokio::time::timeout(patience, run).await;
                    if this.ending.is_requested() {
                        stop.requested().await;
                    }
                    if stop.is_requested() {
                        return Ok(());
                    }
                    tracing::info!(destination = name, "delivery goes on with its new settings");
                }
            }
        });
    }

    /// Copies to one server or file; begins anew when its part of the configuration changes.
    fn copy(&self, app: &mut App, name: String, watch: Arc<Watch>) {
        let this = self.clone();
        app.spawn("copy", OnEnd::Restart, move |stop| {
            let (this, name, watch) = (this.clone(), name.clone(), watch.clone());
            async move {
                let mut live = this.intake.config.clone();
                loop {
                    let config = live.current();
                    let forward = config.forward.iter().find(|f| f.name == name);
                    let file = config.files.iter().find(|f| f.name == name);
                    let sink = match (forward, file) {
                        (Some(forward), _) => Sink::server(forward.clone()),
                        (None, Some(file)) => Sink::file(file.clone()),
                        (None, None) => {
                            tokio::select! {
                                () = live.changed() => continue,
                                () = stop.requested() => return Ok(()),
                            }
                        }
                    };
                    let end = Stop::new();
                    let run = copy::run(sink, this.intake.queue.reader(&name)?, &watch, &end);
                    tokio::pin!(run);
                    loop {
                        tokio::select! {
                            ended = &mut run => return Ok(ended?),
                            () = live.changed() => {
                                let new = live.current();
                                if new.forward != config.forward || new.files != config.files {
                                    break;
                                }
                            }
                            () = stop.requested() => break,
                            () = this.ending.requested() => break,
                        }
                    }
                    end.trigger();
                    run.await?;
                    if this.ending.is_requested() {
                        stop.requested().await;
                    }
                    if stop.is_requested() {
                        return Ok(());
                    }
                }
            }
        });
    }

    fn webhooks(&self, app: &mut App, watch: Arc<Watch>) {
        let this = self.clone();
        app.spawn("webhooks", OnEnd::Restart, move |stop| {
            let (this, watch) = (this.clone(), watch.clone());
            async move {
                let shared = webhooks::Shared {
                    translator: this.translator.clone(),
                    feed: this.intake.feed.clone(),
                    config: this.intake.config.clone(),
                    books: this.intake.books.clone(),
                    tallies: this.tallies.clone(),
                    watch,
                };
                let reader = this.intake.queue.reader(EVENTS_READER)?;
                let end = Stop::new();
                let run = webhooks::run(reader, &shared, &end);
                tokio::pin!(run);
                tokio::select! {
                    ended = &mut run => return ended,
                    () = stop.requested() => {}
                    () = this.ending.requested() => {}
                }
                end.trigger();
                run.await?;
                stop.requested().await;
                Ok(())
            }
        });
    }
}
