//! Changing an inventory: one entry at a time, in the document and in the text that it was read from.
//!
//! An [`Edit`] puts or deletes one [`Entry`]. [`Document::apply`] does that to the values, [`Book`] to the
//! text as well, so that comments and order of everything else stay. [`diff`] and [`merge`] compare documents.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::document::{CredentialEntry, DeviceEntry, Document, GroupEntry, SiteEntry};
use crate::node;
use crate::problem::{Error, Problems};

mod book;
mod change;
mod positions;
mod yaml;

pub use book::{Applied, Book, Rewritten};
pub use change::{Change, Op, changes};
pub use positions::Positions;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A place.
    Site,
    /// A named set of defaults.
    Group,
    /// A device.
    Device,
    /// The name of a credential.
    Credential,
}

impl Kind {
    /// Every kind, in the order of the file.
    pub const ALL: [Self; 4] = [Self::Site, Self::Group, Self::Device, Self::Credential];

    /// The key of its list in the file: `devices`.
    #[must_use]
    pub fn list(self) -> &'static str {
        match self {
            Self::Site => "sites",
            Self::Group => "groups",
            Self::Device => "devices",
            Self::Credential => "credentials",
        }
    }

    /// The word for one of them: `device`.
    #[must_use]
    pub fn one(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Group => "group",
            Self::Device => "device",
            Self::Credential => "credential",
        }
    }

    /// The kind whose list is called `list`.
    #[must_use]
    pub fn of_list(list: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.list() == list)
    }
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A place.
    Site(SiteEntry),
    /// A named set of defaults.
    Group(Box<GroupEntry>),
    /// A device.
    Device(Box<DeviceEntry>),
    /// The name of a credential.
    Credential(CredentialEntry),
}

impl Entry {
    /// The entry in `text` (JSON or YAML). Problems carry paths from the entry: `ping.interval`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is wrong with keys and types. What values may be is checked with the whole inventory.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, Error> {
        let mut problems = Problems::new(kind.one());
        let root = match node::parse(text) {
            Ok(root) => root,
            Err(problem) => {
                problems.push(problem);
                return Err(Error::Invalid(problems));
            }
        };
        let entry = Self::decode(kind, &root, text, &mut problems);
        entry.ok_or(Error::Invalid(problems))
    }

    fn decode(kind: Kind, node: &node::Node, text: &str, problems: &mut Problems) -> Option<Self> {
        use node::decode;
        match kind {
            Kind::Site => decode(node, text, "", problems).map(Self::Site),
            Kind::Group => decode(node, text, "", problems).map(Self::Group),
            Kind::Device => decode(node, text, "", problems).map(Self::Device),
            Kind::Credential => decode(node, text, "", problems).map(Self::Credential),
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Site(_) => Kind::Site,
            Self::Group(_) => Kind::Group,
            Self::Device(_) => Kind::Device,
            Self::Credential(_) => Kind::Credential,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Site(entry) => &entry.name,
            Self::Group(entry) => &entry.name,
            Self::Device(entry) => &entry.name,
            Self::Credential(entry) => &entry.name,
        }
    }

    /// The entry as JSON, in one form only: equal entries give equal text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = match self {
            Self::Site(entry) => serde_json::to_string(entry),
            Self::Group(entry) => serde_json::to_string(entry),
            Self::Device(entry) => serde_json::to_string(entry),
            Self::Credential(entry) => serde_json::to_string(entry),
        };
        json.expect("an entry holds no map with other keys than strings")
    }
}

/// One step of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// The entry stands in its list afterwards: in the place of the one of its name, or at the end.
    Put(Entry),
    /// No entry of this name stands in the list afterwards.
    Delete(Kind, String),
}

impl Edit {
    /// The list that changes.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Put(entry) => entry.kind(),
            Self::Delete(kind, _) => *kind,
        }
    }

    /// The entry that changes.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Put(entry) => entry.name(),
            Self::Delete(_, name) => name,
        }
    }
}

/// Runs `$body` with `$list` being the list of `$kind` in `$document` and `$wrap` its variant of [`Entry`].
macro_rules! with_list {
    ($document:expr, $kind:expr, $list:ident, $body:expr) => {
        match $kind {
            Kind::Site => {
                let $list = $document.sites;
                $body
            }
            Kind::Group => {
                let $list = $document.groups;
                $body
            }
            Kind::Device => {
                let $list = $document.devices;
                $body
            }
            Kind::Credential => {
                let $list = $document.credentials;
                $body
            }
        }
    };
}

