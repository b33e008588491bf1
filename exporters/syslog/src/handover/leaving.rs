//! How a receiver ends for another process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether a receiver leaves what the kernel holds to another process, and whether it still runs.
#[derive(Debug, Default)]
pub struct Leaving {
    leaving: AtomicBool,
    running: AtomicBool,
}

/// Says that a receiver runs, as long as it lives.
pub struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Leaving {
    /// From now on a stop leaves what the kernel holds to another process.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Whether it leaves.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// The receiver runs until what this gives is dropped.
    #[must_use]
    pub fn run(&self) -> Running<'_> {
        self.running.store(true, Ordering::Release);
        Running(&self.running)
    }

    /// Waits until the receiver has ended after a stop, for some seconds at most.
    pub async fn left(&self) {
        for _ in 0..2_000 {
            if !self.running.load(Ordering::Acquire) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
