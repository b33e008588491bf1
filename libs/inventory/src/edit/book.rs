//! The text of an inventory, cut into pieces so that one entry can be replaced and the rest stays as it was typed.
//!
//! A piece is either the lines of one entry, from its dash to its last line, or whatever stands between: keys,
//! comments, blank lines. Comments above an entry belong to what stands between, those inside to the entry.
//! Where an entry cannot be cut out (a list in brackets, anchors and aliases, a JSON file) its list is written
//! anew, and where that would not read back the same, the whole file.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::{Edit, Entry, Kind, Positions, yaml};
use crate::document::Document;
use crate::model::Inventory;
use crate::node::{self, Node, Value};
use crate::problem::Error;

/// Indent of lists that are written anew.
const INDENT: usize = 2;

#[derive(Clone, Debug)]
struct Piece {
    text: Arc<str>,
    /// What entry this is; `None` for what stands between.
    kind: Option<Kind>,
}

/// A text of an inventory that entries can be changed in.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pieces: Vec<Piece>,
    /// The entry that was appended last, by kind and index, and its piece.
    last: Last,
}

/// Forgotten by a copy; no part of what a book says.
#[derive(Debug, Default)]
struct Last(Option<((Option<Kind>, usize), usize)>);

impl Clone for Last {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl Last {
    fn get(&self) -> Option<((Option<Kind>, usize), usize)> {
        self.0
    }

