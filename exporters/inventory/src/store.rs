//! The inventory as people change it: a file, a git repository around it, and a journal in front of that.
//!
//! Invariants:
//! - A change is answered for when its record is in the journal and on disk. Before that nothing of it is seen.
//! - The file, the live inventory and the document in memory are those after the last record.
//! - The branch holds one commit for each record, in order, made soon after; the journal holds the records
//!   whose commits are not made yet. Starting again makes the one of the other, whatever was cut off.
//! - What stands in the file and was not written here is a change by hand: it becomes a record before the next one.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use inventory::edit::{Applied, Book, Change, Edit, Rewritten, changes, diff, merge};
use inventory::{Document, Feed, Inventory, Source};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, watch};

pub(crate) mod disk;
pub(crate) mod git;
pub(crate) mod journal;
#[cfg(test)]
mod tests;
pub(crate) mod versions;

use disk::Disk;
use git::{Commit, Git, GitError};
use journal::{Journal, Key, Record, Step, Steps};

/// Records that may wait for their commits; then changes wait too.
const MOST_PENDING: usize = 64;
/// Keys of requests that are remembered, and for how long.
const MOST_KEYS: usize = 10_000;
const KEYS_FOR: Duration = Duration::from_secs(24 * 3600);
/// Entries that a commit message names one by one.
const NAMED: usize = 100;
/// Longest answer that is kept for a repeated request, in bytes.
const KEPT_BODY: usize = 8 * 1024;

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
    /// The version asked for is not there.
    #[error("there is no version {0}")]
    NoVersion(String),
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
    /// Whether the file could not be written after the last change.
    behind: bool,
    journal: Journal,
    pending: VecDeque<(Arc<Record>, Book)>,
    number: u64,
    head: Option<String>,
    keys: Keys,
    /// Why the last flush failed.
    trouble: Option<String>,
}

/// What tells one content of the file from the next.
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// Answers to requests that may come again.
#[derive(Default)]
struct Keys {
    answers: HashMap<String, (Key, i64)>,
    order: VecDeque<String>,
}

impl Keys {
    fn add(&mut self, key: Key, seconds: i64) {
        let name = key.name.clone();
        if self.answers.insert(name.clone(), (key, seconds)).is_none() {
            self.order.push_back(name);
        }
        let oldest = seconds - i64::try_from(KEYS_FOR.as_secs()).unwrap_or(i64::MAX);
        while let Some(name) = self.order.front() {
            let old = self.answers.get(name).is_none_or(|(_, at)| *at < oldest);
            if !(old || self.order.len() > MOST_KEYS) {
                break;
            }
            self.answers.remove(name);
            self.order.pop_front();
        }
    }
}

/// A change that is checked and not made yet.
pub(crate) struct Prepared {
    pub(crate) edits: Vec<Edit>,
    pub(crate) changes: Vec<Change>,
    pub(crate) anew: Option<Rewritten>,
    pub(crate) inventory: Arc<Inventory>,
    book: Book,
    text: String,
    steps: Steps,
    merge: Option<String>,
}

impl Prepared {
    /// Whether it changes nothing that anybody reads.
    pub(crate) fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Makes it a merge with another commit.
    pub(crate) fn merging(mut self, commit: String) -> Self {
        self.merge = Some(commit);
        self
    }
}

/// Who and why.
pub(crate) struct Signed {
    /// `name <address>`.
    pub(crate) author: String,
    /// One line: what changed.
    pub(crate) message: String,
    pub(crate) key: Option<Key>,
}

/// The store, held for one change. Nothing else changes meanwhile.
pub(crate) struct Held {
    store: Arc<Store>,
    state: OwnedMutexGuard<State>,
}

