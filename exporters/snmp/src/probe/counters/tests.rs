use std::time::Duration;

use super::*;
use crate::value::Raw;

const ERRORS: &str = "1.3.6.1.2.1.2.2.1.14";
const OCTETS: &str = "1.3.6.1.2.1.2.2.1.10";
const WIDE: &str = "1.3.6.1.2.1.31.1.1.1.6";

/// One scrape: the time since the first, sysUpTime in seconds, and (object, value).
type Scrape<'a> = (u64, u32, &'a [(&'a str, u64)]);

/// The values of ifInErrors.1 and ifInOctets.1 after each scrape.
fn run(scrapes: &[Scrape<'_>]) -> Vec<(u64, u64)> {
    let start = Instant::now();
    let mut state: Option<Carried> = None;
    let columns: Vec<Counter> = [OCTETS, ERRORS]
        .map(|oid| Counter::new(oid.parse().unwrap()))
        .into();
    let mut out = Vec::new();
    for (at, up, values) in scrapes {
        let mut table = Table::new(
            [ERRORS, OCTETS, WIDE, "1.3.6.1.2.1.31.1.1.1.19"].map(|oid| oid.parse().unwrap()),
        );
        for (oid, value) in *values {
            let ids = oid.parse::<Oid>().unwrap().join(&[1]);
            let value = if *oid == WIDE {
                Raw::Counter64(*value)
            } else {
                Raw::Unsigned(*value)
            };
            table.insert(ids.ids(), value).unwrap();
        }
        table.sort();
        let up = UpTime {
            hundredths: up * 100,
            read: start + Duration::from_secs(*at),
        };
        state = Some(carry(&mut table, &columns, state.as_ref(), up));
        let of = |oid: &str| {
            let ids = oid.parse::<Oid>().unwrap().join(&[1]);
            match table.get(ids.ids()) {
                Some(Value::Counter64(number) | Value::Unsigned(number)) => *number,
                _ => 0,
            }
        };
        out.push((of(ERRORS), of(OCTETS)));
    }
    out
}

const END: u64 = 1 << 32;

#[test]
fn a_wrap_goes_on_beyond_32_bits() {
    let shown = run(&[
        (0, 1000, &[(ERRORS, END - 3_000_000)]),
        (15, 1015, &[(ERRORS, END - 2_000_000)]),
        (30, 1030, &[(ERRORS, END - 1_000_000)]),
        (45, 1045, &[(ERRORS, 500)]),
        (60, 1060, &[(ERRORS, 1_000_500)]),
    ]);
    let errors: Vec<u64> = shown.iter().map(|(errors, _)| *errors).collect();
    assert_eq!(
        errors,
        [
            END - 3_000_000,
            END - 2_000_000,
            END - 1_000_000,
            END + 500,
            END + 1_000_500
        ]
    );
}

#[test]
fn what_may_be_no_wrap_passes_as_the_device_says_it() {
    // Cleared far from its end: were it taken for a wrap, the rate would be a spike of 3.3 thousand million.
    let cleared = run(&[
        (0, 1000, &[(ERRORS, 1_000_000_000)]),
        (15, 1015, &[(ERRORS, 1_000_000_010)]),
        (30, 1030, &[(ERRORS, 7)]),
    ]);
    assert_eq!(cleared[2].0, 7);
    // After a restart the last value counts for nothing, however near its end it was.
    let restarted = run(&[
        (0, 1000, &[(ERRORS, END - 10)]),
        (15, 12, &[(ERRORS, 7)]),
        (30, 27, &[(ERRORS, 9)]),
    ]);
    assert_eq!((restarted[1].0, restarted[2].0), (7, 9));
}

#[test]
fn a_restarted_device_loses_the_upper_half_too() {
    let shown = run(&[
        (0, 1000, &[(ERRORS, END - 10)]),
        (15, 1015, &[(ERRORS, 5)]),
        (30, 4, &[(ERRORS, 6)]),
    ]);
    let errors: Vec<u64> = shown.iter().map(|(errors, _)| *errors).collect();
    assert_eq!(errors, [END - 10, END + 5, 6]);
}

#[test]
fn an_interface_that_began_anew_is_not_carried_on() {
    let stamp = "1.3.6.1.2.1.31.1.1.1.19";
    let shown = run(&[
        (0, 1000, &[(ERRORS, END - 10), (stamp, 0)]),
        (15, 1015, &[(ERRORS, 5), (stamp, 101_000)]),
        (30, 1030, &[(ERRORS, 6), (stamp, 101_000)]),
    ]);
    let errors: Vec<u64> = shown.iter().map(|(errors, _)| *errors).collect();
    assert_eq!(errors, [END - 10, 5, 6]);
}

#[test]
fn a_counter_that_wavers_stays_where_it_was() {
    let shown = run(&[
        (0, 1000, &[(ERRORS, 50_000_000)]),
        (15, 1015, &[(ERRORS, 49_999_000)]),
        (30, 1030, &[(ERRORS, 50_000_100)]),
    ]);
    let errors: Vec<u64> = shown.iter().map(|(errors, _)| *errors).collect();
    assert_eq!(errors, [50_000_000, 50_000_000, 50_000_100]);
}

#[test]
fn the_upper_half_comes_from_the_twin_where_there_is_one() {
    // Several wraps between two scrapes; read a moment apart.
    let shown = run(&[
        (0, 1000, &[(OCTETS, 100), (WIDE, 3 * END + 120)]),
        (15, 1015, &[(OCTETS, END - 5), (WIDE, 9 * END + 3)]),
        // No longer there: what was known is carried on.
        (30, 1030, &[(OCTETS, END - 1)]),
        // One that does not count the same is no twin.
        (
            45,
            1045,
            &[(OCTETS, END - 1), (WIDE, 77 * END + 1_900_000_000)],
        ),
    ]);
    let octets: Vec<u64> = shown.iter().map(|(_, octets)| *octets).collect();
    assert_eq!(
        octets,
        [3 * END + 100, 9 * END - 5, 9 * END - 1, 9 * END - 1]
    );
}

#[test]
fn a_twin_that_counts_something_else_makes_no_jump() {
    let mut scrapes = Vec::new();
    let values: Vec<[(&str, u64); 2]> = (0..200)
        .map(|n| {
            [
                (OCTETS, 3_000_000_000 + 1000 * n),
                (WIDE, 50_000_000_000 + 100_000_000 * n),
            ]
        })
        .collect();
    for (n, values) in (0u32..).zip(&values) {
        scrapes.push((u64::from(n) * 15, 1000 + n * 15, &values[..]));
    }
    let octets: Vec<u64> = run(&scrapes).iter().map(|(_, octets)| *octets).collect();
    for pair in octets.windows(2) {
        assert_eq!(pair[1] - pair[0], 1000, "{pair:?}");
    }
}
