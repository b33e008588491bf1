//! The labels of a row: indexes from its identifier, lookups from other columns.

use std::borrow::Cow;
use std::collections::HashMap;

use super::index::{self, Kind};
use super::sample::Scope;
use super::text;
use crate::config::{EnumValues, Index, Lookup};
use crate::expose;
use crate::oid::Oid;
use crate::value::{Table, Value};

/// How rows of one kind get their labels; many metrics share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape {
    indexes: Vec<Index>,
    lookups: Vec<Lookup>,
    names: Vec<String>,
}

impl Shape {
    /// Of a metric's indexes and lookups.
    #[must_use]
    pub fn new(indexes: &[Index], lookups: &[Lookup]) -> Self {
        let mut names: Vec<String> = indexes
            .iter()
            .map(|index| index.labelname.clone())
            .collect();
        for lookup in lookups {
            names.retain(|name| *name != lookup.labelname);
            if !lookup.labels.is_empty() {
                names.push(lookup.labelname.clone());
            }
        }
        names.sort();
        names.dedup();
        Self {
            indexes: indexes.to_vec(),
            lookups: lookups.to_vec(),
            names,
        }
    }

    /// Names of the labels, sorted.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Columns that are looked up.
    pub fn columns(&self) -> impl Iterator<Item = Oid> {
        self.lookups
            .iter()
            .filter(|lookup| !lookup.labels.is_empty())
            .flat_map(|lookup| {
                let typed = is_combined(&lookup.kind)
                    .then(|| lookup.oid.previous())
                    .flatten();
                std::iter::once(lookup.oid.clone()).chain(typed)
            })
    }

    fn read(&self, tail: &[u32], table: &Table, scope: &Scope) -> Working<'_> {
        let mut row = Working::default();
        let mut rest = tail;
        for index in &self.indexes {
            let read = index::read(
                rest,
                index.kind,
                index.fixed_size,
                index.implied,
                &index.enum_values,
            );
            row.set(
                &index.labelname,
                text::valid_utf8(&read.text),
                Some(Some(read.used)),
            );
            rest = read.rest;
        }
        for lookup in &self.lookups {
            if lookup.labels.is_empty() {
                row.remove(&lookup.labelname);
                continue;
            }
            self.look_up(lookup, &mut row, table, scope);
        }
        row
    }

    fn look_up<'a>(
        &'a self,
        lookup: &'a Lookup,
        row: &mut Working<'a>,
        table: &Table,
        scope: &Scope,
    ) {
        let Some(ids) = row.instance(&lookup.oid, &lookup.labels) else {
            row.set(&lookup.labelname, String::new(), None);
            return;
        };
        let Some(value) = table.get(&ids).filter(|_| scope.covers(&ids)) else {
            row.set(&lookup.labelname, String::new(), None);
            return;
        };
        let mut kind = lookup.kind.as_str();
        if is_combined(kind)
            && let Some(previous) = lookup
                .oid
                .previous()
                .and_then(|oid| row.instance(&oid, &lookup.labels))
            && let Some(subtype) = table.get(&previous).filter(|_| scope.covers(&previous))
        {
            kind = combined_name(kind, text::number(subtype, true) as i64).unwrap_or(kind);
        }
        let number = text::whole(value);
        let named_kind = kind == "EnumAsInfo" && !lookup.enum_values.is_empty();
        let shown = if named_kind && !matches!(value, Value::Null) {
            named(&lookup.enum_values, number)
        } else {
            text::label(table, value, kind, &lookup.display_hint)
        };
        row.set(
            &lookup.labelname,
            shown,
            Some(u32::try_from(number).ok().map(|number| vec![number])),
        );
    }
}

/// The name of a value, or the number.
pub(super) fn named(names: &EnumValues, number: i64) -> String {
    names
        .get(&number)
        .cloned()
        .unwrap_or_else(|| number.to_string())
}

/// Whether the real type of a column stands in the column before it.
pub(super) fn is_combined(kind: &str) -> bool {
    matches!(
        kind,
        "InetAddress" | "InetAddressMissingSize" | "LldpPortId"
    )
}

/// The real type's name.
pub(super) fn combined_name(kind: &str, subtype: i64) -> Option<&'static str> {
    Some(match index::combined(Kind::named(kind)?, subtype)? {
        Kind::InetAddressIpv4 => "InetAddressIPv4",
        Kind::InetAddressIpv6 => "InetAddressIPv6",
        Kind::PhysAddress48 => "PhysAddress48",
        _ => "DisplayString",
    })
}