    fn set(&mut self, last: Option<((Option<Kind>, usize), usize)>) {
        self.0 = last;
    }
}

impl Book {
    /// The book of `text`, and the document and inventory in it.
    ///
    /// # Errors
    /// As [`Inventory::parse`].
    pub fn open(text: &str, origin: &Path) -> Result<(Self, Document, Inventory), Error> {
        let (document, inventory) = Inventory::parse_both(text, origin)?;
        Ok((Self::cut(text), document, inventory))
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> String {
        self.pieces.iter().map(|piece| &*piece.text).collect()
    }

    /// The text piece by piece.
    pub fn pieces(&self, mut each: impl FnMut(&str)) {
        self.pieces.iter().for_each(|piece| each(&piece.text));
    }

    /// Does `edits` to the text. `before` is the document of the text, and is `edits` later afterwards.
    ///
    /// Answers how much had to be written anew, and how to take it all back from the document.
    pub fn apply(&mut self, before: &mut Document, edits: &[Edit]) -> Applied {
        let mut anew = None;
        let mut undo = Vec::with_capacity(edits.len());
        let mut positions = Positions::of(before, edits);
        for edit in edits {
            let position = positions.find(before, edit.kind(), edit.name());
            let (position, old) = before.apply_at(edit, position);
            positions.note(edit, position);
            undo.push((position, old.clone()));
            let done = match (edit, position, old) {
                (Edit::Put(entry), Some(index), Some(old)) => self.replace(index, &old, entry),
                (Edit::Put(entry), Some(index), None) => self.append(index, entry, before),
                (Edit::Delete(..), Some(index), Some(old)) => self.remove(index, &old),
                _ => true,
            };
            if !done {
                anew = anew.max(Some(self.anew(edit.kind(), before)));
            }
        }
        Applied { anew, undo }
    }

    fn cut(text: &str) -> Self {
        let whole = |kind| {
            let text = text.into();
            Self {
                pieces: vec![Piece { text, kind }],
                last: Last::default(),
            }
        };
        let Ok(root) = node::parse(text) else {
            return whole(None);
        };
        let starts = line_starts(text);
        let mut cuts: Vec<(Range<usize>, Kind)> = Vec::new();
        for kind in Kind::ALL {
            if let Some(node) = root.get(kind.list())
                && let Some(ranges) = items(node, text, &starts)
            {
                cuts.extend(ranges.into_iter().map(|range| (range, kind)));
            }
        }
        cuts.sort_by_key(|(range, _)| range.start);
        if cuts.windows(2).any(|pair| pair[0].0.end > pair[1].0.start) {
            return whole(None);
        }
        let mut book = Self::default();
        let mut end = 0;
        for (range, kind) in cuts {
            book.push(&text[end..range.start], None);
            book.push(&text[range.clone()], Some(kind));
            end = range.end;
        }
        book.push(&text[end..], None);
        book
    }

    fn push(&mut self, text: &str, kind: Option<Kind>) {
        if !text.is_empty() || kind.is_some() {
            self.pieces.push(Piece {
                text: text.into(),
                kind,
            });
        }
    }

    /// The piece of the entry at `index` of its kind. Many edits come at the end of a list, so that it is looked for from there too.
    fn place(&self, kind: Option<Kind>, index: usize) -> Option<usize> {
        if let Some((last, at)) = self.last.get()
            && last == (kind, index)
            && self.pieces.get(at).is_some_and(|piece| piece.kind == kind)
        {
            return Some(at);
        }
        let mut of_kind = (0..self.pieces.len()).filter(|at| self.pieces[*at].kind == kind);
        of_kind.nth(index)
    }

    /// The piece of the entry at `index`, when it is known to be `entry` and nothing else.
    fn find(&self, index: usize, entry: &Entry) -> Option<usize> {
        let kind = Some(entry.kind());
        let at = self.place(kind, index)?;
        let text = &self.pieces[at].text;
        // An anchor may be named elsewhere.
        (!text.contains('&') && yaml::reads(text, entry)).then_some(at)
    }

    fn replace(&mut self, index: usize, old: &Entry, new: &Entry) -> bool {
        let Some(at) = self.find(index, old) else {
            return false;
        };
        let indent = indent(&self.pieces[at].text);
        self.pieces[at].text = yaml::item(new, indent).into();
        true
    }

    fn remove(&mut self, index: usize, old: &Entry) -> bool {
        let kind = Some(old.kind());
        let count = self.pieces.iter().filter(|piece| piece.kind == kind);
        // A list that has lost its last entry is written anew: a key with nothing below would look like a mistake.
        if count.count() < 2 {
            return false;
        }
        let Some(at) = self.find(index, old) else {
            return false;
        };
        self.pieces.remove(at);
        self.last.set(None);
        true
    }

    fn append(&mut self, index: usize, new: &Entry, document: &Document) -> bool {
        let last = index
            .checked_sub(1)
            .and_then(|index| document.entry_at(new.kind(), index).zip(Some(index)));
        let Some(at) = last.and_then(|(last, index)| self.find(index, &last)) else {
            return false;
        };
        let text = &self.pieces[at].text;
        let indent = indent(text);
        if !text.ends_with('\n') {
            self.pieces[at].text = format!("{text}\n").into();
        }
        let piece = Piece {
            text: yaml::item(new, indent).into(),
            kind: Some(new.kind()),
        };
        self.pieces.insert(at + 1, piece);
        self.last.set(Some(((Some(new.kind()), index), at + 1)));
        true
    }

    /// Writes the list of `kind` anew, or everything where that does not do.
    fn anew(&mut self, kind: Kind, document: &Document) -> Rewritten {
        let text = self.text();
        if let Some(text) = section(&text, kind, document)
            && let Ok((read, _)) = Inventory::parse_both(&text, Path::new(""))
            && read == *document
        {
            *self = Self::cut(&text);
            return Rewritten::List(kind);
        }
        // An entry that the checks refuse is taken back by the caller; until then it stands in the canonical text.
        let json = text.trim_start().starts_with('{');
        let text = if json {
            serde_json::to_string_pretty(document).unwrap_or_default() + "\n"
        } else {
            Kind::ALL
                .into_iter()
                .map(|kind| list(kind, document))
                .collect()
        };
        *self = Self::cut(&text);
        Rewritten::All
    }
}

/// What [`Book::apply`] did.
#[derive(Clone, Debug)]
pub struct Applied {
    /// What had to be written anew beside the entries.
    pub anew: Option<Rewritten>,
    undo: Vec<(Option<usize>, Option<Entry>)>,
}

impl Applied {
    /// The entry that stood in the place of edit `index` before.
    #[must_use]
    pub fn before(&self, index: usize) -> Option<&Entry> {
        self.undo.get(index)?.1.as_ref()
    }

