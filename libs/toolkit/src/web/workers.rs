//! Threads that carry connections, each with an event loop of its own.
//!
//! A pool wakes one thread for what another one was told, which costs a short request more than its answer. Here a connection stays on
//! the thread that it was given to, and with it all that its requests wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads; they end when the last of these is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers {
    handles: Arc<[Handle]>,
    turn: Arc<AtomicUsize>,
    _ends: Arc<Vec<oneshot::Sender<()>>>,
}

impl Workers {
    /// Starts so many.
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        let mut handles = Vec::with_capacity(count);
        let mut ends = Vec::with_capacity(count);
        for _ in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (end, ended) = oneshot::channel::<()>();
            handles.push(runtime.handle().clone());
            ends.push(end);
            std::thread::Builder::new()
                .name("connections".to_owned())
                .spawn(move || {
                    let _ = runtime.block_on(ended);
                    runtime.shutdown_background();
                })?;
        }
        Ok(Self {
            handles: handles.into(),
            turn: Arc::default(),
            _ends: Arc::new(ends),
        })
    }

    /// Their event loops.
    pub(crate) fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// The one whose turn it is; nothing where there is none.
    pub(crate) fn next(&self) -> Option<&Handle> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.handles.get(turn.checked_rem(self.handles.len())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_to_the_threads_by_turns() {
        let workers = Workers::start(2).unwrap();
        let turns = [0; 4].map(|_| workers.next().unwrap().id());
        assert_eq!(turns[..2], turns[2..]);
        assert_ne!(turns[0], turns[1]);
        assert!(Workers::default().next().is_none());
    }
}
