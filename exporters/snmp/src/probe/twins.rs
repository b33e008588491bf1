//! 32-bit counters of interfaces and their 64-bit twins (RFC 2863 §3.1.6).

use crate::oid::Oid;
use crate::value::{Table, Value};

const IF_ENTRY: [u32; 9] = [1, 3, 6, 1, 2, 1, 2, 2, 1];
const IF_X_ENTRY: [u32; 10] = [1, 3, 6, 1, 2, 1, 31, 1, 1, 1];
/// 32-bit counters beside twins that stand at 0 that are read at every scrape; a device with more of them has whole columns read.
const MOST_IDLE: usize = 10;

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

/// How far a 32-bit counter lies ahead of the low half of its twin; `None` when too far for both to count the same.
pub(super) fn ahead(low: u64, wide: u64) -> Option<i32> {
    const MOST: u64 = 1 << 28;
    let ahead = (low as u32).wrapping_sub(wide as u32).cast_signed();
    // The two are read at different moments. What has counted little must agree well.
    let allowed = MOST.min((1 << 16) + wide / 64);
    (u64::from(ahead.unsigned_abs()) <= allowed).then_some(ahead)
}

/// What twins that are read within the same scrape may differ by: what came between is a small part of what a counter holds.
fn tolerance(wide: u64) -> u64 {
    (16 + (wide >> 16)).min(1 << 28)
}

/// Whether twins that are read within the same scrape count the same.
pub(super) fn near(low: u64, wide: u64) -> bool {
    let ahead = (low as u32).wrapping_sub(wide as u32).cast_signed();
    u64::from(ahead.unsigned_abs()) <= tolerance(wide)
}

/// How two columns stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// Every row counts the same.
    Same(Sums),
    /// A row does not.
    Apart,
    /// There is nothing to compare.
    Unknown,
}

/// All rows of twins together: the low halves, and what both must count on to be told from twins that only stand near each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) low: u32,
    pub(super) wide: u32,
    pub(super) least: u64,
}

/// Compares a 32-bit column with its twin in every row.
pub(super) fn agree(table: &Table, low: &Oid, wide: &Oid) -> Agreement {
    let (Some(lows), Some(wides)) = (table.column(low.ids()), table.column(wide.ids())) else {
        return Agreement::Unknown;
    };
    if lows.entries().is_empty() || wides.entries().is_empty() {
        return Agreement::Unknown;
    }
    if !table.same_rows(low.ids(), table, wide.ids()) {
        return Agreement::Apart;
    }
    let mut sums = Sums::default();
    for (low, wide) in lows.entries().iter().zip(wides.entries()) {
        let (Value::Unsigned(low), Value::Counter64(wide)) = (low.value, wide.value) else {
            return Agreement::Apart;
        };
        if !near(low, wide) {
            return Agreement::Apart;
        }
        sums.low = sums.low.wrapping_add(low as u32);
        sums.wide = sums.wide.wrapping_add(wide as u32);
        sums.least += tolerance(wide);
    }
    Agreement::Same(sums)
}

/// The rows whose twin stands at 0: it may not count at all, so they are read at every scrape. Columns with the most of them are left out
/// of `low` until few remain.
pub(super) fn few_idle(table: &Table, low: &mut Vec<(Oid, Oid)>) -> Vec<(Oid, Oid)> {
    let idle = |(low, wide): &(Oid, Oid)| -> Vec<(Oid, Oid)> {
        table
            .below(wide.ids())
            .filter(|(_, entry)| entry.value == Value::Counter64(0))
            .map(|(at, _)| {
                let row = at.behind(wide.ids().len());
                (low.join(&row), wide.join(&row))
            })
            .collect()
    };
    let mut all: Vec<_> = low.drain(..).map(|pair| (idle(&pair), pair)).collect();
    all.sort_by_key(|(rows, _)| rows.len());
    let mut kept = Vec::new();
    for (rows, pair) in all {
        if kept.len() + rows.len() <= MOST_IDLE {
            kept.extend(rows);
            low.push(pair);
        }
    }
    low.sort();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Raw;

    fn pair() -> (Oid, Oid) {
        let (low, wide) = ("1.3.6.1.2.1.31.1.1.1.2", "1.3.6.1.2.1.31.1.1.1.8");
        (low.parse().unwrap(), wide.parse().unwrap())
    }

    fn table(rows: &[(u64, u64)]) -> Table {
        let (low, wide) = pair();
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
        table
    }

    #[test]
    fn twins_agree_when_every_row_counts_the_same() {
        let agrees = |rows: &[(u64, u64)]| agree(&table(rows), &pair().0, &pair().1);
        let same = |rows| matches!(agrees(rows), Agreement::Same(_));
        assert!(same(&[(300, 300), (0, 0)]));
        assert!(same(&[(7_010, (5 << 32) + 7_000)]));
        // What came between the two, on a fast interface that has counted for long.
        assert!(same(&[(200_000_000, (1 << 40) + 190_000_000)]));
        for rows in [
            &[(300, 0), (0, 0)][..],
            &[(17, 0), (5, 5)],
            &[(3_000_000_000, 50_000_000_000)],
        ] {
            assert_eq!(agrees(rows), Agreement::Apart, "{rows:?}");
        }
        assert_eq!(agrees(&[]), Agreement::Unknown);
    }

    #[test]
    fn rows_whose_twin_stands_at_0_are_read_or_the_column_is() {
        let mut low = vec![pair()];
        let idle = few_idle(&table(&[(5, 5), (0, 0)]), &mut low);
        assert_eq!((idle.len(), low.len()), (1, 1));
        assert_eq!(idle[0].0, pair().0.join(&[2]));
        let idle = few_idle(&table(&[(0, 0); 11]), &mut low);
        assert_eq!((idle.len(), low.len()), (0, 0));
    }
}
