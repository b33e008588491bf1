//! Columns that need not be asked for at every scrape.
//!
//! A table that has a time stamp of its last change keeps its label columns as long as that stamp and sysUpTime say that nothing
//! changed, at most for [`Rules::keep`](super::Rules), once the stamp was [seen moving](super::proof). Every scrape reads the stamps and
//! a sample of what is kept; when one differs, or the rows that came are others than before, everything is asked for in the same
//! scrape. A table without a stamp keeps nothing, and neither does one so small that its columns fit the same requests.
//!
//! The 32-bit counters of ifTable and ifXTable are the low half of their 64-bit twins (RFC 2863 §3.1.6). Where whole scrapes show
//! that both count on together, they are made from those, and a sample of them is read at every scrape.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cache::Cache;
use super::plan::Planned;
use super::prepared::Prepared;
use super::proof::{Proof, Shortcut};
use super::twins::{Agreement, agree, few_idle, near, twins};
use super::uptime::UpTime;
use crate::engine::Key;
use crate::oid::{self, Oid};
use crate::scrape::Work;
use crate::value::{Column, Table, Value};

/// A part of the tree, the stamp of its last change, and which of its columns are kept beside those that are looked up.
struct StampedTable {
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

const TABLES: [StampedTable; 5] = [
    // ifIndex, ifType and ifPhysAddress beside names; ifTableLastChange.
    StampedTable {
        below: &[1, 3, 6, 1, 2, 1, 2, 2, 1],
        stamp: &[1, 3, 6, 1, 2, 1, 31, 1, 5, 0],
        also: Also::Columns(&[1, 2, 3, 6]),
    },
    // ifName and ifConnectorPresent; ifTableLastChange. ifAlias is changed without it.
    StampedTable {
        below: &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1],
        stamp: &[1, 3, 6, 1, 2, 1, 31, 1, 5, 0],
        also: Also::Columns(&[1, 17]),
    },
    // ifStackStatus; ifStackLastChange.
    StampedTable {
        below: &[1, 3, 6, 1, 2, 1, 31, 1, 2, 1],
        stamp: &[1, 3, 6, 1, 2, 1, 31, 1, 6, 0],
        also: Also::All,
    },
    // entPhysicalTable; entLastChangeTime (RFC 6933 §3).
    StampedTable {
        below: &[1, 3, 6, 1, 2, 1, 47, 1, 1, 1, 1],
        stamp: &[1, 3, 6, 1, 2, 1, 47, 1, 4, 1, 0],
        also: Also::All,
    },
    // lldpRemTable; lldpStatsRemTablesLastChangeTime.
    StampedTable {
        below: &[1, 0, 8802, 1, 1, 2, 1, 4, 1, 1],
        stamp: &[1, 0, 8802, 1, 1, 2, 1, 2, 1, 0],
        also: Also::All,
    },
];

/// Tables of fewer rows are asked for whole: their columns fit the requests that are made anyway.
const ROWS: usize = 16;
/// ifAlias, which an operator sets while the table stays as it is.
const IF_ALIAS: [u32; 11] = [1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 18];

/// What is kept of one target for one set of modules.
#[derive(Debug)]
pub struct CachedColumns {
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
    /// 32-bit counters whose twin stands at 0, which may be one that does not count: read at every scrape.
    idle: Vec<(Oid, Oid)>,
}

/// What one scrape may leave out.
pub(super) struct ColumnCache<'a> {
    key: Key,
    looked_up: &'a BTreeSet<Oid>,
    stamps: &'a [Oid],
    known: Option<Arc<CachedColumns>>,
    proof: Arc<Proof>,
}

