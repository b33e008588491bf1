//! 32-bit counters carried on beyond their end.
//!
//! Prometheus takes a counter that became smaller for one that began anew, and so loses what was counted up to the end of the 32 bits.
//! A counter of ifTable or ifXTable that has a 64-bit twin (RFC 2863 §3.1.6) gets the upper half from it, as long as both count the same. For every other, how often it
//! wrapped is remembered from scrape to scrape. What is not certain to be a wrap passes as the device says it: then Prometheus sees a
//! counter that begins anew, which never makes a rate too high.
//!
//! A restart of the device (sysUpTime) or of an interface (ifCounterDiscontinuityTime) begins anew.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::twins;
use super::uptime::UpTime;
use crate::oid::{self, Oid};
use crate::samples::{OF_INTERFACES, Started, text};
use crate::value::{Table, Value};

const DISCONTINUITY: [u32; 11] = [1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 19];
/// hrSystemUptime.0 (HOST-RESOURCES-MIB).
pub(super) const HOST_UP_TIME: [u32; 10] = [1, 3, 6, 1, 2, 1, 25, 1, 1, 0];
/// A wrap may be so many times faster than what was counted before …
const FASTER: f64 = 8.0;
/// … and so much more, to be believed.
const MORE: f64 = 1_048_576.0;
/// A counter that goes back by less than this part of itself has not begun anew: the device answers from several caches.
const WAVERS: u64 = 1024;

/// A column of counters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Counter {
    column: Oid,
    /// Its 64-bit twin.
    twin: Option<Oid>,
    of_interface: bool,
}

impl Counter {
    pub(super) fn new(column: Oid) -> Self {
        let of_interface = OF_INTERFACES
            .iter()
            .any(|root| oid::within(column.ids(), root));
        let twin = || twins::twins().find(|(low, _)| *low == column);
        let twin = if of_interface { twin() } else { None };
        Self {
            twin: twin.map(|(_, wide)| wide),
            of_interface,
            column,
        }
    }
}

/// Counters of one target as they were last time.
#[derive(Debug)]
pub struct Carried {
    up: UpTime,
    /// Since when the counters count, Unix seconds: as it was first worked out, so that it stands still.
    since: Option<f64>,
    /// Sorted.
    columns: Vec<Rows>,
}

/// What is remembered of a column.
#[derive(Clone, Debug)]
struct Rows {
    column: Oid,
    /// What its counters made together, where they were read last time.
    sum: Option<f64>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Row {
    /// A hash of the index.
    index: u64,
    raw: u32,
    wraps: u32,
    /// Counted in a second.
    rate: f32,
    /// It was seen apart from its 64-bit twin, which is not believed again until the device starts anew.
    apart: bool,
}

impl Row {
    fn value(&self) -> u64 {
        (u64::from(self.wraps) << 32) | u64::from(self.raw)
    }
}

impl Carried {
    /// Since when the counters count.
    ///
    /// The host's own uptime goes before sysUpTime, which is that of the agent: where only the agent is started anew, counters go on.
    pub(super) fn started(&mut self, table: &Table, host_up_time: Option<u64>) -> Started {
        let of_host = || u32::try_from(host_up_time?).ok();
        let device = *self.since.get_or_insert_with(|| {
            let hundredths = of_host().unwrap_or(self.up.hundredths);
            UpTime {
                hundredths,
                ..self.up
            }
            .started()
        });
        let stamps = table.below(&DISCONTINUITY).filter_map(|(at, entry)| {
            let Value::Unsigned(stamp) = entry.value else {
                return None;
            };
            // 0 is the start of the device. A stamp before the 497 days that sysUpTime holds cannot be told from one to come.
            let known = stamp <= self.up.hundredths.into();
            let started = known.then_some(self.up.started() + stamp as f64 / 100.0);
            (stamp > 0).then(|| (at.behind(DISCONTINUITY.len()).into_owned(), started))
        });
        Started {
            device,
            interfaces: stamps.collect(),
        }
    }

    /// Octets held.
    pub(super) fn octets_held(&self) -> usize {
        self.columns
            .iter()
            .map(|one| 96 + one.column.ids().len() * 4 + one.rows.capacity() * size_of::<Row>())
            .sum()
    }

