//! The store, held for one change: what is asked for is worked out, checked, and made.

use std::io;
use std::path::Path;
use std::sync::{Arc, RwLockReadGuard};
use std::time::Duration;

use access::edit::Action;
use inventory::edit::{Applied, Book, Change, Edit, Positions, Rewritten, changes, diff};
use inventory::{Document, Inventory};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;
use toolkit::chain;

use super::journal::{Key, Record, Step, Steps};
use crate::config::verbs;

use super::{Stamp, State, Store, StoreError, disk_error, git, hex};

/// Entries that a commit message names one by one.
const NAMED: usize = 100;
/// How long a file that was written just now must stay as it is before it counts.
const STILL: Duration = Duration::from_millis(50);
/// Times that this is waited for; then what stands there counts.
const STILL_LOOKS: usize = 20;
/// Longest answer that is kept for a repeated request, in bytes.
const KEPT_BODY: usize = 8 * 1024;

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
    /// Whether the commit that is merged needs none of ours to join it: it holds everything that we have.
    forward: bool,
}

impl Prepared {
    /// Whether there is nothing to be done: nobody reads anything new, and no history is joined.
    pub(crate) fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.merge.is_none()
    }

    /// Makes it a merge with another commit; `forward` when that follows all of ours.
    pub(super) fn merging(mut self, commit: &str, forward: bool) -> Self {
        self.merge = Some(commit.to_owned());
        self.forward = forward;
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
pub(crate) struct StoreGuard {
    pub(super) store: Arc<Store>,
    pub(super) state: OwnedMutexGuard<State>,
}

impl StoreGuard {
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

    /// The first look at the file: all of it becomes the first commit where there is none.
    pub(super) fn begin(&mut self, begins: bool) -> Result<(), StoreError> {
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

    /// [`StoreGuard::settle`] for a look that changes nothing else.
    pub(super) fn settled(mut self) -> Result<(), StoreError> {
        self.settle()
    }

    /// [`StoreGuard::settle`], by somebody who wants what was held back.
    pub(crate) fn confirm(&mut self) -> Result<(), StoreError> {
        self.state.stamp = None;
        self.look(true)
    }

    /// Takes over what a person wrote into the file since the last look.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        self.look(false)
    }

    fn look(&mut self, confirmed: bool) -> Result<(), StoreError> {
        let path = self.store.options.file.clone();
        let stamp = Stamp::of(&path);
        if stamp.is_some() && stamp == self.state.stamp && !self.state.guard.is_due() {
            return match &self.state.bad {
                Some(why) => Err(StoreError::BadFile(why.clone())),
                None => Ok(()),
            };
        }
        let result = self.take_over(&path, confirmed);
        match &result {
            Ok(()) => {
                self.state.bad = None;
                self.store.feed.publish(None);
                // A stamp that is too fresh does not tell the next write apart.
                let now = Timestamp::now().as_second();
                self.state.stamp = stamp.filter(|stamp| now - stamp.0[4] > 2);
            }
            Err(StoreError::Disk { .. }) => {
                // Nothing is wrong with the file: it is looked at again until it can be taken over.
                self.state.stamp = None;
                if let Err(error) = &result {
                    let why = chain(error);
                    if self.state.bad.as_ref() != Some(&why) {
                        tracing::error!(
                            error = why,
                            "what stands in the file is not taken over: it cannot be recorded or kept"
                        );
                        self.state.bad = Some(why);
                    }
                }
            }
            Err(error) => {
                let why = chain(error);
                let news = self.state.bad.as_ref() != Some(&why);
                if news && matches!(error, StoreError::Inventory(_)) {
                    self.store.refuse_record(&by_hand(), &why);
                }
                if news && let StoreError::Inventory(error) = error {
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

    fn take_over(&mut self, path: &Path, confirmed: bool) -> Result<(), StoreError> {
        if !path.exists() {
            return Err(StoreError::Inventory(inventory::Error::Read {
                path: path.display().to_string(),
                source: io::Error::from(io::ErrorKind::NotFound),
            }));
        }
        let mut text = self.read()?;
        if hex(&Sha256::digest(text.as_bytes())) == self.state.text {
            self.state.guard.forget();
            return Ok(());
        }
        // Who writes a file empties it first, and is not done: the next look sees what it became.
        let now = Timestamp::now().as_second();
        let fresh = Stamp::of(path).is_none_or(|stamp| now - stamp.0[4] <= 2);
        if text.is_empty() && fresh && !confirmed {
            return Ok(());
        }
        // Nor is one done who has written a part of it: what stands there counts when it stays.
        for _ in 0..STILL_LOOKS {
            if !fresh {
                break;
            }
            std::thread::sleep(STILL);
            let before = std::mem::replace(&mut text, self.read()?);
            if before == text {
                break;
            }
        }
        let prepared = self.prepare_text(&text)?;
        let state = &mut *self.state;
        let (before, after) = (&state.inventory, &prepared.inventory);
        let origin = path.display().to_string();
        state.guard.admit(&origin, before, after, confirmed)?;
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
        let version = prepared.inventory.version().to_owned();
        let pending = self.store.begin_record(&by_hand(), &text)?;
        let result = self.commit_steps(prepared, &signed);
        Store::end_record(pending, &version, &result);
        result
    }

    /// Checks `edits` and works out what they change; nothing is changed yet.
    pub(crate) fn prepare(&mut self, edits: Vec<Edit>) -> Result<Prepared, StoreError> {
        let state = &*self.state;
        let mut document = state.document_mut();
        prepare(&state.book, &mut document, &state.inventory, edits)
    }

    /// The state as it is now, to work something out beside the store.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            number: self.state.number,
            book: self.state.book.clone(),
            document: self.document().clone(),
            inventory: Arc::clone(&self.state.inventory),
        }
    }

    /// The number of the last change: a [`Snapshot`] with the same is still of this state.
    pub(crate) fn number(&self) -> u64 {
        self.state.number
    }

    /// As [`StoreGuard::prepare`], for a whole text.
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
            forward: false,
            edits,
        })
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

    /// [`StoreGuard::commit`] but for the file, which holds the text already.
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
            // A key is kept in the message of a commit, so that then there must be one.
            forward: prepared.forward && key.is_none(),
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
                None => document.apply_all(&prepared.edits),
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
        if let Some(theirs) = &record.merge {
            self.store.standing().joined(theirs);
        }
        state
            .pending
            .push_back((Arc::new(record), state.book.clone()));
        state.inventory = prepared.inventory;
        self.store.standing().pending = state.pending.len();
        self.store.kick.notify_one();
        Ok(())
    }
}