impl Store {
    /// Opens the file and its repository, which is made when there is none, and brings them in line.
    pub(crate) fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Arc<Self>, StoreError> {
        let file = &options.file;
        if file.is_symlink() {
            return Err(StoreError::Link(file.clone()));
        }
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let folder = folder
            .canonicalize()
            .map_err(disk_error("the folder of the inventory"))?;
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let options = Options {
            file: folder.join(&name),
            ..options
        };
        let git = Git::open(Arc::clone(&disk), &folder, &name, &options.branch)?;
        let private = git.private()?;
        std::fs::create_dir_all(&private).map_err(disk_error("the folder of the journal"))?;
        let lock = File::create(private.join("lock")).map_err(disk_error("the lock file"))?;
        lock.try_lock().map_err(|_| StoreError::Taken)?;
        let (journal, records) =
            Journal::open(Arc::clone(&disk), &private).map_err(disk_error("the journal"))?;
        let head = git.head()?;
        let opening = Opening::new(&git, head, journal, &options.file)?;
        let (mut state, known) = opening.replay(records)?;
        let feed_of = Source::File(options.file.clone());
        let bytes = disk
            .read(&options.file)
            .map_err(disk_error("the inventory file"))?;
        let begins = state.head.is_none() && state.pending.is_empty();
        let now = match bytes {
            Some(bytes) => bytes,
            None if begins => {
                let source = io::Error::from(io::ErrorKind::NotFound);
                return Err(StoreError::Inventory(inventory::Error::Read {
                    path: options.file.display().to_string(),
                    source,
                }));
            }
            None => Vec::new(),
        };
        let inventory = Arc::clone(&state.inventory);
        let sum = hex(&Sha256::digest(&now));
        state.stamp = None;
        let torn = now.is_empty() && !begins;
        let behind = torn || (sum != state.text && known.contains(&sum));
        let (committed, _) = watch::channel(0);
        let text = state.book.text();
        let document = Arc::clone(&state.document);
        let feed = match Arc::try_unwrap(inventory) {
            Ok(inventory) => Feed::written(feed_of, inventory),
            Err(shared) => {
                let feed = Feed::written(feed_of, Inventory::default());
                feed.publish(Some(shared));
                feed
            }
        };
        let store = Arc::new(Self {
            disk,
            git,
            private,
            feed,
            document,
            state: Arc::new(Mutex::new(state)),
            flushing: std::sync::Mutex::new(()),
            kick: Notify::new(),
            committed,
            _lock: lock,
            options,
        });
        let mut held = store.try_hold();
        if behind {
            let written = store
                .write_file(&text)
                .map_err(disk_error("the inventory file"))?;
            held.state.stamp = written;
        } else {
            held.begin(begins)?;
        }
        let number = held.state.number - held.state.pending.len() as u64;
        store.committed.send_replace(number);
        drop(held);
        store.kick.notify_one();
        Ok(store)
    }

