//! The service, put together.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use loki::Lines;
use toolkit::{App, ConfigError, Identity, Live, OnEnd, anyhow};

use crate::config::Config;
use crate::flags::Flags;
use crate::roll::{Roll, Series, Shown};

/// The service.
pub(crate) struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "roster",
        title: "Roster",
        about: "Says which devices are there, to show how small a service is",
        port: 19_998,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/loki.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(_: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        Config::parse(text, origin)
    }

    async fn build(flags: Flags, config: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let feed = flags.devices.follow(app).await?;
        app.collect(Series(feed.clone()));
        let now = config.current();
        if now.loki.is_none() {
            return Ok(());
        }
        let lines = Lines::open(
            app,
            "roster",
            (&now.queue, &now.base),
            &config,
            |config: &Config| config.loki.clone(),
            move || Shown {
                job: flags.job.clone(),
            },
        )?;
        // Outside the task, so that a restart of it says nothing twice.
        let roll = Arc::new(Mutex::new(Roll::default()));
        app.spawn("roll", OnEnd::Restart, move |stop| {
            let (mut feed, lines, roll) = (feed.clone(), lines.clone(), Arc::clone(&roll));
            async move {
                loop {
                    let changes = {
                        let mut roll = roll.lock().unwrap_or_else(PoisonError::into_inner);
                        roll.call(&feed.current())
                    };
                    for line in changes {
                        if !lines.keep(line.as_bytes()) {
                            tracing::error!(line, "a line could not be queued");
                        }
                    }
                    tokio::select! {
                        _ = feed.changed() => {}
                        () = stop.requested() => return Ok(()),
                    }
                }
            }
        });
        Ok(())
    }
}
