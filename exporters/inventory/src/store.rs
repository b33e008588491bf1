//! The inventory as people change it: a file, a git repository around it, and a journal in front of that.
//!
//! Invariants:
//! - A change is answered for when its record is in the journal and on disk. Before that nothing of it is seen.
//! - The file, the live inventory and the document in memory are those after the last record.
//! - Our line of commits (`refs/sotp/BRANCH`) holds one commit for each record, in order, made soon after; the journal
//!   holds the records whose commits are not made yet. Starting again makes the one of the other, whatever was cut off.
//! - The branch is our line, unless others moved it; then their commits are taken over, or shown as a conflict.
//!   Nothing of either side is ever left out of a history that both end in.
//! - What stands in the file and was not written here is a change by hand: it becomes a record before the next one.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use access::audit::{Audit, Outcome, Pending, Record as Audited};
use access::edit::Action;
use inventory::edit::Book;
use inventory::{Document, Feed, Guard, Inventory};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, Notify, watch};
use toolkit::chain;

mod commits;
pub(crate) mod disk;
pub(crate) mod git;
mod held;
pub(crate) mod journal;
mod keys;
pub(crate) mod merging;
mod opening;
#[cfg(test)]
mod tests;
pub(crate) mod versions;

use disk::Disk;
use git::{Git, GitError};
pub(crate) use held::{Prepared, Signed, Snapshot, StoreGuard};
use journal::{Journal, Record};
use keys::Keys;
use merging::Standing;

/// Records that may wait for their commits; then changes wait too.
const MOST_PENDING: usize = 64;

/// Why the store cannot do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The inventory would not be valid, or the file is not.
    #[error(transparent)]
    Inventory(#[from] inventory::Error),
    /// The file holds errors that a person made; nothing is changed over them.
    #[error("the file has errors: {0}")]
    BadFile(String),
    /// Two sides changed the same entries.
    #[error("{} entries were changed by two sides", .0.len())]
    Conflict(Vec<inventory::edit::Conflict>),
    /// The disk.
    #[error("cannot write {what}")]
    Disk {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Another process has the store.
    #[error("another process edits this inventory")]
    Taken,
    /// A commit of others does not have the file.
    #[error("the commit {0} has no inventory file; expected it to stay where it is")]
    NoFile(String),
    /// A choice that resolves nothing.
    #[error("{entry}: {why}")]
    Choice { entry: String, why: String },
    /// The version asked for is not there.
    #[error("there is no version {0}")]
    NoVersion(String),
    /// Nobody waits for the answer any more.
    #[error("nobody waits for the answer any more")]
    Gone,
    /// The file must not be a link: it is replaced at each change.
    #[error("{0} is a link; expected the file itself, which editing replaces")]
    Link(PathBuf),
}

fn disk_error(what: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Disk { what, source }
}

/// Where and how.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) file: PathBuf,
    pub(crate) branch: String,
    /// Where it is recorded what is taken over from others.
    pub(crate) audit: Option<Audit>,
    /// What holds back a file that lost many devices at once.
    pub(crate) guard: Guard,
}

pub(crate) struct Store {
    disk: Arc<dyn Disk>,
    git: Git,
    options: Options,
    private: PathBuf,
    feed: Feed,
    /// Written only by who holds the state; read by anybody.
    document: Arc<RwLock<Document>>,
    state: Arc<Mutex<State>>,
    /// One flush at a time.
    flushing: std::sync::Mutex<()>,
    kick: Notify,
    /// Number of the last record whose commit is made.
    committed: watch::Sender<u64>,
    standing: std::sync::Mutex<Standing>,
    /// The files by which a move of the branch shows.
    watched: [PathBuf; 3],
    _lock: File,
}

pub(crate) struct State {
    book: Book,
    document: Arc<RwLock<Document>>,
    inventory: Arc<Inventory>,
    /// SHA-256 of the text of the book, in hexadecimal.
    text: String,
    /// The file as we know it; `None` when it must be looked at.
    stamp: Option<Stamp>,
    /// Why the content of the file is bad.
    bad: Option<String>,
    guard: Guard,
    /// Whether the file could not be written after the last change.
    behind: bool,
    journal: Journal,
    pending: VecDeque<(Arc<Record>, Book)>,
    number: u64,
    /// Our last commit.
    head: Option<String>,
    /// Where we left the branch.
    published: Option<String>,
    /// What the last look at the branch found: it is looked at again when that changes.
    tried: Option<(Signs, u64)>,
    keys: Keys,
}

