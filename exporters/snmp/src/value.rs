//! Values of objects, and the table that one scrape fills.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::oid::{self, Oid, OidError};

/// One value as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Raw<'a> {
    /// INTEGER.
    Integer(i64),
    /// Counter32, Gauge32, TimeTicks, UInteger32.
    Unsigned(u64),
    /// Counter64.
    Counter64(u64),
    /// OCTET STRING, NsapAddress, and Opaque that holds no number.
    Octets(&'a [u8]),
    /// OBJECT IDENTIFIER, its content octets.
    Oid(&'a [u8]),
    /// IpAddress; some agents send sixteen octets.
    Ip(IpAddr),
    /// Opaque float (tag 9f78).
    Float(f32),
    /// Opaque double (tag 9f79).
    Double(f64),
    /// NULL, or an IpAddress of no octets.
    Null,
    /// The agent has no such object or instance.
    Missing,
    /// Nothing follows in the agent's view.
    EndOfMibView,
}

/// Why a value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A number of more octets than its type allows.
    #[error("a number is too long")]
    TooLong,
    /// An address that is neither 4 nor 16 octets long.
    #[error("an IpAddress has {0} octets")]
    Address(usize),
    /// A type that SNMP does not have.
    #[error("unknown value type 0x{0:02x}")]
    Type(u8),
}

/// Reads the content octets of a value of BER type `tag` (RFC 2578 §7.1, RFC 3416 §2.5).
///
/// Numbers of no octets, which some agents send, read as 0.
///
/// # Errors
/// The value is malformed or of a type that SNMP does not have.
pub fn read(tag: u8, content: &[u8]) -> Result<Raw<'_>, ValueError> {
    Ok(match tag {
        0x02 => Raw::Integer(signed(content)?),
        0x04 | 0x45 => Raw::Octets(content),
        0x05 => Raw::Null,
        0x06 => Raw::Oid(content),
        0x40 => match *content {
            [] => Raw::Null,
            [a, b, c, d] => Raw::Ip(Ipv4Addr::new(a, b, c, d).into()),
            _ => {
                let octets: [u8; 16] = content
                    .try_into()
                    .map_err(|_| ValueError::Address(content.len()))?;
                let address = Ipv6Addr::from(octets);
                Raw::Ip(
                    address
                        .to_ipv4_mapped()
                        .map_or(address.into(), IpAddr::from),
                )
            }
        },
        0x41..=0x43 | 0x47 => Raw::Unsigned(unsigned(content)? & 0xffff_ffff),
        0x44 => opaque(content),
        0x46 => Raw::Counter64(unsigned(content)?),
        0x80 | 0x81 => Raw::Missing,
        0x82 => Raw::EndOfMibView,
        other => return Err(ValueError::Type(other)),
    })
}

fn signed(content: &[u8]) -> Result<i64, ValueError> {
    if content.len() > 8 {
        return Err(ValueError::TooLong);
    }
    let start = if content.first().is_some_and(|byte| byte & 0x80 != 0) {
        -1
    } else {
        0
    };
    Ok(content
        .iter()
        .fold(start, |number, byte| (number << 8) | i64::from(*byte)))
}

