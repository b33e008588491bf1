//! How large a target's columns were last time: a hint for how to ask, never believed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Params;
use crate::oid::{self, Oid};
use crate::value::{Column, Table, Value};

/// Octets of varbinds that fit an Ethernet frame behind the headers of versions 1 and 2c.
const FRAME: u32 = 1410;
/// The same behind those of version 3 with authentication and privacy.
const FRAME_V3: u32 = 1330;
/// Rows of a column from which on its indexes are remembered, so that it can be asked for in parts at the same time.
const LONG: usize = 16;
/// The fewest requests that a part takes.
const PART: u32 = 2;
/// Columns of no more rows than this are asked for together, whatever their heights are.
const LOW: u32 = 4;
/// The most columns of one row or none that are asked for by themselves: a walk passes over many at once.
const FEW_LONE: usize = 12;
/// Octets of a varbind of which nothing is known.
const UNKNOWN: usize = 24;
/// The most names of a request for columns: some agents answer no more.
pub(super) const MOST_COLUMNS: usize = 24;

/// What is remembered of columns, sorted.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    columns: Vec<Size>,
    indexes: Vec<Indexes>,
    frame: u32,
    /// Columns of one row or none are so few that to ask for each costs less than to walk from one to the next.
    few_lone: bool,
    last: Last,
}

/// How the last scrape asked: the next one mostly asks for the same.
#[derive(Debug, Default)]
struct Last(Mutex<Option<Asked>>);

#[derive(Debug)]
struct Asked {
    columns: Vec<(usize, Oid)>,
    limits: (u32, u32),
    groups: Vec<Group>,
}

impl Clone for Last {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Last {
    fn lock(&self) -> MutexGuard<'_, Option<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Debug)]
struct Size {
    column: Oid,
    rows: u32,
    /// Octets of a varbind.
    octets: u32,
    /// Octets of all values.
    values: usize,
    /// Where its indexes stand, when it is long.
    indexes: Option<usize>,
}

/// Indexes of the rows of long columns, all of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Indexes {
    length: usize,
    ids: Vec<u32>,
}

impl Indexes {
    /// Of a column; `None` when they differ in length.
    fn of(table: &Table, column: &Column) -> Option<Self> {
        let length = column.prefix().ids().len();
        let mut tails = column
            .entries()
            .iter()
            .map(|entry| table.at(column, entry).behind(length))
            .peekable();
        let length = tails.peek()?.len();
        let mut ids = Vec::with_capacity(column.entries().len() * length);
        for tail in tails {
            if tail.len() != length || length == 0 {
                return None;
            }
            ids.extend_from_slice(&tail);
        }
        Some(Self { length, ids })
    }
}

/// Columns that one request asks for together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Each with the piece of work that wants it, and how many rows it had.
    pub(super) columns: Vec<(usize, Oid, u32)>,
    pub(super) repetitions: u32,
    /// The indexes of the rows with which all parts but the last end.
    pub(super) cuts: Vec<Vec<u32>>,
    /// Rows of every part but the last.
    pub(super) part: u32,
    /// Octets of the varbinds of a row.
    pub(super) octets: u32,
    /// What is asked for in front of the first rows.
    pub(super) questions: Vec<Question>,
}

/// An instance, and the piece of work that wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) work: usize,
    /// Only we want to know it.
    pub(super) own: bool,
    pub(super) instance: Oid,
}

/// A column of known size.
#[derive(Clone, Debug)]
struct Known {
    work: usize,
    column: Oid,
    rows: u32,
    octets: u32,
    indexes: Option<usize>,
}

impl Sizes {
    /// Of what a scrape brought. `v3` leaves room for the headers of version 3.
    #[must_use]
    pub fn of(table: &Table, v3: bool) -> Self {
        let mut indexes: Vec<Indexes> = Vec::new();
        let mut place = |column: &Column| {
            let found = Indexes::of(table, column)?;
            let known = indexes.iter().position(|known| *known == found);
            Some(known.unwrap_or_else(|| {
                indexes.push(found);
                indexes.len() - 1
            }))
        };
        let mut columns: Vec<Size> = table
            .columns()
            .iter()
            .map(|column| {
                let names: usize = column
                    .entries()
                    .iter()
                    .map(|entry| 6 + table.at(column, entry).encoded_len())
                    .sum();
                let values = octets_of_values(table, column);
                let rows = column.entries().len();
                let each = if rows == 0 {
                    UNKNOWN
                } else {
                    (names + values).div_ceil(rows)
                };
                Size {
                    values,
                    column: column.prefix().clone(),
                    rows: u32::try_from(rows).unwrap_or(u32::MAX),
                    octets: u32::try_from(each).unwrap_or(u32::MAX),
                    indexes: if rows < LONG { None } else { place(column) },
                }
            })
            .collect();
        columns.shrink_to_fit();
        let lone = columns.iter().filter(|size| size.rows < 2).count();
        let frame = if v3 { FRAME_V3 } else { FRAME };
        Self {
            columns,
            indexes,
            frame,
            few_lone: lone <= FEW_LONE,
            last: Last::default(),
        }
    }

