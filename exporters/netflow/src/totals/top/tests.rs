use std::collections::HashMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const BOUNDS: TopBounds = TopBounds {
    rows: 2,
    keys: 1_000,
    hold: Duration::from_secs(60),
};

fn exposed(top: &mut Top<u32>) -> (HashMap<u32, u64>, u64) {
    let mut named = HashMap::new();
    let rest = top.expose(|key, bytes| {
        named.insert(key, bytes);
    });
    (named, rest)
}

#[test]
fn a_heavy_key_appears_as_zero_and_then_counts() {
    let mut top = Top::new(BOUNDS);
    let now = Instant::now();
    top.add(Some(7), 1_000, 1, now);
    top.tick(now);
    assert_eq!(exposed(&mut top), (HashMap::from([(7, 0)]), 1_000));
    top.add(Some(7), 500, 1, now);
    assert_eq!(exposed(&mut top), (HashMap::from([(7, 500)]), 1_000));
}

#[test]
fn a_slot_is_given_away_only_when_idle_held_and_beaten_twice() {
    let mut top = Top::new(BOUNDS);
    let begin = Instant::now();
    for key in 0..4 {
        top.add(Some(key), 1_000, 1, begin);
    }
    top.tick(begin);
    exposed(&mut top);
    let soon = begin + Duration::from_secs(30);
    top.add(Some(99), 10_000, 1, soon);
    top.tick(soon);
    assert!(
        !exposed(&mut top).0.contains_key(&99),
        "the others are held"
    );
    let later = begin + Duration::from_secs(90);
    for key in 1..4 {
        top.add(Some(key), 1, 1, later);
    }
    top.add(Some(98), 1_500, 1, later);
    top.tick(later);
    assert!(!exposed(&mut top).0.contains_key(&98), "not twice as heavy");
    top.add(Some(99), 10_000, 1, later);
    top.tick(later);
    let (named, _) = exposed(&mut top);
    assert!(
        named.contains_key(&99) && !named.contains_key(&0),
        "the idle one has left: {named:?}"
    );
}

#[test]
fn the_table_of_a_window_is_exact_and_says_when_it_is_not() {
    let mut top = Top::new(TopBounds { keys: 3, ..BOUNDS });
    let now = Instant::now();
    for key in [1, 1, 2, 3] {
        top.add(Some(key), 10, 1, now);
    }
    let window = top.roll();
    assert_eq!(
        (window.rows, window.total, window.exact),
        (vec![(1, 20, 2), (2, 10, 1)], 40, true)
    );
    for key in 0..10 {
        top.add(Some(key), 10, 1, now);
    }
    let window = top.roll();
    assert_eq!(
        (window.exact, window.unnamed, window.total),
        (false, 70, 100)
    );
}

proptest! {
    #[test]
    fn named_and_rest_grow_like_the_total_and_no_counter_falls(
        steps in proptest::collection::vec((0_u32..30, 0_u64..10_000, 0_u8..8, 0_u64..40), 1..300),
    ) {
        let mut top = Top::new(BOUNDS);
        let (mut now, mut total) = (Instant::now(), 0_u64);
        let (mut before, mut before_rest, mut counted) = (HashMap::new(), 0, 0);
        for (key, bytes, act, seconds) in steps {
            now += Duration::from_secs(seconds);
            top.add(Some(key), bytes, 1, now);
            total += bytes;
            match act {
                0 => {
                    top.roll();
                }
                1..=4 => top.tick(now),
                _ => {
                    let (named, rest) = exposed(&mut top);
                    prop_assert!(named.len() <= BOUNDS.rows * 2);
                    prop_assert!(rest >= before_rest);
                    let mut grown = rest - before_rest;
                    for (key, bytes) in &named {
                        // A key that had left and came back is a new series, born at 0.
                        let old = before.get(key).copied().filter(|old| old <= bytes).unwrap_or(0);
                        prop_assert!(before.contains_key(key) || *bytes == 0, "born at 0");
                        grown += bytes - old;
                    }
                    counted += grown;
                    (before, before_rest) = (named, rest);
                }
            }
        }
        // A slot that left took what it had counted since the last scrape with it.
        prop_assert!(counted <= total);
    }
}
