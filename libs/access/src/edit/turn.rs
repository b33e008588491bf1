//! Whether a change may still be given up: decided once, by whoever comes first.

use std::sync::{Arc, OnceLock};

use tokio::task::AbortHandle;

/// Taken by the change when it begins, or by the one who waits when nobody waits any more.
#[derive(Debug, Default)]
pub(super) struct Turn(OnceLock<Option<String>>);

impl Turn {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Begins the change of this id; `false` when it was given up before.
    pub(super) fn take(&self, id: &str) -> bool {
        self.0.get_or_init(|| Some(id.to_owned())).is_some()
    }

    /// Whether it has begun.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.0.get(), Some(Some(_)))
    }

    /// Gives it up, or tells the id with which it has begun.
    fn cancel(&self) -> Option<String> {
        self.0.get_or_init(|| None).clone()
    }
}

/// Gives the change up when the one who asked for it goes away.
pub(super) struct CancelOnDrop {
    turn: Option<Arc<Turn>>,
    task: AbortHandle,
}

impl CancelOnDrop {
    pub(super) fn new(turn: Arc<Turn>, task: AbortHandle) -> Self {
        Self {
            turn: Some(turn),
            task,
        }
    }

    /// The change has been answered.
    pub(super) fn keep(&mut self) {
        self.turn = None;
    }

    /// Gives it up, or tells the id with which it has begun.
    pub(super) fn cancel(&mut self) -> Option<String> {
        let begun = self.turn.take().and_then(|turn| turn.cancel());
        if begun.is_none() {
            self.task.abort();
        }
        begun
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if self.turn.is_some() {
            self.cancel();
        }
    }
}
