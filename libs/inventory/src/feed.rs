//! Following a source: the last good inventory, always.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use units::chain;

use crate::model::Inventory;
use crate::problem::Error;
use crate::source::{InvalidSource, Source};

mod cache;
mod file;
mod url;

/// Time from one look at a file to the next.
const FILE_PERIOD: Duration = Duration::from_millis(500);
/// Time from one question to the service to the next.
const URL_PERIOD: Duration = Duration::from_secs(1);
/// Longest time between two questions after errors.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// The inventory of a source as it is now. Clones share it; each sees every change by itself.
///
/// Reading is done by [`Feed::follow`], which somebody must run: a service spawns it as a supervised task.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
    live: watch::Receiver<Arc<Inventory>>,
}

struct Shared {
    source: Source,
    live: watch::Sender<Arc<Inventory>>,
    health: Mutex<Health>,
    reader: tokio::sync::Mutex<Reader>,
}

enum Reader {
    File(file::Reader),
    Url(Box<url::Reader>),
    Fixed,
}

/// What one look at a source found.
enum Seen {
    New(Box<Inventory>),
    Same,
    /// The bad content that was reported before.
    StillBad,
}

/// How a feed stands, as plain values for metrics (`sotp_inventory_source_*`) and pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The path or URL, without secrets.
    pub source: String,
    /// Whether an inventory has been read at all, from the source or from the cache file.
    pub loaded: bool,
    /// Whether the last look at the source succeeded.
    pub up: bool,
    /// When the source was last read or found unchanged.
    pub last_success: Option<SystemTime>,
    /// Why the last look failed; `None` after a success.
    pub last_error: Option<String>,
    /// Looks that failed since the start.
    pub failures: u64,
    /// Changes that were taken over since the start, the first reading included.
    pub changes: u64,
    /// [`Inventory::version`] of the current inventory.
    pub version: String,
}

impl Feed {
    /// Opens `source` and reads it once.
    ///
    /// A URL that does not answer is not an error: the cache file stands in for it, or without one the
    /// empty inventory, and [`Health::loaded`] tells (a service is not ready before it is true).
    ///
    /// # Errors
    /// A file that cannot be read or is not valid; a URL or options that can never work.
    pub async fn open(source: Source) -> Result<Self, Error> {
        let reader = match &source {
            Source::File(path) => Reader::File(file::Reader::new(path.clone())),
            Source::Url { url, options } => {
                let reader = url::Reader::new(url, options.clone())
                    .map_err(|reason| refused(&source, reason))?;
                Reader::Url(Box::new(reader))
            }
        };
        let feed = Self::new(source, reader);
        match &feed.shared.source {
            Source::File(_) => {
                let seen = feed.see(true).await?;
                feed.noted(seen);
            }
            Source::Url { options, .. } => {
                if let (Err(_), Some(path)) = (feed.refresh().await, &options.cache_file) {
                    feed.recover(path).await;
                }
            }
        }
        Ok(feed)
    }

    /// A feed of one inventory that never changes, for tests and one-shot commands.
    #[must_use]
    pub fn fixed(inventory: Inventory) -> Self {
        let feed = Self::new(Source::File("(fixed)".into()), Reader::Fixed);
        feed.succeeded(Some(inventory));
        feed
    }

    /// A feed that somebody else writes with [`Feed::publish`] and [`Feed::refuse`]: an editor of the inventory.
    #[must_use]
    pub fn written(source: Source, inventory: Inventory) -> Self {
        let feed = Self::new(source, Reader::Fixed);
        feed.succeeded(Some(inventory));
        feed
    }

    /// Makes `inventory` the current one, or notes that the current one is still good; only for [`Feed::written`].
    pub fn publish(&self, inventory: Option<Arc<Inventory>>) {
        self.succeeded(inventory);
    }

    /// Notes that the source is bad for `error`; the current inventory stays.
    pub fn refuse(&self, error: &Error) {
        self.failed(error);
    }

    fn new(source: Source, reader: Reader) -> Self {
        let (sender, live) = watch::channel(Arc::new(Inventory::default()));
        let health = Health {
            source: source.to_string(),
            ..Health::default()
        };
        let reader = tokio::sync::Mutex::new(reader);
        Self {
            shared: Arc::new(Shared {
                source,
                live: sender,
                health: Mutex::new(health),
                reader,
            }),
            live,
        }
    }

    /// The last good inventory.
    #[must_use]
    pub fn current(&self) -> Arc<Inventory> {
        Arc::clone(&self.live.borrow())
    }

    /// Waits until the inventory differs from the one this clone was last told of, and answers it.
    pub async fn changed(&mut self) -> Arc<Inventory> {
        // The sender lives as long as `self.shared`: there is no error to see.
        let _ = self.live.changed().await;
        Arc::clone(&self.live.borrow_and_update())
    }