fn unsigned(content: &[u8]) -> Result<u64, ValueError> {
    if content.len() > 9 || (content.len() == 9 && content[0] != 0) {
        return Err(ValueError::TooLong);
    }
    Ok(content
        .iter()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

fn opaque(content: &[u8]) -> Raw<'_> {
    match *content {
        [0x9f, 0x78, 4, a, b, c, d] => Raw::Float(f32::from_be_bytes([a, b, c, d])),
        [0x9f, 0x79, 8, a, b, c, d, e, f, g, h] => {
            Raw::Double(f64::from_be_bytes([a, b, c, d, e, f, g, h]))
        }
        _ => Raw::Octets(content),
    }
}

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
    /// An address.
    Ip(IpAddr),
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
    oid: Span,
    /// Its value.
    pub value: Value,
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
            Raw::Octets(octets) => {
                let at = self.octets.len();
                self.octets.extend_from_slice(octets);
                Value::Octets(span(at, octets.len()))
            }
            Raw::Oid(octets) => {
                let at = self.ids.len();
                oid::decode(octets, &mut self.ids)?;
                Value::Oid(span(at, self.ids.len() - at))
            }
            Raw::Ip(address) => Value::Ip(address),
            Raw::Float(number) => Value::Float(number),
            Raw::Double(number) => Value::Double(number),
            Raw::Null => Value::Null,
            Raw::Missing | Raw::EndOfMibView => return Ok(false),
        };
        self.push(place, ids, value);
        Ok(true)
    }

    /// Orders every column by index; of several values of one instance the last stays.
    pub fn sort(&mut self) {
        let ids = &self.ids;
        for column in self.columns.iter_mut().filter(|column| column.disordered) {
            column.entries.reverse();
            column
                .entries
                .sort_by(|a, b| slice(ids, a.oid).cmp(slice(ids, b.oid)));
            column
                .entries
                .dedup_by(|later, first| slice(ids, later.oid) == slice(ids, first.oid));
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
            for entry in &column.entries {
                let value = match entry.value {
                    Value::Octets(from) => {
                        let at = self.octets.len();
                        self.octets.extend_from_slice(other.octets(from));
                        Value::Octets(span(at, from.len as usize))
                    }
                    Value::Oid(from) => {
                        let at = self.ids.len();
                        self.ids.extend_from_slice(other.sub_ids(from));
                        Value::Oid(span(at, from.len as usize))
                    }
                    plain => plain,
                };
                self.push(place, other.ids(entry), value);
            }
        }
        self.last = 0;
    }

    /// A table of these columns of this one.
    #[must_use]
    pub fn only(&self, columns: &[Oid]) -> Self {
        let mut out = Self::new(columns.iter().cloned());
        let mut one = Self {
            ids: Vec::new(),
            octets: Vec::new(),
            ..Self::default()
        };
        for column in &mut out.columns {
            let Ok(at) = self
                .columns
                .binary_search_by(|known| known.prefix.cmp(&column.prefix))
            else {
                continue;
            };
            for entry in &self.columns[at].entries {
                let value = match entry.value {
                    Value::Octets(from) => {
                        let at = one.octets.len();
                        one.octets.extend_from_slice(self.octets(from));
                        Value::Octets(span(at, from.len as usize))
                    }
                    Value::Oid(from) => {
                        let at = one.ids.len();
                        one.ids.extend_from_slice(self.sub_ids(from));
                        Value::Oid(span(at, from.len as usize))
                    }
                    plain => plain,
                };
                let oid = span(one.ids.len(), self.ids(entry).len());
                one.ids.extend_from_slice(self.ids(entry));
                column.entries.push(Entry { oid, value });
                one.count += 1;
            }
            column.entries.shrink_to_fit();
        }
        one.ids.shrink_to_fit();
        one.octets.shrink_to_fit();
        one.columns = out.columns;
        one
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
        for column in &mut self.columns {
            let prefix = column.prefix.ids();
            if !oid::within(prefix, root) && !oid::within(root, prefix) {
                continue;
            }
            for entry in &mut column.entries {
                if let Some(tail) = slice(ids, entry.oid).strip_prefix(root) {
                    change(tail, &mut entry.value);
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
        for entry in entries {
            let (start, begin, end) = (
                self.ids.len(),
                entry.oid.at as usize + from.len(),
                (entry.oid.at + entry.oid.len) as usize,
            );
            self.ids.extend_from_slice(to.ids());
            self.ids.extend_from_within(begin..end);
            let oid = span(start, self.ids.len() - start);
            let value = value(entry.value);
            self.columns[place].entries.push(Entry { oid, value });
            self.count += 1;
        }
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
                .all(|(x, y)| self.ids(x).strip_prefix(one) == other.ids(y).strip_prefix(another))
    }

    fn push(&mut self, place: usize, ids: &[u32], value: Value) {
        let column = &mut self.columns[place];
        let at = self.ids.len();
        if let Some(previous) = column.entries.last() {
            column.disordered |= slice(&self.ids, previous.oid) >= ids;
        }
        // Many tables are filled at a time: growing by a quarter instead of doubling keeps them near their size.
        if self.ids.capacity() - at < ids.len() {
            self.ids.reserve_exact(ids.len().max(at / 4).max(256));
        }
        let rows = column.entries.len();
        if column.entries.capacity() == rows {
            column.entries.reserve_exact((rows / 4).max(8));
        }
        self.ids.extend_from_slice(ids);
        column.entries.push(Entry {
            oid: span(at, ids.len()),
            value,
        });
        self.count += 1;
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

    /// The whole identifier of an entry.
    #[must_use]
    pub fn ids(&self, entry: &Entry) -> &[u32] {
        slice(&self.ids, entry.oid)
    }

    /// The octets of a value.
    #[must_use]
    pub fn octets(&self, span: Span) -> &[u8] {
        self.octets
            .get(span.at as usize..(span.at + span.len) as usize)
            .unwrap_or_default()
    }

    /// The sub-identifiers of a value.
    #[must_use]
    pub fn sub_ids(&self, span: Span) -> &[u32] {
        slice(&self.ids, span)
    }

    /// What is at or below `root`, in order. The table must be sorted.
    pub fn below<'a>(&'a self, root: &'a [u32]) -> impl Iterator<Item = &'a Entry> {
        let first = self.column_of(root).unwrap_or_else(|| {
            self.columns
                .partition_point(|column| column.prefix.ids() < root)
        });
        let columns = self.columns[first..].iter().take_while(move |column| {
            oid::within(column.prefix.ids(), root) || oid::within(root, column.prefix.ids())
        });
        columns.flat_map(move |column| {
            let start = column
                .entries
                .partition_point(|entry| self.ids(entry) < root);
            column.entries[start..]
                .iter()
                .take_while(move |entry| oid::within(self.ids(entry), root))
        })
    }

    /// The value of exactly this instance. The table must be sorted.
    #[must_use]
    pub fn get(&self, ids: &[u32]) -> Option<&Value> {
        let column = &self.columns[self.column_of(ids)?];
        let at = column
            .entries
            .binary_search_by(|entry| self.ids(entry).cmp(ids))
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
    fn content_octets_read_as_their_type_says() {
        let cases: [(u8, &[u8], Raw<'_>); 15] = [
            (0x02, &[0xff], Raw::Integer(-1)),
            (0x02, &[0, 0x80], Raw::Integer(128)),
            (0x02, &[], Raw::Integer(0)),
            (
                0x41,
                &[0, 0xff, 0xff, 0xff, 0xff],
                Raw::Unsigned(u64::from(u32::MAX)),
            ),
            (
                0x42,
                &[0xff, 0xff, 0xff, 0xff],
                Raw::Unsigned(u64::from(u32::MAX)),
            ),
            (0x43, &[], Raw::Unsigned(0)),
            (0x47, &[7], Raw::Unsigned(7)),
            (
                0x46,
                &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                Raw::Counter64(u64::MAX),
            ),
            (
                0x40,
                &[198, 18, 0, 1],
                Raw::Ip(IpAddr::from([198, 18, 0, 1])),
            ),
            (0x40, &[], Raw::Null),
            (0x44, &[0x9f, 0x78, 4, 0x3f, 0x80, 0, 0], Raw::Float(1.0)),
            (
                0x44,
                &[0x9f, 0x79, 8, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0],
                Raw::Double(1.0),
            ),
            (0x44, &[1, 2], Raw::Octets(&[1, 2])),
            (0x45, &[1], Raw::Octets(&[1])),
            (0x82, &[], Raw::EndOfMibView),
        ];
        for (tag, content, value) in cases {
            assert_eq!(read(tag, content), Ok(value), "{tag:x}");
        }
        assert_eq!(read(0x02, &[0; 9]), Err(ValueError::TooLong));
        assert_eq!(read(0x46, &[1; 9]), Err(ValueError::TooLong));
        assert_eq!(read(0x40, &[1, 2, 3]), Err(ValueError::Address(3)));
        assert_eq!(read(0x30, &[]), Err(ValueError::Type(0x30)));
    }

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
                .map(|entry| (table.ids(entry).to_vec(), entry.value))
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
