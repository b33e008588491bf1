//! Reading the configurations, and reading them again.
//!
//! Two files are watched, that of the service and that of the web server. Each is judged by the checksum of its content and of the
//! files it names, parsed and built whole, and then swapped. An error in one leaves its old value in force and does not hold up the
//! other: a bad edit must not keep a new certificate out.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::files::{self, Checksum};
use crate::live::Swap;
use crate::metrics::Metrics;
use crate::web::dispatch::Control;
use crate::web::live_config::{LiveWebConfig, LoadedWebConfig};
use crate::{ConfigError, Configuration as _, Live, Service, web_config};

/// A value and the content it was made of.
pub(crate) struct Loaded<T> {
    pub(crate) value: T,
    seen: Seen,
}

/// What the value in force was made of, and why what is there now was refused.
struct Seen {
    files: Vec<PathBuf>,
    checksum: Checksum,
    refused: Option<String>,
}

/// Swaps each configuration when the content of its files has changed and is good.
pub(crate) struct Reloader<S: Service> {
    paths: Paths,
    flags: S::Flags,
    swap: Swap<S::Config>,
    web_config: LiveWebConfig,
    seen: Mutex<(Seen, Seen)>,
    metrics: Arc<Metrics>,
}

/// The two files, where given.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) config: Option<PathBuf>,
    pub(crate) web: Option<PathBuf>,
    /// Whether that of the web server may say nothing at all.
    pub(crate) may_be_empty: bool,
}

impl Paths {
    /// Reads and checks the configuration of the service, or its built-in default.
    pub(crate) fn load<S: Service>(
        &self,
        flags: &S::Flags,
    ) -> Result<Loaded<S::Config>, ConfigError> {
        load(self.config.as_deref(), |text, path| {
            let text = text.unwrap_or(S::Config::DEFAULT);
            let origin = path.unwrap_or(Path::new("built-in default"));
            let value = S::configure(flags, text, origin)?;
            let files = value.files();
            Ok((value, files))
        })
    }

    /// Reads and checks the configuration of the web server; without one everything is open and plain.
    pub(crate) fn load_web(
        &self,
        before: Option<&LoadedWebConfig>,
    ) -> Result<Loaded<LoadedWebConfig>, ConfigError> {
        load(self.web.as_deref(), |text, path| {
            let (Some(text), Some(path)) = (text, path) else {
                return Ok((LoadedWebConfig::default(), Vec::new()));
            };
            let config = web_config::parse(text, path)?;
            if !self.may_be_empty && before.is_none() && web_config::is_empty(text) {
                return Err(ConfigError::new(
                    path,
                    "expected TLS, users or another setting, found nothing; --web.allow-empty-config starts open and in plain text",
                ));
            }
            let web_config = LoadedWebConfig::build(&config, path, before)?;
            if let Some(lost) = before.and_then(|before| web_config.lacks(before)) {
                return Err(ConfigError::new(
                    path,
                    format!(
                        "{lost} would be off from now on; a reload never does that, a restart does"
                    ),
                ));
            }
            Ok((web_config, config.files()))
        })
    }
}

fn load<T>(
    path: Option<&Path>,
    parse: impl Fn(Option<&str>, Option<&Path>) -> Result<(T, Vec<PathBuf>), ConfigError>,
) -> Result<Loaded<T>, ConfigError> {
    // Checksums are taken before the content is used, so that a change in between is seen by the next look. Which further files
    // belong to it is known only after parsing, hence the second round when they changed meanwhile.
    let mut files: Vec<PathBuf> = path.map(Path::to_owned).into_iter().collect();
    loop {
        let checksum = files::checksum(&files);
        let text = path.map(files::read).transpose()?;
        let (value, further) = parse(text.as_deref(), path)?;
        let all: Vec<PathBuf> = path
            .map(Path::to_owned)
            .into_iter()
            .chain(further)
            .collect();
        if all == files {
            return Ok(Loaded {
                value,
                seen: Seen {
                    files,
                    checksum,
                    refused: None,
                },
            });
        }
        files = all;
    }
}

impl<S: Service> Reloader<S> {
    pub(crate) fn start(
        paths: Paths,
        flags: S::Flags,
        config: Loaded<S::Config>,
        web_config: Loaded<LoadedWebConfig>,
        metrics: Arc<Metrics>,
    ) -> (Self, Live<S::Config>) {
        let (swap, live) = Swap::new(config.value);
        let web_config = (
            Arc::new(ArcSwap::from_pointee(web_config.value)),
            web_config.seen,
        );
        let own = Self {
            paths,
            flags,
            swap,
            web_config: web_config.0,
            seen: Mutex::new((config.seen, web_config.1)),
            metrics,
        };
        own.judged(true);
        (own, live)
    }

    /// The web configuration in force.
    pub(crate) fn web_config(&self) -> LiveWebConfig {
        Arc::clone(&self.web_config)
    }

    fn judged(&self, good: bool) {
        self.metrics.reload_good.set(i64::from(good));
        if good {
            let now = SystemTime::UNIX_EPOCH
                .elapsed()
                .map_or(0.0, |since| since.as_secs_f64());
            self.metrics.reload_time.set(now);
        }
    }
}

/// Looks at one configuration: `Some` when it has changed and is good, an error when it is not.
fn look<T>(
    seen: &mut Seen,
    which: &'static str,
    why: &'static str,
    load: impl FnOnce() -> Result<Loaded<T>, ConfigError>,
) -> Result<Option<T>, String> {
    if files::checksum(&seen.files) == seen.checksum {
        if seen.refused.take().is_some() {
            tracing::info!(which, why, "configuration is again the one that runs");
        }
        return Ok(None);
    }
    match load() {
        Ok(loaded) => {
            *seen = loaded.seen;
            tracing::info!(which, why, "configuration reloaded");
            Ok(Some(loaded.value))
        }
        Err(error) => {
            let error = error.to_string();
            // The poll comes back each second; the same reason is logged once.
            if why != "poll" || seen.refused.as_ref() != Some(&error) {
                tracing::error!(
                    which,
                    why,
                    error,
                    "configuration refused, the old one stays"
                );
            }
            seen.refused = Some(error.clone());
            Err(error)
        }
    }
}

impl<S: Service> Control for Reloader<S> {
    fn reload(&self, why: &'static str) -> Result<bool, String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let was_refused = seen.0.refused.is_some() || seen.1.refused.is_some();
        let config = look(&mut seen.0, "service", why, || {
            self.paths.load::<S>(&self.flags)
        });
        let web = look(&mut seen.1, "web", why, || {
            self.paths.load_web(Some(&self.web_config.load()))
        });
        let mut changed = false;
        let mut refused = Vec::new();
        match config {
            Ok(Some(value)) => {
                self.swap.set(value);
                changed = true;
            }
            Ok(None) => {}
            Err(error) => refused.push(error),
        }
        match web {
            Ok(Some(web_config)) => {
                self.web_config.store(Arc::new(web_config));
                changed = true;
            }
            Ok(None) => {}
            Err(error) => refused.push(error),
        }
        if !refused.is_empty() {
            self.judged(false);
            return Err(refused.join("; "));
        }
        if changed || was_refused || why != "poll" {
            self.judged(true);
        }
        if !changed && why != "poll" {
            tracing::info!(why, "configuration unchanged");
        }
        Ok(changed)
    }

    fn masked(&self) -> String {
        crate::secret::without_passwords(&self.swap.current().masked())
    }
}
