//! The table that one scrape fills.
//!
//! Hundreds are filled at a time, so it is kept small: an instance is held as what stands behind its column's identifier, and text and
//! identifiers lie in two arenas.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Raw;
use crate::oid::{self, Oid, OidError};

/// A range of one of the table's two arenas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    at: u32,
    len: u32,
}

/// One value in the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// INTEGER.
    Integer(i64),
    /// A 32-bit unsigned type.
    Unsigned(u64),
    /// Counter64.
    Counter64(u64),
    /// Octets.
    Octets(Span),
    /// An object identifier.
    Oid(Span),
    /// An address of four octets.
    Ipv4(Ipv4Addr),
    /// An address of sixteen octets.
    Ipv6(Span),
    /// A float.
    Float(f32),
    /// A double.
    Double(f64),
    /// Nothing.
    Null,
}

/// One instance of a column.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    tail: Span,
    /// Its value.
    pub value: Value,
}

/// The identifier of an instance in its two parts.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    column: &'a [u32],
    tail: &'a [u32],
}

impl<'a> At<'a> {
    /// The whole identifier.
    #[must_use]
    pub fn ids(&self) -> Vec<u32> {
        [self.column, self.tail].concat()
    }

    /// What stands behind the first `length` sub-identifiers.
    #[must_use]
    pub fn behind(&self, length: usize) -> Cow<'a, [u32]> {
        match length.checked_sub(self.column.len()) {
            Some(more) => Cow::Borrowed(self.tail.get(more..).unwrap_or_default()),
            None => Cow::Owned([&self.column[length..], self.tail].concat()),
        }
    }

    /// Octets of its encoding.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        oid::encoded_len(&self.ids())
    }

    /// The last sub-identifier.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.tail.last().or(self.column.last()).copied()
    }
}

/// The instances below one identifier.
#[derive(Debug, Default)]
pub struct Column {
    prefix: Oid,
    entries: Vec<Entry>,
    disordered: bool,
}

impl Column {
    /// The identifier.
    #[must_use]
    pub fn prefix(&self) -> &Oid {
        &self.prefix
    }

    /// The instances, by index once the table is sorted.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// What one scrape has learnt: columns of instances, ordered by identifier.
#[derive(Debug, Default)]
pub struct Table {
    columns: Vec<Column>,
    ids: Vec<u32>,
    octets: Vec<u8>,
    count: usize,
    last: usize,
}

impl Table {
    /// A table that keeps what is below these identifiers and nothing else. They need not be ordered; one below another is dropped.
    #[must_use]
    pub fn new(prefixes: impl IntoIterator<Item = Oid>) -> Self {
        let mut prefixes: Vec<Oid> = prefixes.into_iter().collect();
        prefixes.sort();
        let mut columns: Vec<Column> = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            if !columns
                .last()
                .is_some_and(|last| oid::within(prefix.ids(), last.prefix.ids()))
            {
                columns.push(Column {
                    prefix,
                    ..Column::default()
                });
            }
        }
        Self {
            columns,
            ..Self::default()
        }
    }

    /// The columns, ordered by identifier.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column that holds what is at or below `ids`.
    #[must_use]
    pub fn column_of(&self, ids: &[u32]) -> Option<usize> {
        let after = self
            .columns
            .partition_point(|column| column.prefix.ids() <= ids);
        let at = after.checked_sub(1)?;
        oid::within(ids, self.columns[at].prefix.ids()).then_some(at)
    }

    /// Keeps a value when a column wants it; says whether one did.
    ///
    /// # Errors
    /// The value is an object identifier that cannot be read.
    pub fn insert(&mut self, ids: &[u32], value: Raw<'_>) -> Result<bool, OidError> {
        if !self
            .columns
            .get(self.last)
            .is_some_and(|column| oid::within(ids, column.prefix.ids()))
        {
            match self.column_of(ids) {
                Some(at) => self.last = at,
                None => return Ok(false),
            }
        }
        self.insert_at(self.last, ids, value)
    }

