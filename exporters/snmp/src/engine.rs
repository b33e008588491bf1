//! The event loop: one thread that owns the sockets and runs every scrape.
//!
//! A few UDP sockets are shared by all targets. Answers find their scrape by request id; ICMP errors find it by address.

mod address;
mod socket;
mod talk;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use address::{Target, TargetError};
pub use socket::{Arrival, Sockets};
pub use talk::{Asked, Report, Talk};

use crate::scrape::Pace;
use crate::usm::Peer;

/// Targets that are remembered; beyond it the one asked longest ago is forgotten.
const REMEMBERED: usize = 20_000;

/// A target, and as whom it is asked.
type Key = (SocketAddr, String);
/// When a device chose which modules.
type Choice = (Instant, Vec<String>);

/// What is remembered of targets from scrape to scrape.
#[derive(Debug, Default)]
pub struct Memory {
    known: Mutex<HashMap<Key, Known>>,
    modules: Mutex<HashMap<Key, Choice>>,
}

/// How long a device's choice of modules is believed.
const MODULES_BELIEVED: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Known {
    used: Instant,
    pace: Pace,
    peer: Option<Peer>,
}

impl Memory {
    fn recall(&self, key: &(SocketAddr, String)) -> (Option<Pace>, Option<Peer>) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).map_or((None, None), |one| {
            (Some(one.pace.clone()), one.peer.clone())
        })
    }

    fn keep(&self, key: (SocketAddr, String), pace: Pace, peer: Option<Peer>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(&key) {
            let oldest = known
                .iter()
                .min_by_key(|(_, one)| one.used)
                .map(|(key, _)| key.clone());
            oldest.map(|oldest| known.remove(&oldest));
        }
        known.insert(
            key,
            Known {
                used: Instant::now(),
                pace,
                peer,
            },
        );
    }

    /// The modules that a device chose within the last hour.
    #[must_use]
    pub fn modules(&self, key: &(SocketAddr, String)) -> Option<Vec<String>> {
        let modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let (chosen, names) = modules.get(key)?;
        (chosen.elapsed() < MODULES_BELIEVED).then(|| names.clone())
    }

    /// Remembers the modules that a device chose.
    pub fn keep_modules(&self, key: (SocketAddr, String), names: Vec<String>) {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if modules.len() >= REMEMBERED {
            modules.retain(|_, (chosen, _)| chosen.elapsed() < MODULES_BELIEVED);
        }
        if modules.len() < REMEMBERED {
            modules.insert(key, (Instant::now(), names));
        }
    }

    /// Lets a device choose anew.
    pub fn forget_modules(&self, key: &(SocketAddr, String)) {
        self.modules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    /// How many targets are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything, as when credentials change.
    pub fn clear(&self) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// How the engine talks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address and port to send from; port 0 lets the system choose.
    pub source: Option<SocketAddr>,
    /// Most requests under way to one target.
    pub window: usize,
    /// Octets of answers that one scrape may keep.
    pub octets: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            source: None,
            window: 32,
            octets: 512 << 20,
        }
    }
}

/// The event loop's handle. Its thread ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: tokio::runtime::Handle,
    sockets: Arc<Sockets>,
    memory: Arc<Memory>,
    settings: Settings,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

impl Engine {
    /// Binds the sockets and starts the thread.
    ///
    /// # Errors
    /// The sockets cannot be bound, or the thread cannot be started.
    pub fn start(settings: Settings) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let sockets = {
            let _inside = runtime.enter();
            Arc::new(Sockets::bind(settings.source)?)
        };
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let reading = Arc::clone(&sockets);
        std::thread::Builder::new()
            .name("snmp".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let readers = reading.read_all();
                    let _ = stopped.await;
                    readers.iter().for_each(tokio::task::JoinHandle::abort);
                });
            })?;
        Ok(Self {
            inner: Arc::new(Inner {
                handle,
                sockets,
                memory: Arc::default(),
                settings,
                stop: Some(stop),
            }),
        })
    }

    /// What is remembered of targets.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.inner.memory
    }

    /// Answers that no scrape waited for, and why, since the start.
    #[must_use]
    pub fn stray(&self) -> [(&'static str, u64); 3] {
        self.inner.sockets.stray()
    }

    /// Runs a conversation on the engine's thread.
    pub async fn run(&self, asked: Asked) -> Report {
        let (sockets, memory, settings) = (
            Arc::clone(&self.inner.sockets),
            Arc::clone(&self.inner.memory),
            self.inner.settings.clone(),
        );
        let task = self
            .inner
            .handle
            .spawn(async move { talk::converse(&sockets, &memory, &settings, asked).await });
        let guard = Abort(task.abort_handle());
        let report = task
            .await
            .unwrap_or_else(|_| Report::failed(crate::reason::Reason::Send));
        drop(guard);
        report
    }
}

/// Ends the conversation when nobody waits for it any more.
struct Abort(tokio::task::AbortHandle);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The time until `deadline`, never negative.
fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