/// Labels while a row is read: text, and the raw index that a later lookup may use.
#[derive(Default)]
struct Working<'a> {
    labels: Vec<(&'a str, String)>,
    raw: Vec<(&'a str, Option<Vec<u32>>)>,
}

impl<'a> Working<'a> {
    fn set(&mut self, name: &'a str, text: String, raw: Option<Option<Vec<u32>>>) {
        self.remove(name);
        self.labels.push((name, text));
        if let Some(raw) = raw {
            self.raw.retain(|(other, _)| *other != name);
            self.raw.push((name, raw));
        }
    }

    fn remove(&mut self, name: &str) {
        self.labels.retain(|(other, _)| *other != name);
    }

    fn instance(&self, oid: &Oid, labels: &[String]) -> Option<Vec<u32>> {
        let mut ids = oid.ids().to_vec();
        for label in labels {
            let (_, raw) = self.raw.iter().find(|(name, _)| name == label)?;
            let raw = raw.as_ref().filter(|raw| !raw.is_empty())?;
            ids.extend_from_slice(raw);
        }
        Some(ids)
    }
}

/// The rows of one shape in one scrape, with their labels rendered.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    shape: &'a Shape,
    known: HashMap<Cow<'a, [u32]>, u32>,
    tails: Vec<Cow<'a, [u32]>>,
    text: String,
    bounds: Vec<u32>,
    order: Vec<u32>,
    unique: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn new(shape: &'a Shape) -> Self {
        Self {
            shape,
            known: HashMap::new(),
            tails: Vec::new(),
            text: String::new(),
            bounds: Vec::new(),
            order: Vec::new(),
            unique: true,
        }
    }

    /// The row with this index, made when it is new. `hint` is where it probably is.
    pub(super) fn row(
        &mut self,
        tail: Cow<'a, [u32]>,
        hint: u32,
        table: &Table,
        scope: &Scope,
    ) -> u32 {
        if self.tails.get(hint as usize) == Some(&tail) {
            return hint;
        }
        if let Some(row) = self.known.get(&tail) {
            return *row;
        }
        let row = self.tails.len() as u32;
        let mut labels = self.shape.read(&tail, table, scope).labels;
        self.known.insert(tail.clone(), row);
        self.tails.push(tail);
        labels.sort_by(|a, b| a.0.cmp(b.0));
        for (at, (name, value)) in labels.iter().enumerate() {
            self.bounds.push(self.text.len() as u32);
            if at > 0 {
                self.text.push(',');
            }
            expose::label(name, value, &mut self.text);
        }
        self.bounds.push(self.text.len() as u32);
        row
    }

    /// Brings the rows into the order in which series are written.
    pub(super) fn finish(&mut self) {
        let mut order: Vec<u32> = (0..self.tails.len() as u32).collect();
        order.sort_by(|a, b| self.labels(*a).cmp(self.labels(*b)));
        self.unique = order
            .windows(2)
            .all(|pair| self.labels(pair[0]) != self.labels(pair[1]));
        self.order = order;
    }

    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    /// Whether no two rows have the same labels.
    pub(super) fn unique(&self) -> bool {
        self.unique
    }

    pub(super) fn len(&self) -> usize {
        self.tails.len()
    }

    /// The index of a row.
    pub(super) fn index(&self, row: u32) -> &[u32] {
        &self.tails[row as usize]
    }

    pub(super) fn shape(&self) -> &'a Shape {
        self.shape
    }

    fn width(&self) -> usize {
        self.shape.names.len() + 1
    }

    /// The rendered labels of a row, without braces.
    pub(super) fn labels(&self, row: u32) -> &str {
        let first = row as usize * self.width();
        &self.text[self.bounds[first] as usize..self.bounds[first + self.width() - 1] as usize]
    }

    /// The rendered labels with one more at its place.
    pub(super) fn labels_with(&self, row: u32, name: &str, value: &str) -> String {
        let at = self
            .shape
            .names
            .partition_point(|other| other.as_str() < name);
        let first = row as usize * self.width();
        let (start, middle, end) = (
            self.bounds[first] as usize,
            self.bounds[first + at] as usize,
            self.bounds[first + self.width() - 1] as usize,
        );
        let mut out = String::with_capacity(end - start + name.len() + value.len() + 8);
        out.push_str(&self.text[start..middle]);
        if middle > start {
            out.push(',');
        }
        expose::label(name, value, &mut out);
        let tail = &self.text[middle..end];
        if !tail.is_empty() && !tail.starts_with(',') {
            out.push(',');
        }
        out.push_str(tail);
        out
    }
}
