//! Columns that need not be asked for at every scrape.
//!
//! A table that has a time stamp of its last change keeps its label columns as long as that stamp and sysUpTime say that nothing
//! changed (a stamp of 0 says nothing, since many devices never move theirs), at most for [`Rules::keep`](super::Rules). Every scrape reads the stamps first; when one differs, or the rows that came are
//! others than before, everything is asked for in the same scrape. A table without a stamp keeps nothing.
//!
//! The 32-bit counters of ifTable and ifXTable are the low half of their 64-bit twins (RFC 2863 §3.1.6). Where a whole scrape shows
//! that a device does so for every row, they are made from those.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cache::Cache;
use super::plan::{Planned, Wanted};
use super::uptime::UpTime;
use crate::engine::Key;
use crate::oid::{self, Oid};
use crate::scrape::Work;
use crate::value::{Table, Value};

/// A part of the tree, the stamp of its last change, and which of its columns are kept beside those that are looked up.
struct Guarded {
    below: &'static [u32],
    stamp: &'static [u32],
    also: Also,
}

enum Also {
    /// Columns of these last numbers, which say what a row is and not how it fares.
    Columns(&'static [u32]),
    /// Every column: the stamp changes when any value does.
    All,
}

const TABLES: [Guarded; 5] = [
    // ifIndex, ifType and ifPhysAddress beside names; ifTableLastChange.
    Guarded {
        below: &[1, 3, 6, 1, 2, 1, 2, 2, 1],
        stamp: &[1, 3, 6, 1, 2, 1, 31, 1, 5, 0],
        also: Also::Columns(&[1, 2, 3, 6]),
    },
    // ifName, ifConnectorPresent, ifAlias; ifTableLastChange.
    Guarded {
        below: &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1],
        stamp: &[1, 3, 6, 1, 2, 1, 31, 1, 5, 0],
        also: Also::Columns(&[1, 17, 18]),
    },
    // ifStackStatus; ifStackLastChange.
    Guarded {
        below: &[1, 3, 6, 1, 2, 1, 31, 1, 2, 1],
        stamp: &[1, 3, 6, 1, 2, 1, 31, 1, 6, 0],
        also: Also::All,
    },
    // entPhysicalTable; entLastChangeTime (RFC 6933 §3).
    Guarded {
        below: &[1, 3, 6, 1, 2, 1, 47, 1, 1, 1, 1],
        stamp: &[1, 3, 6, 1, 2, 1, 47, 1, 4, 1, 0],
        also: Also::All,
    },
    // lldpRemTable; lldpStatsRemTablesLastChangeTime.
    Guarded {
        below: &[1, 0, 8802, 1, 1, 2, 1, 4, 1, 1],
        stamp: &[1, 0, 8802, 1, 1, 2, 1, 2, 1, 0],
        also: Also::All,
    },
];

const IF_ENTRY: [u32; 9] = [1, 3, 6, 1, 2, 1, 2, 2, 1];
const IF_X_ENTRY: [u32; 10] = [1, 3, 6, 1, 2, 1, 31, 1, 1, 1];

/// The 32-bit counters and their 64-bit twins.
pub(super) fn twins() -> impl Iterator<Item = (Oid, Oid)> {
    let of_table = [(10, 6), (11, 7), (16, 10), (17, 11)];
    let of_x_table = [(2, 8), (3, 9), (4, 12), (5, 13)];
    let wide = |column: u32| Oid::new(IF_X_ENTRY).join(&[column]);
    let one = of_table
        .into_iter()
        .map(move |(low, high)| (Oid::new(IF_ENTRY).join(&[low]), wide(high)));
    let other = of_x_table
        .into_iter()
        .map(move |(low, high)| (wide(low), wide(high)));
    one.chain(other)
}

/// What is kept of one target for one set of modules.
#[derive(Debug)]
pub struct Kept {
    since: Instant,
    up: Mutex<UpTime>,
    stamps: Vec<(Oid, u64)>,
    /// The columns kept, and what they hold.
    columns: Vec<Oid>,
    table: Table,
    /// 32-bit counters that are made from 64-bit ones.
    low: Vec<(Oid, Oid)>,
    /// A kept column, and one that is fetched and must have the same rows.
    rows: Vec<(Oid, Oid)>,
}

/// What one scrape may leave out.
pub(super) struct Saver {
    key: Key,
    looked_up: BTreeSet<Oid>,
    stamps: BTreeSet<Oid>,
    known: Option<Arc<Kept>>,
}

