//! Reading the configuration, and reading it again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::files::{self, Checksum};
use crate::live::Swap;
use crate::metrics::Metrics;
use crate::web::dispatch::Control;
use crate::{ConfigError, Configuration, Live};

/// A configuration and the content it was made of.
pub(crate) struct Loaded<C> {
    path: Option<PathBuf>,
    value: C,
    state: State,
}

struct State {
    files: Vec<PathBuf>,
    checksum: Checksum,
}

/// Swaps the configuration when the content of its files has changed and is good.
pub(crate) struct Reloader<C> {
    path: Option<PathBuf>,
    swap: Swap<C>,
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

impl<C: Configuration> Reloader<C> {
    /// Reads and checks the file, or the built-in default.
    pub(crate) fn load(path: Option<PathBuf>) -> Result<Loaded<C>, ConfigError> {
        // The checksum is taken first: a change while we parse is seen by the next look.
        let main: Vec<PathBuf> = path.iter().cloned().collect();
        let before = files::checksum(&main);
        let value = match &path {
            None => C::parse(C::DEFAULT, Path::new("built-in default"))?,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ConfigError::new(path, format!("cannot be read: {error}")))?;
                C::parse(&text, path)?
            }
        };
        let mut all = main;
        all.extend(value.files());
        let checksum = if all.len() > usize::from(path.is_some()) {
            files::checksum(&all)
        } else {
            before
        };
        Ok(Loaded {
            path,
            value,
            state: State {
                files: all,
                checksum,
            },
        })
    }

    pub(crate) fn start(loaded: Loaded<C>, metrics: Arc<Metrics>) -> (Self, Live<C>) {
        let (swap, live) = Swap::new(loaded.value);
        let own = Self {
            path: loaded.path,
            swap,
            state: Mutex::new(loaded.state),
            metrics,
        };
        own.succeeded();
        (own, live)
    }

    fn succeeded(&self) {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        self.metrics.reload_good.set(1);
        self.metrics.reload_time.set(now);
    }
}

impl<C: Configuration> Control for Reloader<C> {
    fn reload(&self, why: &'static str) -> Result<bool, String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if files::checksum(&state.files) == state.checksum {
            if why != "poll" {
                tracing::info!(why, "configuration unchanged");
                self.succeeded();
            }
            return Ok(false);
        }
        match Self::load(self.path.clone()) {
            Ok(loaded) => {
                *state = loaded.state;
                self.swap.set(loaded.value);
                self.succeeded();
                tracing::info!(why, "configuration reloaded");
                Ok(true)
            }
            Err(error) => {
                self.metrics.reload_good.set(0);
                tracing::error!(
                    why,
                    error = error.to_string(),
                    "configuration refused, the old one stays"
                );
                Err(error.to_string())
            }
        }
    }

    fn masked(&self) -> String {
        self.swap.current().masked()
    }
}
