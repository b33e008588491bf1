//! The thread that keeps the promise of [`Durability::Interval`](crate::Durability::Interval).

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::queue::Inner;

/// Starts the thread; it ends when the queue is no longer in use.
pub(crate) fn start(inner: &Arc<Inner>, interval: Duration) -> std::io::Result<()> {
    let weak = Arc::downgrade(inner);
    std::thread::Builder::new()
        .name("spool-sync".to_owned())
        .spawn(move || run(&weak, interval))?;
    Ok(())
}

fn run(weak: &Weak<Inner>, interval: Duration) {
    loop {
        std::thread::sleep(interval);
        let Some(inner) = weak.upgrade() else { return };
        // A failure is counted by `sync` itself, and the next round tries again.
        if inner.needs_sync() {
            let _ = inner.sync();
        }
    }
}