/// The lists of a document by reference, so that one macro serves both kinds of borrow.
struct Lists<'a> {
    sites: &'a [SiteEntry],
    groups: &'a [GroupEntry],
    devices: &'a [DeviceEntry],
    credentials: &'a [CredentialEntry],
}

struct ListsMut<'a> {
    sites: &'a mut Vec<SiteEntry>,
    groups: &'a mut Vec<GroupEntry>,
    devices: &'a mut Vec<DeviceEntry>,
    credentials: &'a mut Vec<CredentialEntry>,
}

impl Document {
    fn lists(&self) -> Lists<'_> {
        Lists {
            sites: &self.sites,
            groups: &self.groups,
            devices: &self.devices,
            credentials: &self.credentials,
        }
    }

    fn lists_mut(&mut self) -> ListsMut<'_> {
        ListsMut {
            sites: &mut self.sites,
            groups: &mut self.groups,
            devices: &mut self.devices,
            credentials: &mut self.credentials,
        }
    }

    /// How many entries a list has.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        with_list!(self.lists(), kind, list, list.len())
    }

    /// Where the entry called `name` stands in its list.
    #[must_use]
    pub fn position(&self, kind: Kind, name: &str) -> Option<usize> {
        with_list!(
            self.lists(),
            kind,
            list,
            list.iter().position(|entry| entry.name == name)
        )
    }

    /// The name of the entry at `index`.
    #[must_use]
    pub fn name_at(&self, kind: Kind, index: usize) -> Option<&str> {
        with_list!(
            self.lists(),
            kind,
            list,
            list.get(index).map(|entry| &*entry.name)
        )
    }

    /// The entry at `index`.
    #[must_use]
    pub fn entry_at(&self, kind: Kind, index: usize) -> Option<Entry> {
        Some(match kind {
            Kind::Site => Entry::Site(self.sites.get(index)?.clone()),
            Kind::Group => Entry::Group(Box::new(self.groups.get(index)?.clone())),
            Kind::Device => Entry::Device(Box::new(self.devices.get(index)?.clone())),
            Kind::Credential => Entry::Credential(self.credentials.get(index)?.clone()),
        })
    }

    /// The entry called `name`.
    #[must_use]
    pub fn entry(&self, kind: Kind, name: &str) -> Option<Entry> {
        self.entry_at(kind, self.position(kind, name)?)
    }

    /// Does `edit`; answers where, and what stood there before.
    pub fn apply(&mut self, edit: &Edit) -> (Option<usize>, Option<Entry>) {
        self.apply_at(edit, self.position(edit.kind(), edit.name()))
    }

    /// Does `edits`, as [`apply`](Self::apply) would one by one.
    pub fn apply_all(&mut self, edits: &[Edit]) {
        let mut positions = Positions::of(self, edits);
        for edit in edits {
            let position = positions.find(self, edit.kind(), edit.name());
            let (position, _) = self.apply_at(edit, position);
            positions.note(edit, position);
        }
    }

    pub(crate) fn apply_at(
        &mut self,
        edit: &Edit,
        position: Option<usize>,
    ) -> (Option<usize>, Option<Entry>) {
        let before = position.and_then(|index| self.entry_at(edit.kind(), index));
        match (edit, position) {
            (Edit::Put(entry), Some(index)) => self.set(index, entry.clone()),
            (Edit::Put(entry), None) => {
                let index = self.count(edit.kind());
                self.insert(index, entry.clone());
                return (Some(index), None);
            }
            (Edit::Delete(kind, _), Some(index)) => {
                with_list!(self.lists_mut(), *kind, list, {
                    list.remove(index);
                });
            }
            (Edit::Delete(..), None) => {}
        }
        (position, before)
    }

    /// Takes back what [`Document::apply`] did and answered.
    pub fn revert(&mut self, edit: &Edit, (position, before): (Option<usize>, Option<Entry>)) {
        let Some(index) = position else { return };
        match (edit, before) {
            (Edit::Put(_), Some(before)) => self.set(index, before),
            (Edit::Put(entry), None) => with_list!(self.lists_mut(), entry.kind(), list, {
                list.remove(index);
            }),
            (Edit::Delete(..), Some(before)) => self.insert(index, before),
            (Edit::Delete(..), None) => {}
        }
    }

    fn set(&mut self, index: usize, entry: Entry) {
        match entry {
            Entry::Site(entry) => self.sites[index] = entry,
            Entry::Group(entry) => self.groups[index] = *entry,
            Entry::Device(entry) => self.devices[index] = *entry,
            Entry::Credential(entry) => self.credentials[index] = entry,
        }
    }

    fn insert(&mut self, index: usize, entry: Entry) {
        match entry {
            Entry::Site(entry) => self.sites.insert(index, entry),
            Entry::Group(entry) => self.groups.insert(index, *entry),
            Entry::Device(entry) => self.devices.insert(index, *entry),
            Entry::Credential(entry) => self.credentials.insert(index, entry),
        }
    }

    /// `path` with each list position replaced by the name that stands there: `devices[r1].ping.interval`.
    #[must_use]
    pub fn named<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut out = String::new();
        let mut rest = text;
        'scan: while !rest.is_empty() {
            for kind in Kind::ALL {
                let inside = rest.strip_prefix(kind.list());
                let inside = inside.and_then(|rest| rest.strip_prefix('['));
                if let Some((index, after)) = inside.and_then(|rest| rest.split_once(']'))
                    && let Some(name) = index.parse().ok().and_then(|at| self.name_at(kind, at))
                {
                    out.push_str(&format!("{}[{name}]", kind.list()));
                    rest = after;
                    continue 'scan;
                }
            }
            let step = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..step]);
            rest = &rest[step..];
        }
        Cow::Owned(out)
    }
}

