//! The event loop: one thread that owns the sockets and runs every scrape.
//!
//! A few UDP sockets are shared by all targets. Answers find their scrape by request id; ICMP errors find it by address.

mod address;
mod session;
mod sessions;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::Budget;
pub use address::{Target, TargetError};
pub use session::{Asked, Report, Session};
pub use sessions::Key;
use sessions::Sessions;
pub use socket::{Arrival, Sockets};

/// How the engine talks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address and port to send from; port 0 lets the system choose.
    pub source: Option<SocketAddr>,
    /// Most requests under way to one target.
    pub window: usize,
    /// Memory for answers.
    pub budget: Budget,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            source: None,
            window: 32,
            budget: Budget::new(256 << 20),
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
    sessions: Sessions,
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
                sessions: Sessions::default(),
                settings,
                stop: Some(stop),
            }),
        })
    }

    /// Targets whose pace and peer are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.inner.sessions.len()
    }

    /// Answers that no scrape waited for, and why, since the start.
    #[must_use]
    pub fn stray(&self) -> [(&'static str, u64); 3] {
        self.inner.sockets.stray()
    }

    /// Runs a session on the engine's thread.
    pub async fn run(&self, asked: Asked) -> Report {
        let inner = Arc::clone(&self.inner);
        let task = self.inner.handle.spawn(async move {
            session::run(&inner.sockets, &inner.sessions, &inner.settings, asked).await
        });
        let guard = Abort(task.abort_handle());
        let report = task
            .await
            .unwrap_or_else(|_| Report::failed(crate::reason::Reason::Send));
        drop(guard);
        report
    }
}

/// Ends the session when nobody waits for it any more.
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