    /// The live inventory.
    pub(crate) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The document as it is now, which no change waits for long.
    pub(crate) fn document(&self) -> RwLockReadGuard<'_, Document> {
        self.document.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn to change something.
    pub(crate) async fn hold(self: &Arc<Self>) -> Held {
        loop {
            let held = Held {
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

    fn try_hold(self: &Arc<Self>) -> Held {
        Held {
            state: Arc::clone(&self.state)
                .try_lock_owned()
                .expect("nobody else has the store yet"),
            store: Arc::clone(self),
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

    /// Makes the commits that wait; answers when there are none left.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (head, batch) = {
                let state = self.state.blocking_lock();
                let batch: Vec<_> = state.pending.iter().take(MOST_PENDING).cloned().collect();
                (state.head.clone(), batch)
            };
            if batch.is_empty() {
                return Ok(());
            }
            let made = self.batch(head.as_deref(), &batch);
            let mut state = self.state.blocking_lock();
            let result = match made {
                Ok(head) => {
                    state.head = Some(head);
                    state.pending.drain(..batch.len());
                    self.forget(&mut state)
                }
                Err(error) => Err(error),
            };
            state.trouble = result.as_ref().err().map(|error| chain(error));
            let number = state.number - state.pending.len() as u64;
            drop(state);
            self.committed.send_replace(number);
            result?;
        }
    }

    /// Makes the commits; answers the last one.
    fn batch(
        &self,
        head: Option<&str>,
        batch: &[(Arc<Record>, Book)],
    ) -> Result<String, StoreError> {
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

    /// Lets the journal forget what is in git, once what stands in the file would outlive the power.
    fn forget(&self, state: &mut State) -> Result<(), StoreError> {
        if state.behind {
            let text = state.book.text();
            state.stamp = self
                .write_file(&text)
                .map_err(disk_error("the inventory file"))?;
            state.behind = false;
        }
        if !(state.pending.is_empty() || state.journal.length() > 4 * 1024 * 1024) {
            return Ok(());
        }
        let folder = self.options.file.parent().unwrap_or(Path::new("."));
        self.disk
            .sync(&self.options.file)
            .and_then(|()| self.disk.sync(folder))
            .map_err(disk_error("the inventory file"))?;
        let State {
            journal, pending, ..
        } = state;
        let left = pending.iter().map(|(record, _)| &**record);
        journal.keep(left).map_err(disk_error("the journal"))?;
        if let Err(error) = self.git.tidy() {
            tracing::debug!(
                error = chain(&error),
                "index of the repository not brought in line"
            );
        }
        Ok(())
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
                let held = Held {
                    state: Arc::clone(&self.state).lock_owned().await,
                    store: Arc::clone(self),
                };
                let _ = blocking(move || held.settled()).await;
            }
            let store = Arc::clone(self);
            let flushed = blocking(move || store.flush()).await;
            if let Err(error) = flushed {
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
                let _ = blocking(move || store.git.pack()).await;
            }
        }
    }

    /// Waits until every change that is made by now is in git.
    pub(crate) async fn flushed(self: &Arc<Self>) -> Result<(), StoreError> {
        let store = Arc::clone(self);
        blocking(move || store.flush()).await
    }

    /// Changes that wait for their commits, and why they do when that failed.
    pub(crate) fn waiting(&self) -> Option<(usize, Option<String>)> {
        let state = self.state.try_lock().ok()?;
        Some((state.pending.len(), state.trouble.clone()))
    }
}

/// What stands in the repository, before the journal is played on it.
struct Opening {
    state: State,
    known: Vec<String>,
    done: u64,
}

impl Opening {
    fn new(
        git: &Git,
        head: Option<String>,
        journal: Journal,
        file: &Path,
    ) -> Result<Self, StoreError> {
        let (mut text, mut keys, mut done) = (String::new(), Keys::default(), 0);
        if let Some(head) = &head {
            text = git.file_at(head)?.unwrap_or_default();
            let mut log = git.log(head, MOST_KEYS)?;
            log.reverse();
            for commit in log {
                for line in commit.message.lines() {
                    if let Some(number) = line.strip_prefix("Change: ") {
                        done = done.max(number.parse().unwrap_or(0));
                    }
                    let key = line.strip_prefix("Key: ");
                    if let Some(key) = key.and_then(|json| serde_json::from_str(json).ok()) {
                        keys.add(key, commit.seconds);
                    }
                }
            }
        }
        let (book, document, inventory) = match Book::open(&text, file) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "the last commit holds no good inventory"
                );
                Book::open("", file)?
            }
        };
        let sum = hex(&Sha256::digest(text.as_bytes()));
        let state = State {
            book,
            document: Arc::new(RwLock::new(document)),
            inventory: Arc::new(inventory),
            text: sum.clone(),
            stamp: None,
            bad: None,
            behind: false,
            journal,
            pending: VecDeque::new(),
            number: done,
            head,
            keys,
            trouble: None,
        };
        Ok(Self {
            state,
            known: vec![sum],
            done,
        })
    }

    /// Plays what is not committed yet; answers the state and the checksums that the file may have if we were cut off.
    fn replay(mut self, records: Vec<Record>) -> Result<(State, Vec<String>), StoreError> {
        let state = &mut self.state;
        // The file may be as any of them left it.
        self.known
            .extend(records.iter().map(|record| record.text.clone()));
        let left: Vec<_> = records
            .into_iter()
            .filter(|record| record.number > self.done)
            .collect();
        let any = !left.is_empty();
        for record in left {
            match &record.steps {
                Steps::Text(text) => {
                    let (book, document, _) = Book::open(text, Path::new("journal"))?;
                    state.book = book;
                    *state.document_mut() = document;
                }
                Steps::Edits(steps) => {
                    let edits = steps
                        .iter()
                        .map(Step::edit)
                        .collect::<Result<Vec<_>, _>>()?;
                    let mut book = state.book.clone();
                    book.apply(&mut state.document_mut(), &edits);
                    state.book = book;
                }
            }
            state.number = record.number;
            state.text.clone_from(&record.text);
            if let Some(key) = record.key.clone() {
                state.keys.add(key, record.seconds);
            }
            state
                .pending
                .push_back((Arc::new(record), state.book.clone()));
        }
        if any {
            let inventory = Inventory::check(&state.document_mut(), Path::new("journal"))?;
            state.inventory = Arc::new(inventory);
        }
        Ok((self.state, self.known))
    }
}