/// What a scrape of these columns must read to know whether what is kept of them still holds.
pub(super) fn stamps(planned: &Planned) -> Vec<Oid> {
    let walks = || planned.works.iter().filter(|work| !work.get);
    let walked = |table_of_stamp: &&StampedTable| {
        let mut columns = walks().flat_map(|work| &work.oids);
        columns.any(|oid| oid::within(oid.ids(), table_of_stamp.below))
    };
    let stamps: BTreeSet<Oid> = TABLES
        .iter()
        .filter(walked)
        .map(|table_of_stamp| Oid::new(table_of_stamp.stamp))
        .collect();
    stamps.into_iter().collect()
}

impl<'a> ColumnCache<'a> {
    pub(super) fn new(
        cache: &Cache<CachedColumns>,
        key: Key,
        prepared: &'a Prepared,
        keep: Duration,
        proof: Arc<Proof>,
    ) -> Self {
        let known = cache
            .get(&key)
            .filter(|kept| kept.since.elapsed() < spread(&key, keep))
            .filter(|kept| kept.stamps.iter().all(|(oid, _)| proof.moves(oid.ids())));
        Self {
            key,
            looked_up: &prepared.looked_up,
            stamps: &prepared.stamps,
            known,
            proof,
        }
    }

    /// What the scrape verifies of what is kept, with at most `room` questions.
    pub(super) fn checks(&self, room: usize) -> Vec<Check> {
        self.known
            .as_ref()
            .map_or_else(Vec::new, |kept| kept.checks(room, self.proof.turn()))
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

    /// Completes the table with what is kept, when that still holds. Gives what the sample contradicts too.
    pub(super) fn complete(
        &self,
        table: &mut Table,
        own: &Table,
        checks: &[Check],
        up: Option<UpTime>,
    ) -> (Found, Vec<Shortcut>) {
        let Some(known) = &self.known else {
            return (Found::Miss, Vec::new());
        };
        if !up.is_some_and(|up| known.holds(table, own, up)) {
            return (Found::Changed, Vec::new());
        }
        let wrong: Vec<&Check> = checks
            .iter()
            .filter(|check| !known.verified(check, table, own))
            .collect();
        if !wrong.is_empty() {
            let answered = |check: &&Check| own.get(check.instance.ids()).is_some();
            let off = wrong
                .into_iter()
                .filter(answered)
                .filter_map(|check| self.contradicted(check))
                .collect();
            return (Found::Changed, off);
        }
        table.absorb(&known.table);
        for (low, wide) in &known.low {
            table.copy_column(wide.ids(), low, |value| match value {
                Value::Counter64(number) => Value::Unsigned(number & 0xffff_ffff),
                other => other,
            });
        }
        (Found::Hit, Vec::new())
    }

    /// What ends by a sample that is not as it was kept.
    fn contradicted(&self, check: &Check) -> Option<Shortcut> {
        if let Some((column, _)) = &check.twin {
            return self.proof.apart(column);
        }
        let below = |table_of_stamp: &&StampedTable| {
            oid::within(check.instance.ids(), table_of_stamp.below)
        };
        let table_of_stamp = TABLES.iter().find(below)?;
        self.proof.broken(&Oid::new(table_of_stamp.stamp))
    }

    /// The stamps that were read.
    pub(super) fn read_stamps(&self, table: &Table, own: &Table) -> Vec<(Oid, u64)> {
        let read = |oid: &Oid| read(oid.ids(), table, own);
        self.stamps
            .iter()
            .filter_map(|oid| Some((oid.clone(), read(oid)?)))
            .collect()
    }

    /// Remembers what a whole scrape brought. Gives what it contradicts.
    pub(super) fn learn(
        &self,
        cache: &Cache<CachedColumns>,
        (table, own): (&Table, &Table),
        planned: &Planned,
        up: UpTime,
    ) -> Vec<Shortcut> {
        let tall = |column: &Column| column.entries().len() >= ROWS;
        if !table.columns().iter().any(tall) {
            cache.remove(&self.key);
            return Vec::new();
        }
        let walked: BTreeSet<&Oid> = planned
            .works
            .iter()
            .filter(|work| !work.get)
            .flat_map(|work| &work.oids)
            .collect();
        let mut off = Vec::new();
        let mut columns: Vec<Oid> = Vec::new();
        let mut stamps: Vec<(Oid, u64)> = Vec::new();
        for stamp in self.read_stamps(table, own) {
            let under: Vec<Oid> = walked
                .iter()
                .filter(|oid| {
                    let mut tables_of_stamp =
                        TABLES.iter().filter(|one| one.stamp == stamp.0.ids());
                    tables_of_stamp.any(|table_of_stamp| table_of_stamp.keeps(oid, self.looked_up))
                })
                .map(|oid| (*oid).clone())
                .collect();
            let names = Table::digest_of_names(&under);
            off.extend(self.proof.hold(&stamp, names, table.digest(&under)));
            if self.proof.moves(stamp.0.ids()) {
                let tall = |column: &Oid| table.column(column.ids()).is_some_and(tall);
                if under.iter().any(tall) {
                    columns.extend(under);
                    stamps.push(stamp);
                }
            }
        }
        columns.sort();
        let twins: Vec<(Oid, Oid)> = twins()
            .filter(|(low, wide)| walked.contains(low) && walked.contains(wide))
            .collect();
        let mut low: Vec<(Oid, Oid)> = Vec::new();
        for (column, wide) in twins {
            match agree(table, &column, &wide) {
                Agreement::Same(sums) => {
                    if self.proof.agreed(&column, sums.low, sums.wide, sums.least) {
                        low.push((column, wide));
                    }
                }
                Agreement::Apart => off.extend(self.proof.apart(&column)),
                Agreement::Unknown => {}
            }
        }
        if columns.is_empty() {
            cache.remove(&self.key);
            return off;
        }
        let filled = |oid: &&Oid| {
            table
                .column(oid.ids())
                .is_some_and(|column| !column.entries().is_empty())
        };
        let mut rows = Vec::new();
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
        for table_of_stamp in &TABLES {
            let fetched = walked.iter().find_map(|oid| {
                let there = oid::within(oid.ids(), table_of_stamp.below)
                    && !columns.contains(oid)
                    && !low.iter().any(|(low, _)| low == *oid);
                let kept = there.then(|| anchor(oid)).flatten()?;
                Some((kept, (*oid).clone()))
            });
            rows.extend(fetched);
        }
        rows.sort();
        rows.dedup();
        let idle = few_idle(table, &mut low);
        let kept = CachedColumns {
            since: Instant::now(),
            up: Mutex::new(up),
            stamps,
            table: table.only(&columns),
            columns,
            low,
            rows,
            idle,
        };
        let octets = kept.octets_held();
        cache.put(self.key.clone(), kept, octets);
        off
    }

    /// What is kept no longer holds.
    pub(super) fn forget(&self, cache: &Cache<CachedColumns>) {
        cache.remove(&self.key);
    }
}

/// A part of the sample that a scrape verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// What is asked for.
    pub(super) instance: Oid,
    /// The 32-bit column it belongs to and the instance of its 64-bit twin, when it is a counter that is made from that.
    twin: Option<(Oid, Oid)>,
}