    /// Keeps a value in the column at this place, to which it must belong.
    ///
    /// # Errors
    /// The value is an object identifier that cannot be read.
    pub(crate) fn insert_at(
        &mut self,
        place: usize,
        ids: &[u32],
        value: Raw<'_>,
    ) -> Result<bool, OidError> {
        let value = match value {
            Raw::Integer(number) => Value::Integer(number),
            Raw::Unsigned(number) => Value::Unsigned(number),
            Raw::Counter64(number) => Value::Counter64(number),
            Raw::Octets(octets) => Value::Octets(self.keep_octets(octets)),
            Raw::Oid(octets) => {
                let at = self.ids.len();
                oid::decode(octets, &mut self.ids)?;
                Value::Oid(span(at, self.ids.len() - at))
            }
            Raw::Ip(IpAddr::V4(address)) => Value::Ipv4(address),
            Raw::Ip(IpAddr::V6(address)) => Value::Ipv6(self.keep_octets(&address.octets())),
            Raw::Float(number) => Value::Float(number),
            Raw::Double(number) => Value::Double(number),
            Raw::Null => Value::Null,
            Raw::Missing | Raw::EndOfMibView => return Ok(false),
        };
        let tail = ids.get(self.columns[place].prefix.ids().len()..);
        let tail = self.keep_ids(tail.unwrap_or_default());
        self.push(place, tail, value);
        Ok(true)
    }

    /// Orders every column by index; of several values of one instance the last stays.
    pub fn sort(&mut self) {
        let ids = &self.ids;
        for column in self.columns.iter_mut().filter(|column| column.disordered) {
            column.entries.reverse();
            column
                .entries
                .sort_by(|a, b| slice(ids, a.tail).cmp(slice(ids, b.tail)));
            column
                .entries
                .dedup_by(|later, first| slice(ids, later.tail) == slice(ids, first.tail));
            column.disordered = false;
        }
    }

    /// Takes the columns of another table over.
    pub fn absorb(&mut self, other: &Self) {
        for column in &other.columns {
            let place = self.column_of(column.prefix.ids()).unwrap_or_else(|| {
                let at = self
                    .columns
                    .partition_point(|known| known.prefix < column.prefix);
                let prefix = column.prefix.clone();
                self.columns.insert(
                    at,
                    Column {
                        prefix,
                        ..Column::default()
                    },
                );
                at
            });
            let length = self.columns[place].prefix.ids().len();
            for entry in &column.entries {
                let value = self.copy(other, entry.value);
                let tail = self.keep_ids(&other.at(column, entry).behind(length));
                self.push(place, tail, value);
            }
        }
        self.last = 0;
    }

    /// A table of these columns of this one.
    #[must_use]
    pub fn only(&self, columns: &[Oid]) -> Self {
        let mut out = Self::new(columns.iter().cloned());
        for place in 0..out.columns.len() {
            let Some(column) = self.column(out.columns[place].prefix.ids()) else {
                continue;
            };
            out.columns[place]
                .entries
                .reserve_exact(column.entries.len());
            for entry in &column.entries {
                let value = out.copy(self, entry.value);
                let tail = out.keep_ids(slice(&self.ids, entry.tail));
                out.push(place, tail, value);
            }
        }
        out.ids.shrink_to_fit();
        out.octets.shrink_to_fit();
        out
    }

    /// The column with exactly this identifier.
    #[must_use]
    pub fn column(&self, prefix: &[u32]) -> Option<&Column> {
        let at = self
            .columns
            .binary_search_by(|column| column.prefix.ids().cmp(prefix))
            .ok()?;
        Some(&self.columns[at])
    }

    /// Changes the values at or below `root`; `change` is given what stands behind `root` in each identifier.
    pub fn change(&mut self, root: &[u32], mut change: impl FnMut(&[u32], &mut Value)) {
        let ids = &self.ids;
        let below = self
            .columns
            .partition_point(|column| column.prefix.ids() < root);
        // The column before may be one that `root` lies in.
        for column in &mut self.columns[below.saturating_sub(1)..] {
            let prefix = column.prefix.ids();
            let inside = oid::within(prefix, root);
            let Some(more) = root.strip_prefix(prefix).or(inside.then_some(&[][..])) else {
                if prefix > root {
                    break;
                }
                continue;
            };
            for entry in &mut column.entries {
                let tail = slice(ids, entry.tail);
                if oid::within(tail, more) {
                    let at = At {
                        column: prefix,
                        tail,
                    };
                    change(&at.behind(root.len()), &mut entry.value);
                }
            }
        }
    }

    /// Makes the column `to` from the one at `from`.
    pub fn copy_column(&mut self, from: &[u32], to: &Oid, value: impl Fn(Value) -> Value) {
        let Some(entries) = self.column(from).map(|column| column.entries.clone()) else {
            return;
        };
        self.absorb(&Self::new([to.clone()]));
        let Some(place) = self.column_of(to.ids()) else {
            return;
        };
        self.count += entries.len();
        let changed = entries.into_iter().map(|entry| Entry {
            value: value(entry.value),
            ..entry
        });
        self.columns[place].entries.extend(changed);
    }

