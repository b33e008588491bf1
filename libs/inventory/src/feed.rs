//! Following a source: the last good inventory, always.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use units::chain;

use crate::model::Inventory;
use crate::problem::Error;
use crate::source::{InvalidSource, Source};

mod cache;
mod file;
mod guard;
mod url;

pub use guard::Guard;

/// Time from one look at a file to the next.
const FILE_PERIOD: Duration = Duration::from_millis(500);
/// Time from one question to the service to the next.
const URL_PERIOD: Duration = Duration::from_secs(1);
/// The header by which the service says that it compared the inventory with the one before: nobody need do so again.
pub const CHECKED: &str = "x-sotp-inventory-checked";
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
    guarded: Mutex<Guarded>,
}

/// The guard, and what it holds back.
struct Guarded {
    guard: Guard,
    held: Option<Box<Inventory>>,
}

impl Guarded {
    fn forget(&mut self) {
        self.guard.forget();
        self.held = None;
    }
}

enum Reader {
    File(file::Reader),
    Url(Box<url::Reader>),
    Fixed,
}

/// What one look at a source found.
enum Seen {
    New(Box<Inventory>),
    /// New, and compared with the one before by the service that answered.
    Checked(Box<Inventory>),
    Same,
    /// Another content, which somebody may still be writing.
    Writing,
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
    /// Whether the source holds far fewer devices than before, which are held back by a [`Guard`].
    pub shrunk: bool,
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
        Self::open_guarded(source, Guard::default()).await
    }

    /// As [`Feed::open`], with a guard of one's own against the loss of devices.
    ///
    /// # Errors
    /// As [`Feed::open`].
    pub async fn open_guarded(source: Source, guard: Guard) -> Result<Self, Error> {
        let reader = match &source {
            Source::File(path) => Reader::File(file::Reader::new(path.clone())),
            Source::Url { url, options } => {
                let reader = url::Reader::new(url, options.clone())
                    .map_err(|reason| refused(&source, reason))?;
                Reader::Url(Box::new(reader))
            }
        };
        let feed = Self::new(source, reader, guard);
        match &feed.shared.source {
            Source::File(_) => {
                let seen = feed.see(true).await?;
                feed.noted(seen, true).await?;
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
        let feed = Self::new(
            Source::File("(fixed)".into()),
            Reader::Fixed,
            Guard::default(),
        );
        feed.succeeded(Some(inventory));
        feed
    }

    /// A feed that somebody else writes with [`Feed::publish`] and [`Feed::refuse`]: an editor of the inventory.
    #[must_use]
    pub fn written(source: Source, inventory: Inventory) -> Self {
        let feed = Self::new(source, Reader::Fixed, Guard::default());
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

    fn new(source: Source, reader: Reader, guard: Guard) -> Self {
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
                guarded: Mutex::new(Guarded { guard, held: None }),
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

    /// Looks at the source now, whatever was seen before; answers whether the inventory changed. What was held back for its few devices
    /// is confirmed by it.
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
        let noted = match self.see(force).await {
            Ok(seen) => self.noted(seen, force).await,
            Err(error) => {
                self.guarded().forget();
                Err(error)
            }
        };
        noted.inspect_err(|error| self.failed(error))
    }

    fn guarded(&self) -> MutexGuard<'_, Guarded> {
        let guarded = self.shared.guarded.lock();
        guarded.unwrap_or_else(PoisonError::into_inner)
    }

    async fn see(&self, force: bool) -> Result<Seen, Error> {
        match &mut *self.shared.reader.lock().await {
            Reader::File(reader) => reader.look(force).await,
            Reader::Url(reader) => reader.look().await,
            Reader::Fixed => Ok(Seen::Same),
        }
    }

    /// Takes over what was seen, unless too many devices are gone; answers whether the inventory changed.
    async fn noted(&self, seen: Seen, confirmed: bool) -> Result<bool, Error> {
        match self.admitted(seen, confirmed)? {
            Seen::New(inventory) | Seen::Checked(inventory) => Ok(self.taken(inventory).await),
            Seen::Same => Ok(self.succeeded(None::<Inventory>)),
            Seen::StillBad | Seen::Writing => Ok(false),
        }
    }

    /// What was seen, or what the guard held back of it until now.
    fn admitted(&self, seen: Seen, confirmed: bool) -> Result<Seen, Error> {
        let mut guarded = self.guarded();
        let new = match seen {
            Seen::New(new) => new,
            Seen::Same => match guarded.held.take() {
                Some(held) => held,
                None => return Ok(Seen::Same),
            },
            Seen::Checked(_) => {
                guarded.forget();
                return Ok(seen);
            }
            Seen::StillBad | Seen::Writing => return Ok(seen),
        };
        let health = self.health();
        if health.loaded {
            let before = self.current();
            let guard = &mut guarded.guard;
            if let Err(error) = guard.admit(&health.source, &before, &new, confirmed) {
                guarded.held = Some(new);
                return Err(error);
            }
        }
        guarded.held = None;
        Ok(Seen::New(new))
    }

    /// Makes `inventory` the current one, and that of the next start where there is a cache file; answers whether it is another one.
    async fn taken(&self, inventory: Box<Inventory>) -> bool {
        if let Source::Url { options, .. } = &self.shared.source
            && let Some(path) = &options.cache_file
            && let Err(error) = cache::write(path, inventory.json()).await
        {
            tracing::warn!(cache = %path.display(), error = %error, "inventory cache file not written");
        }
        self.succeeded(Some(*inventory))
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
            health.shrunk = false;
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
        health.up = false;
        health.shrunk = matches!(error, Error::Shrunk { .. });
        // Looked at again and again while it stands, it is one failure.
        if !health.shrunk || health.last_error.as_ref() != Some(&reason) {
            health.failures += 1;
        }
        if health.last_error.as_ref() != Some(&reason) {
            let source = &health.source;
            if matches!(
                error,
                Error::Invalid(_)
                    | Error::TooLarge { .. }
                    | Error::NotText { .. }
                    | Error::Shrunk { .. }
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
