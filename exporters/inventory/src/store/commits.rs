//! The way of changes into git.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use inventory::edit::Book;
use toolkit::chain;

use super::git::Commit;
use super::journal::Record;
use super::{MOST_PENDING, State, Store, StoreError, StoreGuard, disk_error};

/// How often a flush follows a branch that others go on moving.
const ROUNDS: usize = 8;

/// Bytes of the journal above which it is cut also while changes come without a pause.
const LONG_JOURNAL: u64 = 4 * 1024 * 1024;

type Pending = (Arc<Record>, Book);

impl Store {
    /// Makes the commits that wait, and brings the branch and our commits together; answers when there is nothing left.
    pub(crate) fn flush(self: &Arc<Self>) -> Result<(), StoreError> {
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        let flushed = self.flush_all();
        let mut standing = self.standing();
        standing.commit_error = flushed.as_ref().err().map(|error| chain(error));
        standing.commit_failures += u64::from(flushed.is_err());
        flushed
    }

    fn flush_all(self: &Arc<Self>) -> Result<(), StoreError> {
        for _ in 0..ROUNDS {
            self.make_commits()?;
            if self.publish()? {
                break;
            }
        }
        Ok(())
    }

    fn make_commits(&self) -> Result<(), StoreError> {
        loop {
            let (head, batch) = {
                let state = self.state.blocking_lock();
                (state.head.clone(), batch(&state))
            };
            if batch.is_empty() {
                return Ok(());
            }
            let head = self.commit(head.as_deref(), &batch)?;
            let mut state = self.state.blocking_lock();
            state.head = Some(head);
            state.pending.drain(..batch.len());
            let written = self.written(&mut state);
            let (number, left) = (state.number, state.pending.len());
            let long = state.journal.length() > LONG_JOURNAL;
            self.standing().pending = left;
            drop(state);
            self.committed.send_replace(number - left as u64);
            written?;
            if left == 0 || long {
                self.forget()?;
            }
        }
    }

    /// Makes the commits; answers the last one.
    fn commit(&self, head: Option<&str>, batch: &[Pending]) -> Result<String, StoreError> {
        if let [(record, _)] = batch
            && record.forward
            && let Some(theirs) = &record.merge
        {
            self.git.forward(theirs)?;
            return Ok(theirs.clone());
        }
        let commits: Vec<Commit<'_>> = batch
            .iter()
            .map(|(record, book)| Commit {
                author: &record.author,
                seconds: record.seconds,
                message: &record.message,
                text: Box::new(|| book.text()),
                merge: record.merge.as_deref(),
            })
            .collect();
        let error = match self.git.commit(head, &commits) {
            Ok(head) => return Ok(head),
            Err(error) => error,
        };
        // It may have been done all the same, and only the answer been lost.
        let last = batch
            .last()
            .map(|(record, _)| format!("Change: {}", record.number));
        if let Some(now) = self.git.head()?
            && Some(&*now) != head
            && let Some(newest) = self.git.log(&now, 1)?.first()
            && newest
                .message
                .lines()
                .any(|line| Some(line) == last.as_deref())
        {
            return Ok(now);
        }
        Err(error.into())
    }

    /// Writes the file where that has failed before.
    fn written(&self, state: &mut State) -> Result<(), StoreError> {
        if state.behind {
            let text = state.book.text();
            state.stamp = self
                .write_file(&text)
                .map_err(disk_error("the inventory file"))?;
            state.behind = false;
        }
        Ok(())
    }

    /// Lets the journal forget what is in git, once what stands in the file would outlive the power.
    fn forget(&self) -> Result<(), StoreError> {
        let folder = self.options.file.parent().unwrap_or(Path::new("."));
        self.disk
            .sync(&self.options.file)
            .and_then(|()| self.disk.sync(folder))
            .map_err(disk_error("the inventory file"))?;
        // The file holds at least what is in git; what came meanwhile stays in the journal.
        let mut state = self.state.blocking_lock();
        let State {
            journal, pending, ..
        } = &mut *state;
        let left = pending.iter().map(|(record, _)| &**record);
        journal.keep(left).map_err(disk_error("the journal"))
    }

    /// Flushes whenever something waits, looks at the file twice a second, and packs the repository now and then.
    pub(crate) async fn follow(self: &Arc<Self>) {
        let mut every = tokio::time::interval(Duration::from_millis(500));
        let mut packed = *self.committed.borrow();
        loop {
            let mut looked = false;
            tokio::select! {
                () = self.kick.notified() => {}
                _ = every.tick() => looked = true,
            }
            if looked {
                // Not in line behind what only the flush below makes room for.
                let held = StoreGuard {
                    state: Arc::clone(&self.state).lock_owned().await,
                    store: Arc::clone(self),
                };
                let _ = super::blocking(move || held.settled()).await;
            }
            if let Err(error) = self.flushed().await {
                tracing::error!(
                    error = chain(&error),
                    "changes cannot be committed to git; they are kept in the journal and tried again"
                );
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.kick.notify_one();
            }
            let number = *self.committed.borrow();
            if number >= packed + 500 {
                packed = number;
                let store = Arc::clone(self);
                let _ = super::blocking(move || store.git.pack()).await;
            }
        }
    }

    /// Waits until every change that is made by now is in git.
    pub(crate) async fn flushed(self: &Arc<Self>) -> Result<(), StoreError> {
        let store = Arc::clone(self);
        super::blocking(move || store.flush()).await
    }
}

/// What goes into git together: a merge is the first of its batch, and what takes a commit of others over stands alone.
fn batch(state: &State) -> Vec<Pending> {
    let alone = |record: &Record| record.forward;
    let mut batch: Vec<Pending> = Vec::new();
    for pending in state.pending.iter().take(MOST_PENDING) {
        let after_alone = batch.last().is_some_and(|(last, _)| alone(last));
        if !batch.is_empty() && (after_alone || pending.0.merge.is_some()) {
            break;
        }
        batch.push(pending.clone());
    }
    batch
}
