//! Where entries stand, for many edits at a time: looked up, where each alone is searched for.

use std::collections::HashMap;

use super::{Edit, Kind};
use crate::document::Document;

/// Edits from which a table pays.
const MANY: usize = 32;

/// Where the entries of a document stand. Made for a list of edits, and of use until an entry is deleted: then those after it move up, and
/// it searches from then on.
#[derive(Debug)]
pub struct Positions(Option<HashMap<(Kind, String), usize>>);

impl Positions {
    /// Of `document`, for so many edits that it pays.
    #[must_use]
    pub fn of(document: &Document, edits: &[Edit]) -> Self {
        if edits.len() < MANY {
            return Self(None);
        }
        let mut table = HashMap::new();
        for kind in Kind::ALL {
            for index in 0..document.count(kind) {
                let name = document.name_at(kind, index).unwrap_or_default();
                table.entry((kind, name.to_owned())).or_insert(index);
            }
        }
        Self(Some(table))
    }

    /// Where the entry called `name` stands in `document`, which is the one this was made of and noted since.
    #[must_use]
    pub fn find(&self, document: &Document, kind: Kind, name: &str) -> Option<usize> {
        match &self.0 {
            Some(table) => table.get(&(kind, name.to_owned())).copied(),
            None => document.position(kind, name),
        }
    }

    /// Notes an edit that was done at this place.
    pub fn note(&mut self, edit: &Edit, position: Option<usize>) {
        match (edit, &mut self.0, position) {
            (Edit::Put(entry), Some(table), Some(index)) => {
                table.insert((entry.kind(), entry.name().to_owned()), index);
            }
            (Edit::Delete(..), table, Some(_)) => *table = None,
            _ => {}
        }
    }
}
