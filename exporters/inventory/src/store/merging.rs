//! Where our commits meet those of others: on the branch, which people and programs move too, and on a remote.
//!
//! What others changed is brought in entry by entry. Where that cannot be done nothing is changed, and the two sides
//! are shown until somebody says what is to be of each entry; then a commit joins both histories.

use std::sync::Arc;
use std::time::SystemTime;

use access::edit::Action;
use inventory::edit::{Conflict, Edit, Entry, Kind, diff, merge};
use inventory::{Document, Inventory};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use toolkit::chain;

use super::git::GitError;
use super::{Prepared, Signed, Signs, Stamp, Store, StoreError, StoreGuard, git, hex};
use crate::config::{Remote, verbs};

/// Whose commits ours meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    /// Whoever commits to the branch in our repository.
    Branch,
    /// The branch of the remote.
    Remote,
}

impl Side {
    pub(crate) const ALL: [Self; 2] = [Self::Branch, Self::Remote];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Remote => "remote",
        }
    }
}

/// Commits of others that are not brought in before somebody says how.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    pub(crate) side: Side,
    /// Their last commit.
    pub(crate) theirs: String,
    /// Entries that both changed; none where something else stands in the way.
    pub(crate) entries: usize,
    pub(crate) why: String,
}

/// How the store stands with git.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Changes that wait for their commits.
    pub(crate) pending: usize,
    /// Why the last attempt to commit failed.
    pub(crate) commit_error: Option<String>,
    pub(crate) commit_failures: u64,
    /// One for each side at most.
    pub(crate) splits: Vec<Split>,
    /// When remote and we were last found to have the same commits.
    pub(crate) remote_success: Option<SystemTime>,
    /// Why the last talk with the remote failed; `None` before the first.
    pub(crate) remote_error: Option<String>,
    /// The commit that both had then.
    pub(crate) remote_version: Option<String>,
}

impl Standing {
    /// Notes that a commit of others is brought in.
    pub(super) fn joined(&mut self, theirs: &str) {
        self.splits.retain(|split| split.theirs != theirs);
    }

    fn together(&mut self, side: Side) {
        self.splits.retain(|split| split.side != side);
    }

    /// Notes how a talk with the remote ended: with the commit that both have, when both have the same.
    pub(crate) fn talked(&mut self, result: Result<Option<&str>, &StoreError>) {
        match result {
            Ok(version) => {
                self.remote_error = None;
                if let Some(version) = version {
                    self.remote_success = Some(SystemTime::now());
                    self.remote_version = Some(version.to_owned());
                }
            }
            Err(error) => self.remote_error = Some(chain(error)),
        }
    }
}

/// Two sides and what they had in common.
struct Sides {
    base: String,
    theirs: String,
}

/// Two sides, entry by entry.
pub(crate) struct Meeting {
    pub(crate) split: Split,
    pub(crate) conflicts: Vec<Conflict>,
    /// Names what is shown here: it changes with either side.
    pub(crate) tag: String,
}

/// What is to be of an entry that others changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    Ours,
    Theirs,
    /// Something new, or nothing.
    This(Option<Box<Entry>>),
}

/// What is to be of every entry that others changed.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    /// Of those that are not named.
    pub(crate) all: Option<Choice>,
    pub(crate) of: Vec<((Kind, String), Choice)>,
}

impl Choices {
    fn get(&self, kind: Kind, name: &str) -> Option<&Choice> {
        let named = self.of.iter().find(|((k, n), _)| *k == kind && n == name);
        named.map(|(_, choice)| choice)
    }
}

impl StoreGuard {
    /// Prepares to bring in a commit of others; `None` when we have it. What stands in the way is noted, for people
    /// to see and to resolve.
    pub(crate) fn bring_in(
        &mut self,
        side: Side,
        theirs: &str,
    ) -> Result<Option<Prepared>, StoreError> {
        let prepared = self.prepare_pull(theirs);
        let store = Arc::clone(&self.store);
        let mut standing = store.standing();
        standing.together(side);
        let entries = match &prepared {
            Err(StoreError::Conflict(conflicts)) => Some(conflicts.len()),
            Err(
                StoreError::Inventory(_)
                | StoreError::NoFile(_)
                | StoreError::Git(GitError::Files(_)),
            ) => Some(0),
            _ => None,
        };
        if let (Some(entries), Err(error)) = (entries, &prepared) {
            standing.splits.push(Split {
                side,
                theirs: theirs.to_owned(),
                entries,
                why: chain(error),
            });
        }
        prepared
    }

