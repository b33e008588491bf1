//! The history: versions of the inventory, what changed between two of them, and what is brought back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use inventory::edit::{Change, Edit, Kind, changes, diff};
use inventory::{Document, Inventory};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::git::Logged;
use super::{Prepared, Store, StoreError, StoreGuard};

/// Commits that a question about history reads at most.
const MOST_READ: usize = 2_000;

/// Whether an answer is still waited for; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted(Arc<AtomicBool>);

/// Ends it when it is dropped, as with the request that waits.
#[derive(Debug)]
pub(crate) struct Gone(Arc<AtomicBool>);

impl Wanted {
    pub(crate) fn until_dropped(&self) -> Gone {
        Gone(Arc::clone(&self.0))
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.0.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(StoreError::Gone),
        }
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One version.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Version {
    /// Its commit.
    pub(crate) version: String,
    /// When it was made, RFC 3339.
    pub(crate) time: String,
    /// Who made it.
    pub(crate) author: String,
    /// What it does.
    pub(crate) message: String,
    /// Entries that changed; `*` where they are too many to be named.
    pub(crate) entries: Vec<String>,
}

impl From<Logged> for Version {
    fn from(logged: Logged) -> Self {
        let lines = || logged.message.lines();
        let time = Timestamp::from_second(logged.seconds).unwrap_or_default();
        Self {
            time: time.to_string(),
            author: logged.author.clone(),
            message: lines().next().unwrap_or_default().to_owned(),
            entries: lines()
                .filter_map(|line| line.strip_prefix("Entry: "))
                .map(str::to_owned)
                .collect(),
            version: logged.id,
        }
    }
}

impl Store {
    /// Versions, newest first, below `before` when it is given; only those that changed `entry` when it is given.
    pub(crate) fn history(
        self: &Arc<Self>,
        entry: Option<(Kind, &str)>,
        before: Option<&str>,
        most: usize,
        wanted: &Wanted,
    ) -> Result<Vec<Version>, StoreError> {
        wanted.check()?;
        self.flush()?;
        let Some(head) = self.git.head()? else {
            return Ok(Vec::new());
        };
        let from = match before {
            Some(before) => self.version(before)?,
            None => head,
        };
        let skip = usize::from(before.is_some());
        let Some((kind, name)) = entry else {
            let log = self.git.log(&from, most + skip)?;
            return Ok(log.into_iter().skip(skip).map(Version::from).collect());
        };
        let changed = format!("{}/{name}", kind.list());
        let mut found = Vec::new();
        for logged in self.git.log(&from, MOST_READ)?.into_iter().skip(skip) {
            wanted.check()?;
            let parent = logged.parents.first().cloned().unwrap_or_default();
            let version = Version::from(logged);
            let named = version.entries.contains(&changed);
            // Commits that other programs made, and large ones, are read.
            let unclear =
                version.entries.is_empty() || version.entries.iter().any(|entry| entry == "*");
            if named || (unclear && self.differs(&parent, &version.version, kind, name)?) {
                found.push(version);
                if found.len() == most {
                    break;
                }
            }
        }
        Ok(found)
    }

    fn differs(
        &self,
        parent: &str,
        commit: &str,
        kind: Kind,
        name: &str,
    ) -> Result<bool, StoreError> {
        let of = |commit: &str| -> Result<_, StoreError> {
            if commit.is_empty() {
                return Ok(None);
            }
            let document = self.document_at(commit).unwrap_or_default();
            Ok(document.entry(kind, name))
        };
        Ok(of(parent)? != of(commit)?)
    }

    /// The whole id of the version that `name` begins.
    pub(crate) fn version(self: &Arc<Self>, name: &str) -> Result<String, StoreError> {
        self.flush()?;
        self.committed(name)
    }

    /// As [`Store::version`], among what is in git already: for those who hold the store.
    pub(crate) fn committed(&self, name: &str) -> Result<String, StoreError> {
        let none = || StoreError::NoVersion(name.to_owned());
        let hexadecimal = name.chars().all(|c| c.is_ascii_hexdigit());
        if !(7..=64).contains(&name.len()) || !hexadecimal {
            return Err(none());
        }
        let id = self.git.resolve(name)?.ok_or_else(none)?;
        let head = self.git.head()?.ok_or_else(none)?;
        if self.git.holds(&id, &head) {
            Ok(id)
        } else {
            Err(none())
        }
    }

    /// One version as the history tells it.
    pub(crate) fn told(&self, id: &str) -> Result<Version, StoreError> {
        let none = || StoreError::NoVersion(id.to_owned());
        let log = self.git.log(id, 1)?;
        log.into_iter().next().map(Version::from).ok_or_else(none)
    }

    /// The text of a version.
    pub(crate) fn text_at(&self, id: &str) -> Result<String, StoreError> {
        Ok(self.git.file_at(id)?.unwrap_or_default())
    }

    /// The document of a version.
    pub(crate) fn document_at(&self, id: &str) -> Result<Document, StoreError> {
        let text = self.text_at(id)?;
        let origin = format!("version {id}");
        Ok(Inventory::parse_both(&text, origin.as_ref())?.0)
    }

    /// What changed from one version to another.
    pub(crate) fn compare(&self, from: &str, to: &str) -> Result<Vec<Change>, StoreError> {
        let (before, after) = (self.document_at(from)?, self.document_at(to)?);
        let list = diff(&before, &after);
        let side = |edit: &Edit, document: &Document| document.entry(edit.kind(), edit.name());
        Ok(list
            .iter()
            .flat_map(|edit| changes(side(edit, &before).as_ref(), side(edit, &after).as_ref()))
            .collect())
    }
}

impl StoreGuard {
    /// Brings back a whole version, or one entry of it.
    pub(crate) fn prepare_restore(
        &mut self,
        id: &str,
        entry: Option<(Kind, &str)>,
    ) -> Result<Prepared, StoreError> {
        let store = Arc::clone(self.store());
        let Some((kind, name)) = entry else {
            return self.prepare_text(&store.text_at(id)?);
        };
        let edit = match store.document_at(id)?.entry(kind, name) {
            Some(entry) => Edit::Put(entry),
            None => Edit::Delete(kind, name.to_owned()),
        };
        self.prepare(vec![edit])
    }
}
