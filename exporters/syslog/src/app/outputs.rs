//! The tasks that take messages out of the queue: to Loki, to copies, to webhooks.

use std::sync::Arc;

use anyhow::Context as _;
use loki::{Delivery, Watch};
use toolkit::{App, OnEnd, Stop};

use crate::config::{Config, EVENTS_READER};
use crate::copy::{self, Sink};
use crate::intake::Intake;
use crate::render::Lines;
use crate::translate::Translator;
use crate::webhooks::{self, WebhookCounters};

/// What the tasks share.
#[derive(Clone)]
pub(super) struct Outputs {
    pub(super) intake: Arc<Intake>,
    pub(super) translator: Arc<Translator>,
    pub(super) delivery: Arc<Delivery>,
    pub(super) webhook_counters: Arc<WebhookCounters>,
}

impl Outputs {
    /// Starts a task for every reader of the queue.
    pub(super) fn start(&self, app: &mut App) -> anyhow::Result<()> {
        let config = self.intake.config.current();
        for (at, watch) in self.delivery.watches().iter().enumerate() {
            let name = watch.name();
            if let Some(place) = config.loki.iter().position(|d| d.name == name) {
                self.push(app, name, at)
                    .with_context(|| format!("loki[{place}]"))?;
            } else if name == EVENTS_READER {
                self.webhooks(app, watch.clone());
            } else {
                self.copy(app, name.to_owned(), watch.clone());
            }
        }
        Ok(())
    }

    /// Pushes to one Loki.
    fn push(&self, app: &mut App, name: &str, at: usize) -> anyhow::Result<()> {
        let (this, own) = (self.clone(), name.to_owned());
        let mut readers = self.delivery.watches().iter();
        let counts = at == 0 && !readers.any(|watch| watch.name() == EVENTS_READER);
        loki::deliver(
            app,
            &self.intake.config,
            move |config: &Config| config.loki.iter().find(|d| d.name == own).cloned(),
            name,
            move || {
                let intake = &this.intake;
                Lines::new(
                    this.translator.clone(),
                    intake.feed.clone(),
                    counts.then(|| intake.statistics.clone()),
                    intake.config.clone(),
                )
            },
            &self.delivery,
        )
    }

    /// Copies to one server or file; begins anew when its part of the configuration changes.
    fn copy(&self, app: &mut App, name: String, watch: Arc<Watch>) {
        let this = self.clone();
        app.spawn("copy", OnEnd::Restart, move |stop| {
            let (this, name, watch) = (this.clone(), name.clone(), watch.clone());
            async move {
                let mut live = this.intake.config.clone();
                let ending = this.delivery.handing_over();
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
                            () = ending.requested() => break,
                        }
                    }
                    end.trigger();
                    run.await?;
                    if ending.is_requested() {
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
                let ending = this.delivery.handing_over();
                let shared = webhooks::Shared {
                    translator: this.translator.clone(),
                    feed: this.intake.feed.clone(),
                    config: this.intake.config.clone(),
                    statistics: this.intake.statistics.clone(),
                    webhook_counters: this.webhook_counters.clone(),
                    watch,
                };
                let reader = this.intake.queue.reader(EVENTS_READER)?;
                let end = Stop::new();
                let run = webhooks::run(reader, &shared, &end);
                tokio::pin!(run);
                tokio::select! {
                    ended = &mut run => return ended,
                    () = stop.requested() => {}
                    () = ending.requested() => {}
                }
                end.trigger();
                run.await?;
                stop.requested().await;
                Ok(())
            }
        });
    }
}