    fn sides(&self, theirs: &str) -> Result<Option<Sides>, StoreError> {
        let git = &self.store.git;
        let head = self.state.head.as_deref().unwrap_or_default();
        if git.holds(theirs, head) {
            return Ok(None);
        }
        let base = match git.base(head, theirs)? {
            Some(base) => git.file_at(&base)?,
            None => None,
        };
        let theirs = match (git.file_at(theirs)?, &base) {
            (Some(text), _) => text,
            (None, None) => String::new(),
            (None, Some(_)) => return Err(StoreError::NoFile(theirs.to_owned())),
        };
        let base = base.unwrap_or_default();
        Ok(Some(Sides { base, theirs }))
    }

    fn prepare_pull(&mut self, theirs: &str) -> Result<Option<Prepared>, StoreError> {
        let Some(sides) = self.sides(theirs)? else {
            return Ok(None);
        };
        let head = self.state.head.clone().unwrap_or_default();
        if self.state.pending.is_empty() && self.store.git.holds(&head, theirs) {
            let prepared = self.prepare_text(&sides.theirs)?;
            return Ok(Some(prepared.merging(theirs, true)));
        }
        self.store.git.merge_files(&head, theirs)?;
        let prepared = self.prepare_merge(&sides)?;
        Ok(Some(prepared.merging(theirs, false)))
    }

    /// What they changed, brought into ours; comments of both sides stay where the lines allow it.
    fn prepare_merge(&mut self, sides: &Sides) -> Result<Prepared, StoreError> {
        let (base, theirs) = self.documents(sides)?;
        let (edits, conflicts) = merge(&base, &self.document(), &theirs);
        if !conflicts.is_empty() {
            return Err(StoreError::Conflict(conflicts));
        }
        let ours = self.text();
        let prepared = self.prepare(edits)?;
        let lines = self
            .store
            .git
            .merge_text(&self.store.private, [&ours, &sides.base, &sides.theirs])?;
        if let Some(text) = lines
            && let Ok(merged) = self.prepare_text(&text)
            && merged.inventory.version() == prepared.inventory.version()
        {
            return Ok(merged);
        }
        Ok(prepared)
    }

    fn documents(&self, sides: &Sides) -> Result<(Document, Document), StoreError> {
        let parse = |text: &str, origin: &str| -> Result<Document, StoreError> {
            Ok(Inventory::parse_both(text, origin.as_ref())?.0)
        };
        // What both come from is ours, and was good unless it was never checked here.
        let base = parse(&sides.base, "base").unwrap_or_default();
        Ok((base, parse(&sides.theirs, "theirs")?))
    }

    /// The two sides of what is not brought in, as they are now; `None` when there is nothing of it any more.
    pub(crate) fn meeting(&mut self, side: Side) -> Result<Option<Meeting>, StoreError> {
        let known = self
            .store
            .standing()
            .splits
            .iter()
            .find(|split| split.side == side)
            .cloned();
        let Some(known) = known else {
            return Ok(None);
        };
        let conflicts = match self.bring_in(side, &known.theirs) {
            Err(StoreError::Conflict(conflicts)) => conflicts,
            Err(
                StoreError::Inventory(_)
                | StoreError::NoFile(_)
                | StoreError::Git(GitError::Files(_)),
            ) => Vec::new(),
            Err(error) => return Err(error),
            // It can be brought in now: the next look does.
            Ok(_) => return Ok(None),
        };
        let standing = self.store.standing();
        let split = standing
            .splits
            .iter()
            .find(|split| split.side == side)
            .cloned();
        drop(standing);
        let Some(split) = split else {
            return Ok(None);
        };
        let mut digest = Sha256::new();
        digest.update(&split.theirs);
        digest.update(&split.why);
        for conflict in &conflicts {
            let ours = conflict.ours.as_ref().map(Entry::to_json);
            digest.update(format!("\0{:?}/{}\0{ours:?}", conflict.kind, conflict.name));
        }
        let tag = hex(&digest.finalize()[..8]);
        Ok(Some(Meeting {
            split,
            conflicts,
            tag,
        }))
    }

