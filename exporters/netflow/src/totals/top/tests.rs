use std::collections::HashMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::spread::{Accounting, Timeline};
use super::*;
use crate::flow::Flow;

const BOUNDS: TopBounds = TopBounds {
    rows: 2,
    keys: 1_000,
    hold: Duration::from_secs(60),
};

impl Key for u32 {
    type Small = [Self; 1];
    type Large = [Self; 2];

    /// Both kinds of tables are in use.
    fn pack(self) -> Packed<[Self; 1], [Self; 2]> {
        if self.is_multiple_of(3) {
            Packed::Large([self, 7])
        } else {
            Packed::Small([self])
        }
    }

    fn unpack(packed: Packed<[Self; 1], [Self; 2]>) -> Self {
        let (Packed::Small([key]) | Packed::Large([key, _])) = packed;
        key
    }
}

/// Counts octets of a key at once.
fn add(top: &mut Top<u32>, key: u32, bytes: u64, now: Instant) {
    let flow = Flow {
        bytes,
        packets: 1,
        ..Flow::default()
    };
    let mut timeline = Timeline::new(Accounting::Arrival, now);
    let (hash, _) = top.fetch(Some(key));
    top.add(Some(key), hash, &timeline.lay(&flow, now), now);
}

/// Gives the four slots to keys 0 to 3 of 1,000 octets and a few; 0 is the lightest.
fn fill(top: &mut Top<u32>, now: Instant) {
    for key in 0..4 {
        add(top, key, 1_000 + u64::from(key), now);
        top.tick(now);
    }
    assert_eq!(top.slots().0, 4);
}

fn exposed(top: &mut Top<u32>, total: u64) -> (HashMap<u32, u64>, u64) {
    let mut named = HashMap::new();
    let rest = top.expose(total, |key, bytes| {
        named.insert(key, bytes);
    });
    (named, rest)
}

#[test]
fn a_heavy_key_appears_as_zero_and_then_counts() {
    let mut top = Top::new(BOUNDS);
    let now = Instant::now();
    add(&mut top, 7, 1_000, now);
    top.tick(now);
    assert_eq!(exposed(&mut top, 1_000), (HashMap::from([(7, 0)]), 1_000));
    add(&mut top, 7, 500, now);
    assert_eq!(exposed(&mut top, 1_500), (HashMap::from([(7, 500)]), 1_000));
}

#[test]
fn a_slot_is_given_away_only_when_idle_held_and_beaten_twice() {
    let mut top = Top::new(BOUNDS);
    let begin = Instant::now();
    fill(&mut top, begin);
    exposed(&mut top, 0);
    let soon = begin + Duration::from_secs(30);
    add(&mut top, 99, 7_000, soon);
    top.tick(soon);
    assert!(
        !exposed(&mut top, 0).0.contains_key(&99),
        "the others are held"
    );
    let later = begin + Duration::from_secs(90);
    for key in 1..4 {
        add(&mut top, key, 1, later);
    }
    add(&mut top, 98, 1_500, later);
    top.tick(later);
    assert!(
        !exposed(&mut top, 0).0.contains_key(&98),
        "not twice as heavy"
    );
    add(&mut top, 99, 100, later);
    top.tick(later);
    let (named, _) = exposed(&mut top, 0);
    assert!(
        named.contains_key(&99) && !named.contains_key(&0),
        "the idle one has left: {named:?}"
    );
}

/// An attack is not to wait until somebody has been idle.
#[test]
fn who_is_eight_times_as_heavy_gets_a_slot_at_once() {
    let mut top = Top::new(BOUNDS);
    let now = Instant::now();
    fill(&mut top, now);
    for (key, bytes, seated) in [(98, 7_999, false), (99, 8_000, true)] {
        add(&mut top, key, bytes, now);
        top.tick(now);
        assert_eq!(exposed(&mut top, 0).0.contains_key(&key), seated, "{key}");
    }
    assert!(
        !exposed(&mut top, 0).0.contains_key(&0),
        "the lightest made room"
    );
}

#[test]
fn only_who_would_have_a_row_gets_a_slot() {
    let mut top = Top::new(BOUNDS);
    let now = Instant::now();
    for (key, bytes) in [(1, 30), (2, 20), (3, 10)] {
        add(&mut top, key, bytes, now);
    }
    top.tick(now);
    assert_eq!(
        exposed(&mut top, 0).0.len(),
        2,
        "the third is not among two"
    );
    add(&mut top, 3, 15, now);
    top.tick(now);
    assert!(exposed(&mut top, 0).0.contains_key(&3), "now it is");
}

/// A key is asked for anew in each window, and seats are given each second.
#[test]
fn who_became_heavy_across_the_end_of_a_window_gets_one_slot() {
    let mut top = Top::new(BOUNDS);
    let now = Instant::now();
    add(&mut top, 7, 1_000, now);
    top.roll();
    add(&mut top, 7, 1_000, now);
    top.tick(now);
    assert_eq!(top.slots(), (1, 1));
    let mut shown = Vec::new();
    top.expose(2_000, |key, _| shown.push(key));
    assert_eq!(shown, [7], "a series twice is none for Prometheus");
}

/// A flood of ever heavier keys.
#[test]
fn no_more_than_fifty_series_are_new_in_an_hour() {
    let mut top = Top::new(BOUNDS);
    let begin = Instant::now();
    let mut heavy = 1;
    for key in 0..60 {
        add(&mut top, key, heavy, begin);
        top.tick(begin);
        heavy = heavy.saturating_mul(2);
    }
    let late = begin + Duration::from_secs(3_599);
    for key in 100..160 {
        add(&mut top, key, u64::MAX / 2, late);
        top.roll();
        add(&mut top, key, u64::MAX / 2, late);
        top.tick(late);
    }
    assert!(top.slots().1 <= MOST_ADMISSIONS as u64, "{}", top.slots().1);
}

#[test]
fn the_table_of_a_window_is_exact_or_says_by_how_much_it_is_not() {
    let mut top = Top::new(TopBounds { keys: 10, ..BOUNDS });
    let now = Instant::now();
    for key in [1, 1, 2, 3] {
        add(&mut top, key, 10, now);
    }
    let window = top.running();
    assert_eq!(
        (window.rows, window.total, window.error),
        (vec![(1, 20, 2), (2, 10, 1)], 40, 0)
    );
    top.roll();
    // A flood of keys, and two that are heavy in between.
    let mut true_bytes: HashMap<u32, u64> = HashMap::new();
    for round in 0..1_000_u32 {
        for (key, bytes) in [(round % 700 + 10, 10), (1, 40), (2, 30)] {
            add(&mut top, key, bytes, now);
            *true_bytes.entry(key).or_default() += bytes;
        }
    }
    assert!(top.keys() <= 10);
    let window = top.running();
    let keys: Vec<u32> = window.rows.iter().map(|row| row.0).collect();
    assert_eq!((keys, window.total), (vec![1, 2], 80_000));
    assert!(
        window.error > 0 && window.error < 20_000,
        "{}",
        window.error
    );
    for (key, bytes, _) in window.rows {
        let truth = true_bytes[&key];
        assert!(
            bytes <= truth && truth <= bytes + window.error,
            "{key}: {bytes} of {truth}"
        );
    }
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
            add(&mut top, key, bytes, now);
            total += bytes;
            match act {
                0 => {
                    top.roll();
                }
                1..=4 => top.tick(now),
                _ => {
                    let (named, rest) = exposed(&mut top, total);
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