impl Saver {
    pub(super) fn new(
        cache: &Cache<Kept>,
        key: Key,
        planned: &Planned,
        views: &[Wanted<'_>],
        keep: Duration,
    ) -> Self {
        let walked = |guarded: &&Guarded| {
            planned
                .works
                .iter()
                .filter(|work| !work.get)
                .flat_map(|work| &work.oids)
                .any(|oid| oid::within(oid.ids(), guarded.below))
        };
        let stamps = TABLES
            .iter()
            .filter(walked)
            .map(|guarded| Oid::new(guarded.stamp))
            .collect();
        let looked_up = views
            .iter()
            .flat_map(|view| view.plan.looked_up())
            .collect();
        let known = cache
            .get(&key)
            .filter(|kept| kept.since.elapsed() < spread(&key, keep));
        Self {
            key,
            looked_up,
            stamps,
            known,
        }
    }

    /// What the scrape must read to know whether what is kept still holds.
    pub(super) fn stamps(&self) -> Vec<Oid> {
        self.stamps.iter().cloned().collect()
    }

    /// Parts the work in what is asked now and what is left out.
    pub(super) fn part(&self, planned: Planned) -> (Planned, Planned) {
        let (mut now, mut later) = (Planned::default(), Planned::default());
        let Some(known) = &self.known else {
            return (planned, later);
        };
        for (work, owners) in planned.works.into_iter().zip(planned.owners) {
            if work.get {
                now.push(work, owners);
                continue;
            }
            let (left_out, asked): (Vec<Oid>, Vec<Oid>) =
                work.oids.iter().cloned().partition(|oid| known.has(oid));
            for (oids, to) in [(asked, &mut now), (left_out, &mut later)] {
                if !oids.is_empty() {
                    to.push(
                        Work {
                            oids,
                            ..work.clone()
                        },
                        owners.clone(),
                    );
                }
            }
        }
        (now, later)
    }

    /// Completes the table with what is kept, when that still holds.
    pub(super) fn complete(&self, table: &mut Table, up: Option<UpTime>) -> Found {
        let Some(known) = &self.known else {
            return Found::Nothing;
        };
        if !up.is_some_and(|up| known.holds(table, up)) {
            return Found::Changed;
        }
        table.absorb(&known.table);
        for (low, wide) in &known.low {
            table.copy_column(wide.ids(), low, |value| match value {
                Value::Counter64(number) => Value::Unsigned(number & 0xffff_ffff),
                other => other,
            });
        }
        Found::Kept
    }

    /// Remembers what a whole scrape brought.
    pub(super) fn learn(&self, cache: &Cache<Kept>, table: &Table, planned: &Planned, up: UpTime) {
        let stamps: Vec<(Oid, u64)> = self
            .stamps
            .iter()
            .filter_map(|oid| Some((oid.clone(), unsigned(table.get(oid.ids())?)?)))
            // One that stands at 0 may be one that never moves.
            .filter(|(_, stamp)| *stamp > 0)
            .collect();
        let has_stamp = |stamp: &[u32]| stamps.iter().any(|(oid, _)| oid.ids() == stamp);
        let walked: BTreeSet<&Oid> = planned
            .works
            .iter()
            .filter(|work| !work.get)
            .flat_map(|work| &work.oids)
            .collect();
        let columns: Vec<Oid> = walked
            .iter()
            .filter(|oid| {
                TABLES
                    .iter()
                    .any(|guarded| has_stamp(guarded.stamp) && guarded.keeps(oid, &self.looked_up))
            })
            .map(|oid| (*oid).clone())
            .collect();
        if columns.is_empty() {
            cache.remove(&self.key);
            return;
        }
        let filled = |oid: &&Oid| {
            table
                .column(oid.ids())
                .is_some_and(|column| !column.entries().is_empty())
        };
        let mut rows = Vec::new();
        let mut low: Vec<(Oid, Oid)> = twins()
            .filter(|(low, wide)| {
                walked.contains(low) && walked.contains(wide) && agree(table, low, wide)
            })
            .collect();
        let anchor = |column: &Oid| {
            let with_rows = columns.iter().filter(filled);
            let mut same =
                with_rows.filter(|kept| table.same_rows(kept.ids(), table, column.ids()));
            same.next().cloned()
        };
        low.retain(|(_, wide)| match anchor(wide) {
            Some(kept) => {
                rows.push((kept, wide.clone()));
                true
            }
            None => false,
        });
        // One fetched column of each table shows whether its rows are still the same.
        for guarded in &TABLES {
            let fetched = walked.iter().find_map(|oid| {
                let there = oid::within(oid.ids(), guarded.below)
                    && !columns.contains(oid)
                    && !low.iter().any(|(low, _)| low == *oid);
                let kept = there.then(|| anchor(oid)).flatten()?;
                Some((kept, (*oid).clone()))
            });
            rows.extend(fetched);
        }
        rows.sort();
        rows.dedup();
        let kept = Kept {
            since: Instant::now(),
            up: Mutex::new(up),
            stamps,
            table: table.only(&columns),
            columns,
            low,
            rows,
        };
        let octets = kept.octets_held();
        cache.put(self.key.clone(), kept, octets);
    }

    /// What is kept no longer holds.
    pub(super) fn forget(&self, cache: &Cache<Kept>) {
        cache.remove(&self.key);
    }
}

/// What became of what was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There was nothing.
    Nothing,
    /// It completed the table.
    Kept,
    /// The target has changed.
    Changed,
}