    /// Whether a column has the same indexes as one of another table. Both must be sorted.
    #[must_use]
    pub fn same_rows(&self, one: &[u32], other: &Self, another: &[u32]) -> bool {
        let (Some(a), Some(b)) = (self.column(one), other.column(another)) else {
            return false;
        };
        a.entries.len() == b.entries.len()
            && a.entries
                .iter()
                .zip(&b.entries)
                .all(|(x, y)| slice(&self.ids, x.tail) == slice(&other.ids, y.tail))
    }

    /// Whether a value is that of another table.
    #[must_use]
    pub fn same_value(&self, one: &Value, other: &Self, another: &Value) -> bool {
        match (*one, *another) {
            (Value::Octets(a), Value::Octets(b)) | (Value::Ipv6(a), Value::Ipv6(b)) => {
                self.octets(a) == other.octets(b)
            }
            (Value::Oid(a), Value::Oid(b)) => self.sub_ids(a) == other.sub_ids(b),
            _ => one == another,
        }
    }

    /// A digest of which columns these are.
    #[must_use]
    pub fn digest_of_names(columns: &[Oid]) -> u64 {
        let mut hasher = DefaultHasher::new();
        columns.hash(&mut hasher);
        hasher.finish()
    }

    /// Octets of a varbind with this entry, about.
    #[must_use]
    pub fn octets_of(&self, column: &Column, entry: &Entry) -> usize {
        let value = match entry.value {
            Value::Octets(span) | Value::Ipv6(span) => span.len as usize,
            Value::Oid(span) => span.len as usize * 2,
            _ => 8,
        };
        6 + self.at(column, entry).encoded_len() + value
    }

    /// A digest of the rows and values of these columns. Values that hold a fraction do not count.
    #[must_use]
    pub fn digest(&self, columns: &[Oid]) -> u64 {
        let mut hasher = DefaultHasher::new();
        for column in columns.iter().filter_map(|oid| self.column(oid.ids())) {
            column.prefix.hash(&mut hasher);
            for entry in &column.entries {
                slice(&self.ids, entry.tail).hash(&mut hasher);
                match entry.value {
                    Value::Integer(number) => number.hash(&mut hasher),
                    Value::Unsigned(number) | Value::Counter64(number) => number.hash(&mut hasher),
                    Value::Octets(span) | Value::Ipv6(span) => {
                        self.octets(span).hash(&mut hasher);
                    }
                    Value::Oid(span) => self.sub_ids(span).hash(&mut hasher),
                    Value::Ipv4(address) => address.hash(&mut hasher),
                    Value::Float(_) | Value::Double(_) | Value::Null => {}
                }
            }
        }
        hasher.finish()
    }

    fn push(&mut self, place: usize, tail: Span, value: Value) {
        let column = &mut self.columns[place];
        if let Some(previous) = column.entries.last() {
            column.disordered |= slice(&self.ids, previous.tail) >= slice(&self.ids, tail);
        }
        let rows = column.entries.len();
        if column.entries.capacity() == rows {
            column.entries.reserve_exact((rows / 4).max(8));
        }
        column.entries.push(Entry { tail, value });
        self.count += 1;
    }

    // Growing by a quarter instead of doubling keeps the arenas near their size.

    fn keep_ids(&mut self, ids: &[u32]) -> Span {
        let at = self.ids.len();
        if self.ids.capacity() - at < ids.len() {
            self.ids.reserve_exact(ids.len().max(at / 4).max(128));
        }
        self.ids.extend_from_slice(ids);
        span(at, ids.len())
    }

    fn keep_octets(&mut self, octets: &[u8]) -> Span {
        let at = self.octets.len();
        if self.octets.capacity() - at < octets.len() {
            self.octets.reserve_exact(octets.len().max(at / 4).max(256));
        }
        self.octets.extend_from_slice(octets);
        span(at, octets.len())
    }

    /// A value of another table with its content in this one.
    fn copy(&mut self, other: &Self, value: Value) -> Value {
        match value {
            Value::Octets(from) => Value::Octets(self.keep_octets(other.octets(from))),
            Value::Ipv6(from) => Value::Ipv6(self.keep_octets(other.octets(from))),
            Value::Oid(from) => Value::Oid(self.keep_ids(other.sub_ids(from))),
            plain => plain,
        }
    }

    /// How many values were kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing was kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Octets held, for limits.
    #[must_use]
    pub fn octets_held(&self) -> usize {
        self.octets.len() + self.ids.len() * 4 + self.count * size_of::<Entry>()
    }