    /// Brings in what they changed as `choices` say. What is in conflict must have a choice, everything else may.
    pub(crate) fn prepare_resolve(
        &mut self,
        theirs: &str,
        choices: &Choices,
    ) -> Result<Option<Prepared>, StoreError> {
        if choices.all == Some(Choice::Ours) && choices.of.is_empty() {
            // Whatever theirs is, it need not be readable.
            let head = self.state.head.clone().unwrap_or_default();
            if self.store.git.holds(theirs, &head) {
                return Ok(None);
            }
            self.store.git.merge_files(&head, theirs)?;
            let prepared = self.prepare(Vec::new())?;
            return Ok(Some(prepared.merging(theirs, false)));
        }
        let Some(sides) = self.sides(theirs)? else {
            return Ok(None);
        };
        let head = self.state.head.clone().unwrap_or_default();
        self.store.git.merge_files(&head, theirs)?;
        let (base, their) = self.documents(&sides)?;
        let edits = self.chosen(&base, &their, choices)?;
        let prepared = self.prepare(edits)?;
        Ok(Some(prepared.merging(theirs, false)))
    }

    fn chosen(
        &self,
        base: &Document,
        theirs: &Document,
        choices: &Choices,
    ) -> Result<Vec<Edit>, StoreError> {
        let (clean, conflicts) = merge(base, &self.document(), theirs);
        let mut edits = Vec::new();
        let mut left = Vec::new();
        let put = |kind: Kind, name: &str, entry: Option<Entry>| match entry {
            Some(entry) => Edit::Put(entry),
            None => Edit::Delete(kind, name.to_owned()),
        };
        for edit in clean {
            match choices.get(edit.kind(), edit.name()) {
                None | Some(Choice::Theirs) => edits.push(edit),
                Some(Choice::Ours) => {}
                Some(Choice::This(entry)) => {
                    let entry = entry.as_deref().cloned();
                    edits.push(put(edit.kind(), edit.name(), entry));
                }
            }
        }
        for conflict in conflicts {
            let (kind, name) = (conflict.kind, conflict.name.clone());
            match choices.get(kind, &name).or(choices.all.as_ref()) {
                None => left.push(conflict),
                Some(Choice::Ours) => {}
                Some(Choice::Theirs) => edits.push(put(kind, &name, conflict.theirs)),
                Some(Choice::This(entry)) => {
                    edits.push(put(kind, &name, entry.as_deref().cloned()));
                }
            }
        }
        if !left.is_empty() {
            return Err(StoreError::Conflict(left));
        }
        let changed = diff(base, theirs);
        for ((kind, name), choice) in &choices.of {
            if changed
                .iter()
                .any(|edit| edit.kind() == *kind && edit.name() == name)
            {
                continue;
            }
            match choice {
                // What they left alone may have to make room for what they did.
                Choice::This(entry) => edits.push(put(*kind, name, entry.as_deref().cloned())),
                _ => {
                    return Err(StoreError::Choice {
                        entry: format!("{}/{name}", kind.list()),
                        why: "they did not change it; expected an entry of the conflict".to_owned(),
                    });
                }
            }
        }
        Ok(edits)
    }
}

impl Store {
    fn signs(&self) -> Signs {
        self.watched.each_ref().map(|path| Stamp::of(path))
    }

    /// Brings branch and our commits together; answers whether that is all, as far as it goes.
    pub(super) fn publish(self: &Arc<Self>) -> Result<bool, StoreError> {
        let (head, known, number, tried) = {
            let state = self.state.blocking_lock();
            let known = state.published.clone();
            (state.head.clone(), known, state.number, state.tried)
        };
        let Some(head) = head else {
            return Ok(true);
        };
        let signs = self.signs();
        if tried == Some((signs, number)) {
            return Ok(true);
        }
        let moved = known.as_ref() != Some(&head);
        // The usual case: nobody but us has moved it.
        if !(moved && known.is_some() && self.git.publish(&head, known.as_deref()).is_ok()) {
            let now = self.git.branch_head()?;
            if let Some(theirs) = now.as_ref().filter(|now| **now != head)
                && !self.git.holds(theirs, &head)
            {
                return self.take_over(theirs, signs);
            }
            if now.as_ref() != Some(&head) {
                self.git.publish(&head, now.as_deref())?;
            }
        }
        if moved && let Err(error) = self.git.tidy() {
            tracing::debug!(
                error = chain(&error),
                "index of the repository not brought in line"
            );
        }
        let signs = self.signs();
        let mut state = self.state.blocking_lock();
        state.published = Some(head);
        state.tried = Some((signs, number));
        drop(state);
        self.standing().together(Side::Branch);
        Ok(true)
    }