    /// Waits until an inventory has been read, from the source or from the cache file.
    pub async fn loaded(&self) {
        let mut live = self.live.clone();
        // Every version differs from that of the empty inventory before the first: the first reading is a change.
        while !self.health().loaded {
            let _ = live.changed().await;
        }
    }

    /// How the source stands.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared
            .health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks at the source now, whatever was seen before; answers whether the inventory changed.
    ///
    /// # Errors
    /// Why the source could not be read; the last good inventory stays.
    pub async fn refresh(&self) -> Result<bool, Error> {
        self.look(true).await
    }

    /// Follows the source for ever. May be dropped at any time and called again.
    pub async fn follow(&self) {
        let mut failed: u32 = 0;
        loop {
            tokio::time::sleep(self.pause(failed)).await;
            failed = if self.look(false).await.is_ok() {
                0
            } else {
                failed.saturating_add(1)
            };
        }
    }

    /// How long to wait after `failed` failures in a row: a file as always, a service longer and with jitter.
    fn pause(&self, failed: u32) -> Duration {
        match (&self.shared.source, failed) {
            (Source::File(_), _) => FILE_PERIOD,
            (Source::Url { .. }, 0) => URL_PERIOD,
            (Source::Url { .. }, failed) => {
                let longest = URL_PERIOD
                    .saturating_mul(1 << failed.min(8))
                    .min(MAX_BACKOFF);
                longest.mul_f64(fastrand::f64().mul_add(0.5, 0.5))
            }
        }
    }

    async fn look(&self, force: bool) -> Result<bool, Error> {
        match self.see(force).await {
            Ok(seen) => Ok(self.noted(seen)),
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    async fn see(&self, force: bool) -> Result<Seen, Error> {
        match &mut *self.shared.reader.lock().await {
            Reader::File(reader) => reader.look(force).await,
            Reader::Url(reader) => reader.look().await,
            Reader::Fixed => Ok(Seen::Same),
        }
    }

    fn noted(&self, seen: Seen) -> bool {
        match seen {
            Seen::New(inventory) => self.succeeded(Some(*inventory)),
            Seen::Same => self.succeeded(None::<Inventory>),
            Seen::StillBad => false,
        }
    }

    /// Notes a success; answers whether the content is another one.
    fn succeeded(&self, inventory: Option<impl Into<Arc<Inventory>>>) -> bool {
        let changed = inventory
            .map(Into::into)
            .filter(|new: &Arc<Inventory>| new.version() != self.live.borrow().version());
        {
            let mut health = self
                .shared
                .health
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(new) = &changed {
                health.changes += 1;
                new.version().clone_into(&mut health.version);
                tracing::info!(
                    source = health.source,
                    version = health.version,
                    devices = new.devices().len(),
                    "inventory changed"
                );
            }
            if health.last_error.take().is_some() {
                tracing::info!(source = health.source, "inventory source is good again");
            }
            health.loaded = true;
            health.up = true;
            health.last_success = Some(SystemTime::now());
        }
        match changed {
            Some(new) => {
                self.shared.live.send_replace(new).version() != self.live.borrow().version()
            }
            None => false,
        }
    }

    fn failed(&self, error: &Error) {
        let reason = chain(error);
        let mut health = self
            .shared
            .health
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        health.failures += 1;
        health.up = false;
        if health.last_error.as_ref() != Some(&reason) {
            let source = &health.source;
            if matches!(
                error,
                Error::Invalid(_) | Error::TooLarge { .. } | Error::NotText { .. }
            ) {
                // Somebody must mend it.
                tracing::error!(
                    source,
                    error = reason,
                    "inventory refused, keeping the last good one"
                );
            } else {
                tracing::warn!(
                    source,
                    error = reason,
                    "inventory source failed, keeping the last good one"
                );
            }
            health.last_error = Some(reason);
        }
    }

    /// Starts from the cache file; the failure of the source itself stays noted.
    async fn recover(&self, path: &Path) {
        match cache::read(path).await {
            Ok(inventory) => {
                let mut health = self
                    .shared
                    .health
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                health.loaded = true;
                inventory.version().clone_into(&mut health.version);
                tracing::warn!(cache = %path.display(), version = health.version, "inventory taken from the cache file");
                drop(health);
                self.shared.live.send_replace(Arc::new(inventory));
            }
            Err(error) => {
                tracing::warn!(cache = %path.display(), error = chain(&error), "no inventory in the cache file");
            }
        }
    }
}

fn refused(source: &Source, reason: InvalidSource) -> Error {
    Error::Source {
        source_name: source.to_string(),
        reason: reason.to_string(),
    }
}

/// Parses away from the threads that serve requests.
async fn parse(bytes: Vec<u8>, origin: String) -> Result<Inventory, Error> {
    blocking(move || {
        let text = String::from_utf8(bytes).map_err(|_| Error::NotText {
            origin: origin.clone(),
        })?;
        Inventory::parse(&text, Path::new(&origin))
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        // The runtime is shutting down, or the work panicked; neither is a result.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}