/// What a person writes into the file.
fn by_hand() -> Action {
    Action::new(&verbs::BY_HAND, "inventory", "file")
}

/// A state of the store, for what takes long to be worked out: nobody waits for it meanwhile.
pub(crate) struct Snapshot {
    pub(crate) number: u64,
    book: Book,
    pub(crate) document: Document,
    pub(crate) inventory: Arc<Inventory>,
}

impl Snapshot {
    /// As [`StoreGuard::prepare`], for a store that is still in this state when it is made.
    pub(crate) fn prepare(&mut self, edits: Vec<Edit>) -> Result<Prepared, StoreError> {
        prepare(&self.book, &mut self.document, &self.inventory, edits)
    }
}

/// What `edits` change of this state, checked; the document is as it was afterwards.
fn prepare(
    book: &Book,
    document: &mut Document,
    inventory: &Inventory,
    edits: Vec<Edit>,
) -> Result<Prepared, StoreError> {
    let mut book = book.clone();
    let applied = book.apply(document, &edits);
    let checked = inventory.amend(document, &edits, Path::new("change"));
    let changes = listed(&edits, &applied);
    let checked = checked.map_err(|error| named(error, document));
    let anew = applied.anew;
    applied.revert(document, &edits);
    let text = hex(&digest(&book));
    let positions = Positions::of(document, &edits);
    Ok(Prepared {
        changes,
        anew,
        inventory: Arc::new(checked?),
        book,
        text,
        steps: Steps::Edits(edits.iter().map(Step::from).collect()),
        merge: None,
        forward: false,
        edits: edits
            .into_iter()
            .filter(|edit| {
                let at = positions.find(document, edit.kind(), edit.name());
                match edit {
                    Edit::Put(entry) => {
                        let now = at.and_then(|at| document.entry_at(edit.kind(), at));
                        now.as_ref() != Some(entry)
                    }
                    Edit::Delete(..) => at.is_some(),
                }
            })
            .collect(),
    })
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