/// What tells one state of the branch from the next.
type Signs = [Option<Stamp>; 3];

/// What tells one content of the file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp([i64; 6]);

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let of = |data: Metadata| {
            let size = i64::try_from(data.size()).unwrap_or(i64::MAX);
            let ino = data.ino().cast_signed();
            Self([
                ino,
                size,
                data.mtime(),
                data.mtime_nsec(),
                data.ctime(),
                data.ctime_nsec(),
            ])
        };
        std::fs::metadata(path).ok().map(of)
    }
}

impl Store {
    /// The live inventory.
    pub(crate) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The document as it is now, which no change waits for long.
    pub(crate) fn document(&self) -> RwLockReadGuard<'_, Document> {
        self.document.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn to change something.
    pub(crate) async fn hold(self: &Arc<Self>) -> StoreGuard {
        loop {
            let held = StoreGuard {
                state: Arc::clone(&self.state).lock_owned().await,
                store: Arc::clone(self),
            };
            if held.state.pending.len() < MOST_PENDING {
                return held;
            }
            drop(held);
            self.kick.notify_one();
            let mut committed = self.committed.subscribe();
            let _ = tokio::time::timeout(Duration::from_secs(1), committed.changed()).await;
        }
    }

    /// The answer to the request with this key, when it was done within the last day.
    pub(crate) async fn answered(&self, name: &str) -> Option<journal::Key> {
        self.state.lock().await.keys.get(name).cloned()
    }

    /// Waits for its turn, where that may block; in front of changes that wait for their commits.
    fn hold_now(self: &Arc<Self>) -> StoreGuard {
        StoreGuard {
            state: Arc::clone(&self.state).blocking_lock_owned(),
            store: Arc::clone(self),
        }
    }

    /// How the store stands with git, for metrics and pages.
    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the last change whose commit is made, to be waited for.
    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    fn try_hold(self: &Arc<Self>) -> StoreGuard {
        StoreGuard {
            state: Arc::clone(&self.state)
                .try_lock_owned()
                .expect("nobody else has the store yet"),
            store: Arc::clone(self),
        }
    }

    fn audited(action: &Action, of: &str) -> Audited {
        Audited::of_service("sotp-inventory", action, Sha256::digest(of).into())
    }

    /// Records that something of others is about to be taken over, or refuses that where it cannot be recorded.
    fn begin_record(&self, action: &Action, of: &str) -> Result<Option<Pending>, StoreError> {
        let Some(audit) = &self.options.audit else {
            return Ok(None);
        };
        let pending = audit.begin_blocking(Self::audited(action, of));
        pending.map(Some).map_err(|error| StoreError::Disk {
            what: "the audit log",
            source: io::Error::other(chain(&error)),
        })
    }

    /// Records how it ended.
    fn end_record(pending: Option<Pending>, done: &str, result: &Result<(), StoreError>) {
        if let Some(pending) = pending {
            pending.finish_blocking(match result {
                Ok(()) => Outcome::Done(done.to_owned()),
                Err(error) => Outcome::Failed(chain(error)),
            });
        }
    }

    /// Records that something of others is not taken over.
    fn refuse_record(&self, action: &Action, why: &str) {
        if let Some(audit) = &self.options.audit {
            audit.refuse(Self::audited(action, why), why);
        }
    }

    /// Puts `text` in the place of the file.
    fn write_file(&self, text: &str) -> io::Result<Option<Stamp>> {
        let file = &self.options.file;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let beside = file.with_file_name(format!(".{name}.new"));
        self.disk.write(&beside, text.as_bytes())?;
        if let Ok(data) = std::fs::metadata(file) {
            // The file keeps its mode; who may read it is the user's choice.
            let _ = std::fs::set_permissions(&beside, data.permissions());
        }
        self.disk.rename(&beside, file)?;
        Ok(Stamp::of(file))
    }
}

impl State {
    fn document_mut(&self) -> RwLockWriteGuard<'_, Document> {
        self.document
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs `work` where it may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending.
            Err(_) => std::future::pending().await,
        },
    }
}
