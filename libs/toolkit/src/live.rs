//! The live value of the configuration, swapped whole.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

/// A handle on the configuration that runs now; clones follow the same value, each with its own mark of what it has seen.
pub struct Live<C> {
    value: Arc<ArcSwap<C>>,
    version: watch::Receiver<u64>,
}

impl<C> Clone for Live<C> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            version: self.version.clone(),
        }
    }
}

impl<C> std::fmt::Debug for Live<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("version", &*self.version.borrow())
            .finish_non_exhaustive()
    }
}

impl<C> Live<C> {
    /// A value that never changes: for tests of a service.
    #[must_use]
    pub fn fixed(value: C) -> Self {
        Swap::new(value).1
    }

    /// The value that runs now. A request or a tick takes it once and keeps to it.
    #[must_use]
    pub fn current(&self) -> Arc<C> {
        self.value.load_full()
    }

    /// Waits until the value differs from the one seen last by this handle. Never returns once no change can come any more.
    pub async fn changed(&mut self) {
        if self.version.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The writing end of [`Live`].
#[derive(Debug)]
pub(crate) struct Swap<C> {
    value: Arc<ArcSwap<C>>,
    version: watch::Sender<u64>,
}

impl<C> Swap<C> {
    pub(crate) fn new(value: C) -> (Self, Live<C>) {
        let value = Arc::new(ArcSwap::from_pointee(value));
        let (version, seen) = watch::channel(0);
        (
            Self {
                value: Arc::clone(&value),
                version,
            },
            Live {
                value,
                version: seen,
            },
        )
    }

    pub(crate) fn set(&self, value: C) {
        self.value.store(Arc::new(value));
        self.version.send_modify(|version| *version += 1);
    }

    pub(crate) fn current(&self) -> Arc<C> {
        self.value.load_full()
    }
}