/// The entries of a list by name.
fn by_name(document: &Document, kind: Kind) -> HashMap<&str, usize> {
    with_list!(
        document.lists(),
        kind,
        list,
        list.iter()
            .enumerate()
            .map(|(index, entry)| (&*entry.name, index))
            .collect()
    )
}

fn same(a: &Document, b: &Document, kind: Kind, at: (usize, usize)) -> bool {
    match kind {
        Kind::Site => a.sites[at.0] == b.sites[at.1],
        Kind::Group => a.groups[at.0] == b.groups[at.1],
        Kind::Device => a.devices[at.0] == b.devices[at.1],
        Kind::Credential => a.credentials[at.0] == b.credentials[at.1],
    }
}

/// The edits that make `after` of `before`, but for the order of entries: deletions first.
#[must_use]
pub fn diff(before: &Document, after: &Document) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut puts = Vec::new();
    for kind in Kind::ALL {
        let (old, new) = (by_name(before, kind), by_name(after, kind));
        for index in 0..before.count(kind) {
            let name = before.name_at(kind, index).unwrap_or_default();
            if !new.contains_key(name) {
                edits.push(Edit::Delete(kind, name.to_owned()));
            }
        }
        for index in 0..after.count(kind) {
            let name = after.name_at(kind, index).unwrap_or_default();
            let known = old.get(name);
            if known.is_none_or(|known| !same(before, after, kind, (*known, index))) {
                puts.extend(after.entry_at(kind, index).map(Edit::Put));
            }
        }
    }
    edits.append(&mut puts);
    edits
}

/// An entry that two sides changed differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// As it was before both; `None` where it was not there. The same for the sides.
    pub base: Option<Entry>,
    /// As we have it.
    pub ours: Option<Entry>,
    /// As they have it.
    pub theirs: Option<Entry>,
}

/// The edits that bring what `theirs` changed since `base` into `ours`, and the entries that both changed differently.
#[must_use]
pub fn merge(base: &Document, ours: &Document, theirs: &Document) -> (Vec<Edit>, Vec<Conflict>) {
    let mine: HashMap<(Kind, String), ()> = diff(base, ours)
        .iter()
        .map(|edit| ((edit.kind(), edit.name().to_owned()), ()))
        .collect();
    let mut edits = Vec::new();
    let mut conflicts = Vec::new();
    for edit in diff(base, theirs) {
        let (kind, name) = (edit.kind(), edit.name().to_owned());
        if !mine.contains_key(&(kind, name.clone())) {
            edits.push(edit);
            continue;
        }
        let (ours, theirs) = (ours.entry(kind, &name), theirs.entry(kind, &name));
        if ours != theirs {
            conflicts.push(Conflict {
                base: base.entry(kind, &name),
                kind,
                name,
                ours,
                theirs,
            });
        }
    }
    (edits, conflicts)
}
