//! The way to the devices: sockets, sessions and what is remembered of them.
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
use tokio::runtime::Handle;

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

/// The sockets and what is remembered of targets. Readers of the sockets end when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sockets: Sockets,
    sessions: Sessions,
    settings: Settings,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.readers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Engine {
    /// Binds the sockets and reads them on the runtime that this is called in.
    ///
    /// # Errors
    /// The sockets cannot be bound, or there is no runtime.
    pub fn start(settings: Settings) -> std::io::Result<Self> {
        let here = Handle::try_current().map_err(std::io::Error::other)?;
        Self::start_on(settings, &[here])
    }

    /// Binds sockets for each of these runtimes, one at least: a scrape takes those of the runtime that it runs in, so that no answer of a
    /// device takes the way over another thread.
    ///
    /// # Errors
    /// The sockets cannot be bound.
    pub fn start_on(settings: Settings, runtimes: &[Handle]) -> std::io::Result<Self> {
        let (sockets, readers) = Sockets::bind(settings.source, runtimes)?;
        Ok(Self {
            inner: Arc::new(Inner {
                sockets,
                sessions: Sessions::default(),
                settings,
                readers,
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

    /// Runs a session where it is called, without a way to another thread and back: that would cost a small device more than its answer.
    pub async fn run(&self, asked: Asked) -> Report {
        let Inner {
            sockets,
            sessions,
            settings,
            ..
        } = &*self.inner;
        session::run(sockets, sessions, settings, asked).await
    }
}

/// The time until `deadline`, never negative.
fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