    /// Takes `edits` back from `document`; the text before is the caller's to keep.
    pub fn revert(self, document: &mut Document, edits: &[Edit]) {
        for (edit, undo) in edits.iter().zip(self.undo).rev() {
            document.revert(edit, undo);
        }
    }
}

/// What was written anew beside the entries that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rewritten {
    /// One list, whose comments are gone.
    List(Kind),
    /// The file, whose comments are gone.
    All,
}

/// A list with its key; nothing when it is empty.
fn list(kind: Kind, document: &Document) -> String {
    let items = (0..document.count(kind)).filter_map(|index| document.entry_at(kind, index));
    let items: String = items.map(|entry| yaml::item(&entry, INDENT)).collect();
    if items.is_empty() {
        return items;
    }
    format!("{}:\n{items}", kind.list())
}

/// `text` with the list of `kind` written anew in its place, or at the end.
fn section(text: &str, kind: Kind, document: &Document) -> Option<String> {
    let new = list(kind, document);
    let root = node::parse(text).ok()?;
    let starts = line_starts(text);
    let keys = match &root.value {
        Value::Map(keys) => keys.as_slice(),
        Value::Null => &[],
        _ => return None,
    };
    if keys.iter().any(|(key, _)| key.at.column != 1) {
        return None;
    }
    let start = |key: &node::Key| starts.get(key.at.line as usize - 1).copied();
    let Some(at) = keys.iter().position(|(key, _)| &*key.name == kind.list()) else {
        let feed = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        return Some(format!("{text}{feed}{new}"));
    };
    let from = start(&keys[at].0)?;
    let next = keys
        .get(at + 1)
        .map_or(Some(text.len()), |(key, _)| start(key))?;
    // Comments above the next key stay with it.
    let to = from + body(&text[from..next], 0);
    Some(format!("{}{new}{}", &text[..from], &text[to..]))
}

/// How much of `lines` is content: up to the comments at `indent` or less, and blank lines, at its end.
fn body(lines: &str, indent: usize) -> usize {
    let mut end = lines.len();
    for line in lines.split_inclusive('\n').rev() {
        let bare = line.trim_start_matches(' ');
        let comment = bare.starts_with('#') && line.len() - bare.len() <= indent;
        if !(comment || bare.trim().is_empty()) {
            break;
        }
        end -= line.len();
    }
    end
}

fn line_starts(text: &str) -> Vec<usize> {
    let after = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(after).collect()
}

fn indent(item: &str) -> usize {
    item.len() - item.trim_start_matches(' ').len()
}

/// The lines of each item of a block list; `None` when they cannot be told apart.
fn items(list: &Node, text: &str, starts: &[usize]) -> Option<Vec<Range<usize>>> {
    let Value::List(items) = &list.value else {
        return None;
    };
    let from_line = |line: usize| {
        let start = *starts.get(line)?;
        let end = starts.get(line + 1).copied().unwrap_or(text.len());
        Some((start, &text[start..end]))
    };
    let mut dashes = Vec::with_capacity(items.len());
    for item in items {
        let (start, line) = from_line((item.at.line as usize).checked_sub(1)?)?;
        let bare = line.trim_start_matches(' ');
        let own = line.len() - bare.len();
        // Its value begins right after its dash, and nothing stands before that.
        let value = bare
            .strip_prefix("- ")
            .map(|rest| rest.trim_start_matches(' '))?;
        let column = line.len() - value.len();
        if line[..column].len() + 1 != item.at.column as usize {
            return None;
        }
        dashes.push((start, own));
    }
    let indent = dashes.first()?.1;
    if dashes.iter().any(|(_, own)| *own != indent) {
        return None;
    }
    let mut ranges = Vec::with_capacity(dashes.len());
    for (index, (start, _)) in dashes.iter().enumerate() {
        let next = dashes.get(index + 1).map(|(start, _)| *start);
        let limit = next.unwrap_or(text.len());
        let lines = text.get(*start..limit)?;
        let mut end = 0;
        for (number, line) in lines.split_inclusive('\n').enumerate() {
            let bare = line.trim_start_matches(' ');
            let shallow = line.len() - bare.len() <= indent;
            let ends = shallow && !bare.trim().is_empty() && !bare.starts_with('#');
            if number > 0 && ends {
                // Something else begins here, which between two items cannot be.
                if next.is_some() {
                    return None;
                }
                break;
            }
            end += line.len();
        }
        ranges.push(*start..*start + body(&lines[..end], indent));
    }
    Some(ranges)
}
