//! The service, put together.

use std::path::Path;
use std::sync::Arc;

use toolkit::{App, ConfigError, Identity, Live, OnEnd};

use crate::config::Config;
use crate::flags::Flags;
use crate::metrics::Series;
use crate::store::Store;
use crate::watch;

/// The service.
#[derive(Debug)]
pub struct Service;

impl toolkit::Service for Service {
    const IDENTITY: Identity = Identity {
        name: "sotp-forecast",
        title: "Forecast",
        about: "Tells the next 24 hours of every line from the history in Prometheus, with its own error beside it",
        port: 19_878,
        version: env!("CARGO_PKG_VERSION"),
        docs: "docs/forecast.md",
    };
    type Flags = Flags;
    type Config = Config;

    fn configure(_: &Flags, text: &str, origin: &Path) -> Result<Config, ConfigError> {
        Config::parse(text, origin)
    }

    async fn build(_: Flags, live: Live<Config>, app: &mut App) -> anyhow::Result<()> {
        let store = Arc::new(Store::default());
        let config = live.current();
        let forecasts = config.forecasts.iter();
        store.keep(forecasts.map(|one| (one.name.as_str(), one.query.as_str())));
        app.collect(Series(Arc::clone(&store)));
        let (seen, kept) = (live.clone(), Arc::clone(&store));
        app.spawn("learn", OnEnd::Restart, move |stop| {
            watch::learn(seen.clone(), Arc::clone(&kept), stop)
        });
        app.spawn("observe", OnEnd::Restart, move |stop| {
            watch::observe(live.clone(), Arc::clone(&store), stop)
        });
        Ok(())
    }
}
