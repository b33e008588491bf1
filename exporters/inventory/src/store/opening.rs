//! A start: the file, the repository and the journal are brought in line.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use inventory::edit::Book;
use inventory::{Feed, Inventory, Source};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, Notify, watch};
use toolkit::chain;

use super::disk::Disk;
use super::git::Git;
use super::journal::{Journal, Record, Step, Steps};
use super::keys::{self, Keys};
use super::{Options, Stamp, Standing, State, Store, StoreError, disk_error, hex};

/// How long a start waits for another process to let go of the repository.
const LOCK_TRIES: usize = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

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
        // One that ends now may have started a git that holds it for a moment.
        let mut tries = (0..LOCK_TRIES).map(|_| {
            let locked = lock.try_lock();
            if locked.is_err() {
                std::thread::sleep(LOCK_PAUSE);
            }
            locked.is_ok()
        });
        if !tries.any(|locked| locked) {
            return Err(StoreError::Taken);
        }
        let (journal, records) =
            Journal::open(Arc::clone(&disk), &private).map_err(disk_error("the journal"))?;
        let head = git.head()?;
        let watched = git.watched()?;
        let opening = Opening::new(&git, head, journal, &options)?;
        let (mut state, known) = opening.replay(&git, records)?;
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
        let standing = Standing {
            pending: state.pending.len(),
            ..Standing::default()
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
            standing: std::sync::Mutex::new(standing),
            watched,
            _lock: lock,
            options,
        });
        let mut held = store.try_hold();
        if behind {
            match store.write_file(&text) {
                Ok(stamp) => held.state.stamp = stamp,
                Err(error) => {
                    // Reading needs no file: it is written with the next commit.
                    tracing::error!(%error, "inventory file not written; the changes are kept in the journal");
                    held.state.behind = true;
                    held.state.stamp = Stamp::of(&store.options.file);
                }
            }
        } else {
            match held.begin(begins) {
                // Told already: it is taken over as soon as it can be.
                Err(StoreError::Disk { .. }) if !begins => {}
                Err(StoreError::BadFile(_)) if held.state.guard.is_holding() => {}
                begun => begun?,
            }
        }
        let number = held.state.number - held.state.pending.len() as u64;
        store.committed.send_replace(number);
        drop(held);
        store.kick.notify_one();
        Ok(store)
    }
}

/// What stands in the repository, before the journal is played on it.
struct Opening {
    state: State,
    known: Vec<String>,
    /// Time and message of the newest commits, by which it shows whether that of a record is made.
    made: HashSet<(i64, String)>,
}

impl Opening {
    fn new(
        git: &Git,
        head: Option<String>,
        journal: Journal,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let file = &options.file;
        let (mut text, mut keys, mut number) = (String::new(), Keys::default(), 0);
        let mut made = HashSet::new();
        if let Some(head) = &head {
            text = git.file_at(head)?.unwrap_or_default();
            let mut log = git.log(head, keys::MOST)?;
            log.reverse();
            for commit in log {
                for line in commit.message.lines() {
                    if let Some(text) = line.strip_prefix("Change: ") {
                        number = number.max(text.parse().unwrap_or(0));
                    }
                    let key = line.strip_prefix("Key: ");
                    if let Some(key) = key.and_then(|json| serde_json::from_str(json).ok()) {
                        keys.add(key, commit.seconds);
                    }
                }
                made.insert((commit.seconds, commit.message));
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
            guard: options.guard.clone(),
            behind: false,
            journal,
            pending: VecDeque::new(),
            number,
            published: None,
            head,
            keys,
            tried: None,
        };
        Ok(Self {
            state,
            known: vec![sum],
            made,
        })
    }

    /// Plays what is not committed yet; answers the state and the checksums that the file may have if we were cut off.
    fn replay(
        mut self,
        git: &Git,
        records: Vec<Record>,
    ) -> Result<(State, Vec<String>), StoreError> {
        let state = &mut self.state;
        // The file may be as any of them left it.
        self.known
            .extend(records.iter().map(|record| record.text.clone()));
        let head = state.head.clone();
        let made = |record: &Record| match (&record.merge, &head) {
            (Some(theirs), Some(head)) => git.holds(theirs, head),
            _ => {
                let message = record.message.trim_end().to_owned();
                self.made.contains(&(record.seconds, message))
            }
        };
        let left: Vec<_> = records.into_iter().filter(|record| !made(record)).collect();
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
            state.number = state.number.max(record.number);
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