/// Octets of a sample, about.
const SAMPLE: usize = 900;

/// What became of what was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There was nothing.
    Miss,
    /// It completed the table.
    Hit,
    /// The target has changed.
    Changed,
}

impl Found {
    /// The label value of its count.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Hit => "hit",
            Self::Changed => "changed",
        }
    }
}

impl StampedTable {
    fn keeps(&self, column: &Oid, looked_up: &BTreeSet<Oid>) -> bool {
        let Some([number]) = column.ids().strip_prefix(self.below) else {
            return false;
        };
        match self.also {
            Also::All => true,
            Also::Columns(_) if column.ids() == IF_ALIAS => false,
            Also::Columns(numbers) => numbers.contains(number) || looked_up.contains(column),
        }
    }
}

impl CachedColumns {
    fn has(&self, column: &Oid) -> bool {
        self.columns.contains(column) || self.low.iter().any(|(low, _)| low == column)
    }

    /// A sample of what is kept, spread over all of it: another one at each `turn`, so that everything has its turn.
    fn checks(&self, room: usize, turn: usize) -> Vec<Check> {
        let idle = self.idle.iter().map(|(low, wide)| Check {
            instance: low.clone(),
            twin: low
                .ids()
                .split_last()
                .map(|(_, column)| (Oid::new(column), wide.clone())),
        });
        let mut checks: Vec<Check> = idle.take(room).collect();
        let room = room - checks.len();
        let kept = self.columns.iter().map(|column| (column, None));
        let low = self.low.iter().map(|(low, wide)| (wide, Some(low)));
        // The rows of a 32-bit column are those of its anchor among the kept ones.
        let anchor = |wide: &Oid| {
            let mut anchors = self.rows.iter().filter(|(_, fetched)| fetched == wide);
            anchors.next().map(|(kept, _)| kept)
        };
        let parts: Vec<(&Column, Option<(&Oid, &Oid)>)> = kept
            .chain(low)
            .filter_map(|(column, low)| match low {
                None => Some((self.table.column(column.ids())?, None)),
                Some(low) => Some((
                    self.table.column(anchor(column)?.ids())?,
                    Some((low, column)),
                )),
            })
            .collect();
        let all: usize = parts.iter().map(|(column, _)| column.entries().len()).sum();
        if all == 0 || room == 0 {
            return checks;
        }
        let stride = all.div_ceil(room);
        let mut octets = 0;
        for mut at in (turn % stride..all).step_by(stride) {
            for (column, twin) in &parts {
                let Some(entry) = column.entries().get(at) else {
                    at -= column.entries().len();
                    continue;
                };
                let tail = self
                    .table
                    .at(column, entry)
                    .behind(column.prefix().ids().len());
                octets += self.table.octets_of(column, entry);
                checks.push(match twin {
                    None => Check {
                        instance: column.prefix().join(&tail),
                        twin: None,
                    },
                    Some((low, wide)) => Check {
                        instance: low.join(&tail),
                        twin: Some(((*low).clone(), wide.join(&tail))),
                    },
                });
                break;
            }
            if octets > SAMPLE {
                break;
            }
        }
        checks
    }