    /// Whether this is still so of what a scrape brought: for short columns, of whose rows only the number counts.
    #[must_use]
    pub fn hold(&self, table: &Table) -> bool {
        let mut columns = table.columns().iter();
        let same = |size: &Size| {
            columns.next().is_some_and(|column| {
                size.column == *column.prefix()
                    && size.rows as usize == column.entries().len()
                    && size.indexes.is_none()
                    && octets_of_values(table, column) <= size.values
            })
        };
        self.columns.iter().all(same) && columns.next().is_none()
    }

    /// Octets held, for limits.
    #[must_use]
    pub fn octets_held(&self) -> usize {
        let one = |size: &Size| size_of::<Size>() + size.column.ids().len() * 4;
        let indexes = self.indexes.iter().map(|indexes| indexes.ids.len() * 4);
        // As it was asked for, and the groups.
        let last = self.columns.len() * 2 * size_of::<(usize, Oid, u32)>();
        self.columns.iter().map(one).sum::<usize>() + indexes.sum::<usize>() + last
    }

    fn get(&self, column: &Oid) -> Option<&Size> {
        let at = self
            .columns
            .binary_search_by(|size| size.column.cmp(column))
            .ok()?;
        Some(&self.columns[at])
    }

    /// The most octets of varbinds that are asked for at a time, of a target that answers no more than `frame`.
    pub(super) fn frame(&self, frame: u32) -> u32 {
        self.frame.min(frame)
    }

    /// How to ask for those of `columns` whose size is known, at most `cap` values and `frame` octets of varbinds at a time.
    pub(super) fn groups(&self, columns: Vec<(usize, Oid)>, cap: u32, frame: u32) -> Vec<Group> {
        let limits = (cap, self.frame(frame));
        let is_same = |last: &&Asked| last.limits == limits && last.columns == columns;
        if let Some(last) = self.last.lock().as_ref().filter(is_same) {
            return last.groups.clone();
        }
        let groups = self.grouped(&columns, limits);
        *self.last.lock() = Some(Asked {
            columns,
            limits,
            groups: groups.clone(),
        });
        groups
    }

    fn grouped(&self, columns: &[(usize, Oid)], limits: (u32, u32)) -> Vec<Group> {
        let mut known: Vec<Known> = columns
            .iter()
            .filter_map(|(work, column)| {
                let size = self.get(column)?;
                Some(Known {
                    work: *work,
                    column: column.clone(),
                    rows: size.rows,
                    octets: size.octets,
                    indexes: size.indexes,
                })
            })
            .collect();
        // Columns of one height are asked for together, whichever table they stand in.
        let height = |known: &Known| (known.rows.max(LOW), known.indexes);
        known.sort_by_key(|known| (height(known), known.octets));
        let mut groups = Vec::new();
        for run in known.chunk_by(|a, b| height(a) == height(b)) {
            self.best(&mixed(run), limits, &mut groups);
        }
        groups
    }

    /// Whether the size of a column is known.
    pub(super) fn knows(&self, column: &Oid) -> bool {
        let size = self.get(column);
        size.is_some_and(|size| size.rows > 1 || self.few_lone)
    }

    /// Whether the target had this instance.
    pub(super) fn has(&self, instance: &Oid) -> bool {
        self.get(instance).is_some_and(|size| size.rows == 1)
    }

    /// The partition of neighbouring columns that needs the fewest requests.
    fn best(&self, run: &[Known], limits: (u32, u32), out: &mut Vec<Group>) {
        // What a target could answer is tried anew, a quarter more each time: as many names are asked for as it answered for certain.
        let most = MOST_COLUMNS.min((limits.0 - limits.0 / 5) as usize).max(1);
        // Requests for the first so many columns, and how many of them the last group has.
        let mut cost: Vec<(u32, usize)> = vec![(0, 0)];
        for end in 1..=run.len() {
            let mut best = (u32::MAX, 1);
            let (mut octets, mut rows) = (0, 0);
            for take in 1..=end.min(most) {
                octets += run[end - take].octets;
                rows = rows.max(run[end - take].rows);
                let (requests, _) = requests(rows, (take, octets), limits);
                let whole = cost[end - take].0.saturating_add(requests);
                if whole < best.0 {
                    best = (whole, take);
                }
            }
            cost.push(best);
        }
        let mut end = run.len();
        while end > 0 {
            let take = cost[end].1;
            let part = &run[end - take..end];
            let octets = part.iter().map(|known| known.octets).sum();
            let rows = part.iter().map(|known| known.rows).max().unwrap_or(0);
            let repetitions = requests(rows, (take, octets), limits).1;
            out.push(Group {
                cuts: self.cuts(part, PART * repetitions),
                part: PART * repetitions,
                columns: part
                    .iter()
                    .map(|known| (known.work, known.column.clone(), known.rows))
                    .collect(),
                repetitions,
                octets,
                questions: Vec::new(),
            });
            end -= take;
        }
    }