impl Found {
    /// The label value of its count.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "miss",
            Self::Kept => "hit",
            Self::Changed => "changed",
        }
    }
}

impl Guarded {
    fn keeps(&self, column: &Oid, looked_up: &BTreeSet<Oid>) -> bool {
        let Some([number]) = column.ids().strip_prefix(self.below) else {
            return false;
        };
        match self.also {
            Also::All => true,
            Also::Columns(numbers) => numbers.contains(number) || looked_up.contains(column),
        }
    }
}

impl Kept {
    fn has(&self, column: &Oid) -> bool {
        self.columns.contains(column) || self.low.iter().any(|(low, _)| low == column)
    }

    fn holds(&self, table: &Table, up: UpTime) -> bool {
        let mut last = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        let same_run = last.runs_on(up);
        let same_stamps = self
            .stamps
            .iter()
            .all(|(oid, stamp)| table.get(oid.ids()).and_then(unsigned) == Some(*stamp));
        let same_rows = self
            .rows
            .iter()
            .all(|(kept, fetched)| self.table.same_rows(kept.ids(), table, fetched.ids()));
        if same_run {
            *last = up;
        }
        same_run && same_stamps && same_rows
    }

    fn octets_held(&self) -> usize {
        let oid = |oid: &Oid| size_of::<Oid>() + oid.ids().len() * 4;
        let pair = |(a, b): &(Oid, Oid)| oid(a) + oid(b);
        self.table.octets_held()
            + self.columns.iter().map(oid).sum::<usize>() * 2
            + self.low.iter().chain(&self.rows).map(pair).sum::<usize>()
    }
}

fn unsigned(value: &Value) -> Option<u64> {
    match *value {
        Value::Unsigned(number) => Some(number),
        _ => None,
    }
}

/// How far a 32-bit counter lies ahead of the low half of its twin; `None` when too far for both to count the same.
pub(super) fn ahead(low: u64, wide: u64) -> Option<i32> {
    const MOST: u64 = 1 << 28;
    let ahead = (low as u32).wrapping_sub(wide as u32).cast_signed();
    // The two are read at different moments. What has counted little must agree well.
    let allowed = MOST.min((1 << 16) + wide / 64);
    (u64::from(ahead.unsigned_abs()) <= allowed).then_some(ahead)
}

/// Whether a 32-bit column can be made from its twin: in every row both count the same, and in one at least the twin does count. On some
/// devices it stays at 0, on some it counts something else.
fn agree(table: &Table, low: &Oid, wide: &Oid) -> bool {
    // Twins are read within the same scrape: what came between is a small part of what a counter holds.
    let same = |low: u64, wide: u64| {
        let ahead = (low as u32).wrapping_sub(wide as u32).cast_signed();
        u64::from(ahead.unsigned_abs()) <= (16 + (wide >> 16)).min(1 << 28)
    };
    let (Some(lows), Some(wides)) = (table.column(low.ids()), table.column(wide.ids())) else {
        return false;
    };
    !lows.entries().is_empty()
        && table.same_rows(low.ids(), table, wide.ids())
        && lows
            .entries()
            .iter()
            .zip(wides.entries())
            .all(|(low, wide)| match (low.value, wide.value) {
                (Value::Unsigned(low), Value::Counter64(wide)) => same(low, wide),
                _ => false,
            })
        && wides
            .entries()
            .iter()
            .any(|wide| !matches!(wide.value, Value::Counter64(0)))
}

/// Targets must not all be asked in full at the same moment: each has three to four quarters of the time.
fn spread(key: &Key, keep: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    keep.mul_f64(0.75 + (hasher.finish() % 1000) as f64 / 4000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Raw;

    fn agrees(rows: &[(u64, u64)]) -> bool {
        let low: Oid = "1.3.6.1.2.1.31.1.1.1.2".parse().unwrap();
        let wide: Oid = "1.3.6.1.2.1.31.1.1.1.8".parse().unwrap();
        let mut table = Table::new([low.clone(), wide.clone()]);
        for (index, (short, long)) in (1..).zip(rows) {
            let insert = [
                (&low, Raw::Unsigned(*short)),
                (&wide, Raw::Counter64(*long)),
            ];
            for (column, value) in insert {
                table.insert(column.join(&[index]).ids(), value).unwrap();
            }
        }
        table.sort();
        agree(&table, &low, &wide)
    }

    #[test]
    fn a_twin_is_believed_when_it_counts_the_same_everywhere_and_counts_at_all() {
        assert!(agrees(&[(300, 300), (0, 0)]));
        assert!(agrees(&[(7_010, (5 << 32) + 7_000)]));
        // What came between the two, on a fast interface that has counted for long.
        assert!(agrees(&[(200_000_000, (1 << 40) + 190_000_000)]));
        assert!(!agrees(&[(300, 0), (0, 0)]));
        assert!(!agrees(&[(0, 0)]));
        assert!(!agrees(&[(17, 0), (5, 5)]));
        assert!(!agrees(&[(3_000_000_000, 50_000_000_000)]));
        assert!(!agrees(&[]));
    }
}
