//! Making durable what was written.

use super::Inner;
use crate::Error;

impl Inner {
    /// Whether anything changed since the last sync.
    pub(crate) fn needs_sync(&self) -> bool {
        let state = self.lock();
        state.stats.durable < state.next
            || state.acks_dirty
            || state.names_dirty
            || !state.dirty.is_empty()
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        let (files, names, next) = {
            let mut state = self.lock();
            let mut files = std::mem::take(&mut state.dirty);
            files.extend(state.segments.back().map(|s| s.file.clone()));
            files.extend(state.readers.iter().map(|r| r.ack.file.clone()));
            state.acks_dirty = false;
            (files, std::mem::take(&mut state.names_dirty), state.next)
        };
        let mut result = Ok(());
        for file in &files {
            result = result.and(file.sync().map_err(Error::storage("syncing", "a segment")));
        }
        if names {
            result = result.and(
                self.storage
                    .sync_names()
                    .map_err(Error::storage("syncing", "the folder")),
            );
        }
        let mut state = self.lock();
        if result.is_ok() {
            state.stats.durable = state.stats.durable.max(next);
        } else {
            state.names_dirty |= names;
            state.dirty.extend(files);
            state.stats.storage_errors += 1;
        }
        result
    }
}