    /// Brings in commits that others made on the branch; answers whether nothing is left to be committed.
    fn take_over(self: &Arc<Self>, theirs: &str, signs: Signs) -> Result<bool, StoreError> {
        let mut held = self.hold_now();
        if held.settle().is_err() {
            // The file is shown as bad; until it is good nothing is written over it.
            return Ok(true);
        }
        let number = held.state.number;
        match held.bring_in(Side::Branch, theirs) {
            Ok(Some(prepared)) => {
                let short = theirs.get(..12).unwrap_or(theirs);
                let signed = Signed {
                    author: git::author("sotp-inventory", "sotp-inventory@localhost"),
                    message: format!("Merge {short} of the branch"),
                    key: None,
                };
                let action = Action::new(&verbs::TAKE_OVER, "branch", short);
                let pending = self.begin_record(&action, theirs)?;
                let result = held.commit(prepared, &signed);
                Self::end_record(pending, theirs, &result);
                result?;
                held.state.published = Some(theirs.to_owned());
                tracing::info!(
                    commit = theirs,
                    "commits of others on the branch taken over"
                );
                Ok(false)
            }
            // A hand edit may have come first, whose commit is still to be made.
            Ok(None) => Ok(held.state.pending.is_empty()),
            Err(error) => {
                held.state.tried = Some((signs, number));
                drop(held);
                if self
                    .standing()
                    .splits
                    .iter()
                    .any(|split| split.side == Side::Branch)
                {
                    let short = theirs.get(..12).unwrap_or(theirs);
                    let action = Action::new(&verbs::TAKE_OVER, "branch", short);
                    self.refuse_record(&action, &chain(&error));
                    tracing::warn!(
                        commit = theirs,
                        error = chain(&error),
                        "commits of others on the branch wait for /api/v1/resolve; ours go on beside them"
                    );
                    return Ok(true);
                }
                Err(error)
            }
        }
    }

    /// The last commit of the remote's branch, where we do not have it.
    pub(crate) fn fetch(self: &Arc<Self>, remote: &Remote) -> Result<Option<String>, StoreError> {
        self.flush()?;
        let Some(theirs) = self.git.fetch(&remote.url, &remote.branch)? else {
            return Ok(None);
        };
        let head = self.git.head()?.unwrap_or_default();
        if self.git.holds(&theirs, &head) {
            self.standing().together(Side::Remote);
            return Ok(None);
        }
        Ok(Some(theirs))
    }

    /// Pushes everything to the remote's branch, which must only move forward; answers the commit.
    pub(crate) fn push(self: &Arc<Self>, remote: &Remote) -> Result<String, StoreError> {
        let result = self.push_now(remote);
        let told = result.as_ref().map(|version| Some(version.as_str()));
        self.standing().talked(told);
        result
    }

    fn push_now(self: &Arc<Self>, remote: &Remote) -> Result<String, StoreError> {
        self.flush()?;
        let head = self.git.head()?.unwrap_or_default();
        self.git.push(&remote.url, &remote.branch, &head)?;
        Ok(head)
    }
}

/// How an entry stands in a conflict: what both sides began with, and what each made of it; null where there is none.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Shown {
    /// Its list and name: `devices/r1`.
    entry: String,
    base: Value,
    ours: Value,
    theirs: Value,
}

/// How an entry stands in a conflict.
pub(crate) fn shown(conflict: &Conflict) -> Shown {
    let side = |entry: &Option<Entry>| {
        let entry = entry.as_ref();
        entry
            .and_then(|entry| serde_json::from_str(&entry.to_json()).ok())
            .unwrap_or(Value::Null)
    };
    Shown {
        entry: format!("{}/{}", conflict.kind.list(), conflict.name),
        base: side(&conflict.base),
        ours: side(&conflict.ours),
        theirs: side(&conflict.theirs),
    }
}