    /// The indexes with which every `part` rows of these columns end, where they are known; the last part has no such end.
    fn cuts(&self, columns: &[Known], part: u32) -> Vec<Vec<u32>> {
        let place = columns.first().and_then(|known| known.indexes);
        let Some(indexes) = place.and_then(|at| self.indexes.get(at)) else {
            return Vec::new();
        };
        let mut rows = indexes.ids.chunks_exact(indexes.length).peekable();
        let mut cuts = Vec::new();
        while let Some(last) = rows.nth(part as usize - 1) {
            if rows.peek().is_some() {
                cuts.push(last.to_vec());
            }
        }
        cuts
    }
}

/// How many requests so many columns of so many octets a row need together, and the repetitions of each: one row more is asked for, which
/// shows the end. `limits` are values and octets of an answer.
fn requests(rows: u32, (columns, octets): (usize, u32), (cap, frame): (u32, u32)) -> (u32, u32) {
    let by_cap = cap / columns.max(1) as u32;
    let fit = (frame / octets.max(1)).min(by_cap).min(100);
    if fit == 0 {
        return (u32::MAX / 2, 1);
    }
    let requests = (rows + 1).div_ceil(fit);
    (requests, (rows + 1).div_ceil(requests))
}

/// Wide and narrow columns by turns, so that neighbours fill a frame alike.
fn mixed(run: &[Known]) -> Vec<Known> {
    let mut left: VecDeque<&Known> = run.iter().collect();
    let mut out = Vec::with_capacity(run.len());
    while let Some(wide) = left.pop_back() {
        out.push(wide.clone());
        out.extend(left.pop_front().cloned());
    }
    out
}

/// Whether columns may be asked for together: not where a module or the target wants less, or the order is not kept.
pub(super) fn may_group(params: &Params, cap: u32) -> bool {
    const USUAL: u32 = 25;
    (params.repetitions == 0 || params.repetitions >= USUAL)
        && !params.allow_nonincreasing
        && cap >= USUAL
        && params.timeout > Duration::ZERO
}

/// Octets of the contents of a column's values, at most.
fn octets_of_values(table: &Table, column: &Column) -> usize {
    let entries = column.entries().iter();
    entries.map(|entry| length(table, &entry.value)).sum()
}

/// Octets of a value's content, at most.
fn length(table: &Table, value: &Value) -> usize {
    let number = |number: u64| (64 - number.leading_zeros() as usize) / 8 + 1;
    match *value {
        Value::Integer(whole) => number(whole.unsigned_abs()),
        Value::Unsigned(whole) | Value::Counter64(whole) => number(whole),
        Value::Octets(span) => table.octets(span).len(),
        Value::Oid(span) => oid::encoded_len(table.sub_ids(span)),
        Value::Ipv4(_) => 4,
        Value::Ipv6(_) => 16,
        Value::Float(_) => 7,
        Value::Double(_) => 11,
        Value::Null => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(frame: u32, columns: &[(u32, u32, u32)]) -> Sizes {
        let columns = columns
            .iter()
            .map(|(column, rows, octets)| Size {
                column: Oid::new([1, *column]),
                rows: *rows,
                octets: *octets,
                values: 0,
                indexes: None,
            })
            .collect();
        Sizes {
            columns,
            indexes: Vec::new(),
            frame,
            few_lone: true,
            last: Last::default(),
        }
    }

    fn asked(sizes: &Sizes, columns: std::ops::RangeInclusive<u32>, cap: u32) -> Vec<(usize, u32)> {
        let columns = columns.map(|column| (0, Oid::new([1, column]))).collect();
        let groups = sizes.groups(columns, cap, u32::MAX);
        groups
            .iter()
            .map(|group| (group.columns.len(), group.repetitions))
            .collect()
    }

    #[test]
    fn columns_of_one_height_share_requests_and_the_last_row_shows_the_end() {
        let sizes = sizes(
            1400,
            &[
                (1, 50, 20),
                (2, 50, 20),
                (3, 50, 20),
                (4, 50, 20),
                (5, 7, 20),
            ],
        );
        assert!(sizes.knows(&Oid::new([1, 5])) && !sizes.knows(&Oid::new([1, 6])));
        // 17 rows of four columns fill 1,360 octets; three such requests see 51 rows.
        assert_eq!(asked(&sizes, 1..=6, u32::MAX), [(1, 8), (4, 17)]);
    }

    #[test]
    fn wide_and_narrow_columns_share_a_frame() {
        let sizes = sizes(1410, &[(1, 50, 17), (2, 50, 17), (3, 50, 22), (4, 50, 22)]);
        assert_eq!(asked(&sizes, 1..=4, u32::MAX), [(4, 17)]);
    }

    #[test]
    fn a_target_that_answers_little_is_asked_for_little() {
        let sizes = sizes(1400, &[(1, 50, 20), (2, 50, 20)]);
        for (columns, repetitions) in asked(&sizes, 1..=2, 30) {
            assert!(
                columns as u32 * repetitions <= 30,
                "{columns} {repetitions}"
            );
        }
    }
}