    /// The identifier of an entry of this column.
    #[must_use]
    pub fn at<'a>(&'a self, column: &'a Column, entry: &Entry) -> At<'a> {
        At {
            column: column.prefix.ids(),
            tail: slice(&self.ids, entry.tail),
        }
    }

    /// The octets of a value.
    #[must_use]
    pub fn octets(&self, span: Span) -> &[u8] {
        self.octets
            .get(span.at as usize..(span.at + span.len) as usize)
            .unwrap_or_default()
    }

    /// The address that stands in the octets of a value.
    #[must_use]
    pub fn address(&self, span: Span) -> Ipv6Addr {
        let octets: Option<[u8; 16]> = self.octets(span).try_into().ok();
        octets.map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from)
    }

    /// The sub-identifiers of a value.
    #[must_use]
    pub fn sub_ids(&self, span: Span) -> &[u32] {
        slice(&self.ids, span)
    }

    /// What is at or below `root`, in order. The table must be sorted.
    pub fn below<'a>(&'a self, root: &'a [u32]) -> impl Iterator<Item = (At<'a>, &'a Entry)> {
        let first = self.column_of(root).unwrap_or_else(|| {
            self.columns
                .partition_point(|column| column.prefix.ids() < root)
        });
        let columns = self.columns[first..].iter().take_while(move |column| {
            oid::within(column.prefix.ids(), root) || oid::within(root, column.prefix.ids())
        });
        columns.flat_map(move |column| {
            let more = root.get(column.prefix.ids().len()..).unwrap_or_default();
            let start = column
                .entries
                .partition_point(|entry| slice(&self.ids, entry.tail) < more);
            column.entries[start..]
                .iter()
                .map(move |entry| (self.at(column, entry), entry))
                .take_while(move |(at, _)| oid::within(at.tail, more))
        })
    }

    /// The value of exactly this instance. The table must be sorted.
    #[must_use]
    pub fn get(&self, ids: &[u32]) -> Option<&Value> {
        let column = &self.columns[self.column_of(ids)?];
        let tail = ids.strip_prefix(column.prefix.ids())?;
        let at = column
            .entries
            .binary_search_by(|entry| slice(&self.ids, entry.tail).cmp(tail))
            .ok()?;
        Some(&column.entries[at].value)
    }
}

fn span(at: usize, len: usize) -> Span {
    Span {
        at: u32::try_from(at).unwrap_or(u32::MAX),
        len: u32::try_from(len).unwrap_or(0),
    }
}

fn slice(ids: &[u32], span: Span) -> &[u32] {
    ids.get(span.at as usize..(span.at + span.len) as usize)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_keeps_what_is_wanted_and_the_last_of_a_repeated_instance() {
        let mut table = Table::new(["1.3.2", "1.3.1", "1.3.1.5"].map(|oid| oid.parse().unwrap()));
        assert_eq!(table.columns().len(), 2);
        for (ids, value, kept) in [
            (&[1, 3, 1, 9][..], Raw::Integer(9), true),
            (&[1, 3, 1, 5, 1], Raw::Integer(5), true),
            (&[1, 3, 1, 9], Raw::Integer(10), true),
            (&[1, 3, 2, 9], Raw::Octets(b"x"), true),
            (&[1, 3, 3], Raw::Integer(1), false),
            (&[1, 3, 1, 1], Raw::Missing, false),
        ] {
            assert_eq!(table.insert(ids, value), Ok(kept));
        }
        assert!(table.insert(&[1, 3, 1, 1], Raw::Oid(&[0x80])).is_err());
        table.sort();
        let shown = |root: &[u32]| -> Vec<(Vec<u32>, Value)> {
            table
                .below(root)
                .map(|(at, entry)| (at.ids(), entry.value))
                .collect()
        };
        assert_eq!(
            shown(&[1, 3, 1]),
            [
                (vec![1, 3, 1, 5, 1], Value::Integer(5)),
                (vec![1, 3, 1, 9], Value::Integer(10))
            ]
        );
        assert_eq!(shown(&[1, 3, 1, 5]).len(), 1);
        assert_eq!(shown(&[1, 3]).len(), 3);
        assert_eq!(shown(&[1, 3, 4]).len(), 0);
        assert_eq!(table.get(&[1, 3, 1, 9]), Some(&Value::Integer(10)));
        assert_eq!(table.get(&[1, 3, 1, 8]), None);
        let Some(Value::Octets(span)) = table.get(&[1, 3, 2, 9]).copied() else {
            unreachable!("an octet string was put in")
        };
        assert_eq!(table.octets(span), b"x");
    }
}