    fn of(&self, column: &[u32]) -> Option<&Rows> {
        let found = |one: &Rows| one.column.ids().cmp(column);
        let at = self.columns.binary_search_by(found).ok()?;
        self.columns.get(at)
    }
}

/// Carries these counters, which are sorted, on in the table; gives what to remember.
pub(super) fn carry(
    table: &mut Table,
    counters: &[Counter],
    before: Option<&Carried>,
    up: UpTime,
) -> Carried {
    let since = before
        .filter(|before| before.up.runs_on(up) || !fell(before, table, counters))
        .and_then(|before| before.since);
    let before = before.filter(|before| before.up.runs_on(up));
    let seconds = before.map_or(0.0, |before| elapsed(before.up.read, up.read));
    let begun = begun_anew(table, before);
    let is_read = |column: &Oid| {
        let found = counters.binary_search_by(|counter| counter.column.cmp(column));
        found.is_ok() || column.ids() == DISCONTINUITY
    };
    // Other modules of the same target have columns of their own.
    let mut after: Vec<Rows> = before
        .into_iter()
        .flat_map(|before| &before.columns)
        .filter(|one| !is_read(&one.column))
        .map(|one| Rows {
            sum: None,
            ..one.clone()
        })
        .collect();
    for counter in counters {
        let column = &counter.column;
        let wide = wide_values(table, column, counter.twin.as_ref());
        let old = before
            .and_then(|before| before.of(column.ids()))
            .map(|old| &old.rows);
        let mut finder = Finder::new(old);
        let mut rows = Vec::with_capacity(old.map_or(0, Vec::len));
        let mut sum = 0.0;
        table.change(column.ids(), |tail, value| {
            sum += text::number(value, false);
            let Value::Unsigned(number) = *value else {
                return;
            };
            let index = hash(tail);
            let known = finder
                .find(rows.len(), index)
                .filter(|_| !(counter.of_interface && begun.contains(&index)));
            let wide = wide.get(rows.len()).copied().flatten();
            let row = next(index, number as u32, wide, known, seconds);
            *value = Value::Counter64(row.value());
            rows.push(row);
        });
        // A column that failed is carried on from where it was.
        let rows = if rows.is_empty() {
            old.cloned().unwrap_or_default()
        } else {
            rows
        };
        if !rows.is_empty() || sum > 0.0 {
            after.push(Rows {
                column: column.clone(),
                sum: Some(sum),
                rows,
            });
        }
    }
    let stamps: Vec<Row> = stamps(table)
        .map(|(index, raw)| Row {
            index,
            raw,
            wraps: 0,
            rate: 0.0,
            apart: false,
        })
        .collect();
    let known = before.and_then(|before| before.of(&DISCONTINUITY));
    if let Some(known) = known.filter(|_| stamps.is_empty()) {
        after.push(known.clone());
    } else if !stamps.is_empty() {
        after.push(Rows {
            column: known.map_or_else(|| Oid::new(DISCONTINUITY), |known| known.column.clone()),
            sum: None,
            rows: stamps,
        });
    }
    after.sort_unstable_by(|a, b| a.column.cmp(&b.column));
    Carried {
        up,
        since,
        columns: after,
    }
}

/// Whether most columns of counters hold less than half of what they held: they began anew. Where sysUpTime alone went back, only the
/// agent did.
fn fell(before: &Carried, table: &Table, counters: &[Counter]) -> bool {
    let known = counters.iter().filter_map(|counter| {
        let before = before.of(counter.column.ids())?.sum?;
        let now = table.below(counter.column.ids());
        let now: f64 = now
            .map(|(_, entry)| text::number(&entry.value, false))
            .sum();
        (before > 0.0).then_some((before, now))
    });
    let (fell, all) = known.fold((0, 0), |(fell, all), (before, now)| {
        (fell + usize::from(now < before / 2.0), all + 1)
    });
    fell * 2 > all
}

fn elapsed(before: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(before).as_secs_f64()
}

fn stamps(table: &Table) -> impl Iterator<Item = (u64, u32)> + '_ {
    table
        .below(&DISCONTINUITY)
        .filter_map(|(at, entry)| match entry.value {
            Value::Unsigned(stamp) => Some((hash(&at.behind(DISCONTINUITY.len())), stamp as u32)),
            _ => None,
        })
}