    /// Whether a part of the sample is as it was kept.
    fn verified(&self, check: &Check, table: &Table, own: &Table) -> bool {
        let Some(now) = own.get(check.instance.ids()) else {
            return false;
        };
        match &check.twin {
            None => {
                let kept = self.table.get(check.instance.ids());
                kept.is_some_and(|kept| self.table.same_value(kept, own, now))
            }
            Some((_, wide)) => match (now, table.get(wide.ids())) {
                (Value::Unsigned(low), Some(Value::Counter64(wide))) => near(*low, *wide),
                _ => false,
            },
        }
    }

    fn holds(&self, table: &Table, own: &Table, up: UpTime) -> bool {
        let mut last = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        let same_run = last.runs_on(up);
        let same_stamps = self
            .stamps
            .iter()
            .all(|(oid, stamp)| read(oid.ids(), table, own) == Some(*stamp));
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
            + (self.low.iter().chain(&self.rows).chain(&self.idle))
                .map(pair)
                .sum::<usize>()
    }
}

/// A number that the scrape read for a module or for us.
pub(super) fn read(instance: &[u32], table: &Table, own: &Table) -> Option<u64> {
    let value = own.get(instance).or_else(|| table.get(instance))?;
    unsigned(value)
}

fn unsigned(value: &Value) -> Option<u64> {
    match *value {
        Value::Unsigned(number) => Some(number),
        _ => None,
    }
}

/// Targets must not all be asked in full at the same moment: each has three to four quarters of the time.
fn spread(key: &Key, keep: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    keep.mul_f64(0.75 + (hasher.finish() % 1000) as f64 / 4000.0)
}