impl State {
    fn document_mut(&self) -> RwLockWriteGuard<'_, Document> {
        self.document
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The document as it is now.
    pub(crate) fn document(&self) -> RwLockReadGuard<'_, Document> {
        self.store.document()
    }

    /// The inventory as it is now.
    pub(crate) fn inventory(&self) -> &Arc<Inventory> {
        &self.state.inventory
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The text as it is now.
    pub(crate) fn text(&self) -> String {
        self.state.book.text()
    }

    /// The answer to the request with this key, when it was done within the last day.
    pub(crate) fn answered(&self, name: &str) -> Option<&Key> {
        let (key, at) = self.state.keys.answers.get(name)?;
        let age = Timestamp::now().as_second() - at;
        (age <= i64::try_from(KEYS_FOR.as_secs()).unwrap_or(i64::MAX)).then_some(key)
    }

    /// The first look at the file: all of it becomes the first commit where there is none.
    fn begin(&mut self, begins: bool) -> Result<(), StoreError> {
        if begins {
            let text = self.read()?;
            let prepared = self.prepare_text(&text)?;
            let signed = Signed {
                author: git::author("sotp-inventory", "sotp-inventory@localhost"),
                message: "Begin with the inventory as it is".to_owned(),
                key: None,
            };
            self.commit_steps(prepared, &signed)?;
        }
        self.settle()
    }

    fn read(&self) -> Result<String, StoreError> {
        let path = &self.store.options.file;
        let bytes = self
            .store
            .disk
            .read(path)
            .map_err(disk_error("the inventory file"))?;
        let origin = path.display().to_string();
        let bytes = bytes.unwrap_or_default();
        if bytes.len() > inventory::MAX_BYTES {
            return Err(inventory::Error::TooLarge { origin }.into());
        }
        Ok(String::from_utf8(bytes).map_err(|_| inventory::Error::NotText { origin })?)
    }

    /// [`Held::settle`] for a look that changes nothing else.
    fn settled(mut self) -> Result<(), StoreError> {
        self.settle()
    }

    /// Takes over what a person wrote into the file since the last look.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        let path = self.store.options.file.clone();
        let stamp = Stamp::of(&path);
        if stamp.is_some() && stamp == self.state.stamp {
            return match &self.state.bad {
                Some(why) => Err(StoreError::BadFile(why.clone())),
                None => Ok(()),
            };
        }
        let result = self.take_over(&path);
        match &result {
            Ok(()) => {
                self.state.bad = None;
                self.store.feed.publish(None);
                // A stamp that is too fresh does not tell the next write apart.
                let now = Timestamp::now().as_second();
                self.state.stamp = stamp.filter(|stamp| now - stamp.0[4] > 2);
            }
            Err(error) => {
                let why = chain(error);
                if self.state.bad.as_ref() != Some(&why)
                    && let StoreError::Inventory(error) = error
                {
                    self.store.feed.refuse(error);
                }
                self.state.bad = Some(why.clone());
                let now = Timestamp::now().as_second();
                self.state.stamp = stamp.filter(|stamp| now - stamp.0[4] > 2);
                return Err(StoreError::BadFile(why));
            }
        }
        result
    }

    fn take_over(&mut self, path: &Path) -> Result<(), StoreError> {
        if !path.exists() {
            return Err(StoreError::Inventory(inventory::Error::Read {
                path: path.display().to_string(),
                source: io::Error::from(io::ErrorKind::NotFound),
            }));
        }
        let text = self.read()?;
        if hex(&Sha256::digest(text.as_bytes())) == self.state.text {
            return Ok(());
        }
        let prepared = self.prepare_text(&text)?;
        let message = match prepared.edits.len() {
            0 => "Edit comments by hand".to_owned(),
            1 => format!(
                "Edit {} {} by hand",
                prepared.edits[0].kind().one(),
                prepared.edits[0].name()
            ),
            many => format!("Edit {many} entries by hand"),
        };
        let signed = Signed {
            author: git::author("by hand", "file@localhost"),
            message,
            key: None,
        };
        self.commit_steps(prepared, &signed)
    }

    /// Checks `edits` and works out what they change; nothing is changed yet.
    pub(crate) fn prepare(&mut self, edits: Vec<Edit>) -> Result<Prepared, StoreError> {
        let state = &*self.state;
        let mut document = state.document_mut();
        let mut book = state.book.clone();
        let applied = book.apply(&mut document, &edits);
        let checked = Inventory::check(&document, Path::new("change"));
        let changes = listed(&edits, &applied);
        let checked = checked.map_err(|error| named(error, &document));
        let anew = applied.anew;
        applied.revert(&mut document, &edits);
        let text = hex(&digest(&book));
        Ok(Prepared {
            changes,
            anew,
            inventory: Arc::new(checked?),
            book,
            text,
            steps: Steps::Edits(edits.iter().map(Step::from).collect()),
            merge: None,
            edits: edits
                .into_iter()
                .filter(|edit| match edit {
                    Edit::Put(entry) => {
                        document.entry(entry.kind(), entry.name()).as_ref() != Some(entry)
                    }
                    Edit::Delete(kind, name) => document.position(*kind, name).is_some(),
                })
                .collect(),
        })
    }

    /// As [`Held::prepare`], for a whole text.
    pub(crate) fn prepare_text(&mut self, text: &str) -> Result<Prepared, StoreError> {
        let (book, document, inventory) = Book::open(text, &self.store.options.file)?;
        let now = self.document();
        let edits = diff(&now, &document);
        let side = |edit: &Edit, document: &Document| document.entry(edit.kind(), edit.name());
        let changes = edits
            .iter()
            .flat_map(|edit| changes(side(edit, &now).as_ref(), side(edit, &document).as_ref()));
        let changes = changes.collect();
        drop(now);
        Ok(Prepared {
            changes,
            anew: None,
            inventory: Arc::new(inventory),
            text: hex(&digest(&book)),
            book,
            steps: Steps::Text(text.to_owned()),
            merge: None,
            edits,
        })
    }

    /// What `theirs` changed since `base`, brought into ours; comments of both sides stay where the lines allow it.
    pub(crate) fn prepare_merge(
        &mut self,
        base: &str,
        theirs: &str,
    ) -> Result<Prepared, StoreError> {
        let origin = &self.store.options.file;
        let base_document = Inventory::parse_both(base, origin)?.0;
        let their_document = Inventory::parse_both(theirs, origin)?.0;
        let (edits, conflicts) = merge(&base_document, &self.document(), &their_document);
        if !conflicts.is_empty() {
            return Err(StoreError::Conflict(conflicts));
        }
        let ours = self.text();
        let prepared = self.prepare(edits)?;
        let lines = self
            .store
            .git
            .merge_text(&self.store.private, [&ours, base, theirs])?;
        if let Some(text) = lines
            && let Ok(merged) = self.prepare_text(&text)
            && merged.inventory.version() == prepared.inventory.version()
        {
            return Ok(merged);
        }
        Ok(prepared)
    }

    /// Makes a change: on disk, live and on its way into git when this returns.
    pub(crate) fn commit(&mut self, prepared: Prepared, signed: &Signed) -> Result<(), StoreError> {
        let text = prepared.book.text();
        self.commit_steps(prepared, signed)?;
        match self.store.write_file(&text) {
            Ok(stamp) => {
                self.state.stamp = stamp;
                self.state.behind = false;
            }
            Err(error) => {
                self.state.behind = true;
                // The journal has it; the next look finds the file behind.
                tracing::error!(%error, "inventory file not written; the change is kept in the journal and written with the next one");
                self.state.stamp = Stamp::of(&self.store.options.file);
            }
        }
        Ok(())
    }

    /// [`Held::commit`] but for the file, which holds the text already.
    fn commit_steps(&mut self, prepared: Prepared, signed: &Signed) -> Result<(), StoreError> {
        let state = &mut *self.state;
        let number = state.number + 1;
        let seconds = Timestamp::now().as_second();
        let mut key = signed.key.clone();
        if let Some(key) = &mut key
            && key.body.len() > KEPT_BODY
        {
            key.body.clear();
        }
        let record = Record {
            number,
            seconds,
            author: signed.author.clone(),
            message: message(&signed.message, number, &prepared.edits, key.as_ref()),
            steps: prepared.steps,
            text: prepared.text.clone(),
            key: key.clone(),
            merge: prepared.merge,
        };
        state
            .journal
            .append(&record)
            .map_err(disk_error("the journal"))?;
        let whole = match &record.steps {
            // The order of entries too.
            Steps::Text(text) => Inventory::parse_both(text, Path::new("text")).ok(),
            Steps::Edits(_) => None,
        };
        {
            let mut document = state.document_mut();
            match whole {
                Some((whole, _)) => *document = whole,
                None => {
                    for edit in &prepared.edits {
                        document.apply(edit);
                    }
                }
            }
            self.store
                .feed
                .publish(Some(Arc::clone(&prepared.inventory)));
        }
        state.book = prepared.book;
        state.text = prepared.text;
        state.number = number;
        if let Some(key) = key {
            state.keys.add(key, seconds);
        }
        state
            .pending
            .push_back((Arc::new(record), state.book.clone()));
        state.inventory = prepared.inventory;
        self.store.kick.notify_one();
        Ok(())
    }
}