/// Interfaces whose counters began anew.
fn begun_anew(table: &Table, before: Option<&Carried>) -> HashSet<u64> {
    let Some(known) = before.and_then(|before| before.of(&DISCONTINUITY)) else {
        return HashSet::new();
    };
    let mut finder = Finder::new(Some(&known.rows));
    stamps(table)
        .enumerate()
        .filter(|(at, (index, stamp))| {
            finder
                .find(*at, *index)
                .is_some_and(|row| row.raw != *stamp)
        })
        .map(|(_, (index, _))| index)
        .collect()
}

/// The 64-bit twins of a column's values, in order.
fn wide_values(table: &Table, column: &Oid, twin: Option<&Oid>) -> Vec<Option<u64>> {
    let Some(twin) = twin else { return Vec::new() };
    let number = |value: &Value| match *value {
        Value::Counter64(number) => Some(number),
        _ => None,
    };
    if table.same_rows(column.ids(), table, twin.ids()) {
        let entries = table.column(twin.ids()).map(|column| column.entries());
        return entries
            .unwrap_or_default()
            .iter()
            .map(|entry| number(&entry.value))
            .collect();
    }
    table
        .below(column.ids())
        .map(|(at, _)| {
            let ids = twin.join(&at.behind(column.ids().len()));
            table.get(ids.ids()).and_then(number)
        })
        .collect()
}

fn next(index: u64, raw: u32, wide: Option<u64>, known: Option<Row>, seconds: f64) -> Row {
    let was_apart = known.is_some_and(|known| known.apart);
    let fresh = |wraps| Row {
        index,
        raw,
        wraps,
        rate: 0.0,
        apart: was_apart || wide.is_some(),
    };
    let aligned = wide.filter(|_| !was_apart).and_then(|wide| {
        let ahead = twins::ahead(raw.into(), wide)?;
        wide.checked_add_signed(ahead.into())
    });
    if let Some(value) = aligned {
        return Row {
            apart: false,
            ..fresh(u32::try_from(value >> 32).unwrap_or(u32::MAX))
        };
    }
    let Some(known) = known else {
        return fresh(0);
    };
    let counted = raw.wrapping_sub(known.raw);
    let measured = |wraps| Row {
        rate: if seconds > 0.0 {
            (f64::from(counted) / seconds) as f32
        } else {
            known.rate
        },
        ..fresh(wraps)
    };
    if raw >= known.raw {
        return measured(known.wraps);
    }
    let back = u64::from(known.raw - raw);
    if back <= u64::from(known.raw) / WAVERS {
        return Row {
            apart: was_apart || wide.is_some(),
            ..known
        };
    }
    let likely = f64::from(known.rate) * seconds * FASTER + MORE;
    if f64::from(counted) <= likely {
        measured(known.wraps.saturating_add(1))
    } else {
        fresh(0)
    }
}

/// FNV-1a over an index.
fn hash(tail: &[u32]) -> u64 {
    tail.iter().fold(0xcbf2_9ce4_8422_2325, |hash, id| {
        (hash ^ u64::from(*id)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Finds rows that are mostly where they were.
struct Finder<'a> {
    rows: &'a [Row],
    by_index: Option<HashMap<u64, usize>>,
}

impl<'a> Finder<'a> {
    fn new(rows: Option<&'a Vec<Row>>) -> Self {
        Self {
            rows: rows.map(Vec::as_slice).unwrap_or_default(),
            by_index: None,
        }
    }

    fn find(&mut self, probably: usize, index: u64) -> Option<Row> {
        if let Some(row) = self.rows.get(probably).filter(|row| row.index == index) {
            return Some(*row);
        }
        let rows = self.rows;
        let by_index = self.by_index.get_or_insert_with(|| {
            rows.iter()
                .enumerate()
                .map(|(at, row)| (row.index, at))
                .collect()
        });
        by_index.get(&index).and_then(|at| rows.get(*at)).copied()
    }
}

#[cfg(test)]
mod tests;