/// The commit message: what changed, the entries, and what the store reads back when it starts.
fn message(line: &str, number: u64, edits: &[Edit], key: Option<&Key>) -> String {
    let mut text = format!("{line}\n\n");
    if edits.len() > NAMED {
        text.push_str("Entry: *\n");
    } else {
        for edit in edits {
            text.push_str(&format!("Entry: {}/{}\n", edit.kind().list(), edit.name()));
        }
    }
    text.push_str(&format!("Change: {number}\n"));
    if let Some(json) = key.and_then(|key| serde_json::to_string(key).ok()) {
        text.push_str(&format!("Key: {json}\n"));
    }
    text
}

fn listed(edits: &[Edit], applied: &Applied) -> Vec<Change> {
    let of = |(index, edit): (usize, &Edit)| {
        let after = match edit {
            Edit::Put(entry) => Some(entry),
            Edit::Delete(..) => None,
        };
        changes(applied.before(index), after)
    };
    edits.iter().enumerate().flat_map(of).collect()
}

/// Problems with the names of entries in place of their positions.
fn named(error: inventory::Error, document: &Document) -> inventory::Error {
    match error {
        inventory::Error::Invalid(problems) => {
            inventory::Error::Invalid(problems.map(|text| document.named(text).into_owned()))
        }
        error => error,
    }
}

fn digest(book: &Book) -> [u8; 32] {
    let mut digest = Sha256::new();
    book.pieces(|piece| digest.update(piece.as_bytes()));
    digest.finalize().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `error` with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
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
