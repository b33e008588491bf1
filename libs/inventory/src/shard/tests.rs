//! Each device in one shard, even shares, and few that move.

use proptest::prelude::*;

use super::*;

fn owners(name: &str, of: u16) -> Vec<u16> {
    (0..of)
        .filter(|index| Shard::new(*index, of).unwrap().owns(name))
        .collect()
}

proptest! {
    #[test]
    fn every_device_has_exactly_one_owner(name in "[a-z0-9.-]{1,40}", of in 1_u16..64) {
        prop_assert_eq!(owners(&name, of).len(), 1);
    }

    #[test]
    fn one_more_shard_only_takes(name in "[a-z0-9.-]{1,40}", of in 1_u16..64) {
        let (before, after) = (owners(&name, of)[0], owners(&name, of + 1)[0]);
        prop_assert!(after == before || after == of, "{} moved from {} to {}", name, before, after);
    }
}

#[test]
fn shares_are_even_and_a_new_shard_takes_its_share() {
    const DEVICES: usize = 20_000;
    let names: Vec<String> = (0..DEVICES)
        .map(|n| format!("router-{n}.example.net"))
        .collect();
    for of in [2_u16, 3, 7, 16] {
        let mut counts = vec![0_usize; usize::from(of)];
        names
            .iter()
            .for_each(|name| counts[usize::from(owner(name, of))] += 1);
        let share = DEVICES / usize::from(of);
        // Six standard deviations of a fair draw.
        let slack = 6.0 * (share as f64).sqrt();
        assert!(
            counts
                .iter()
                .all(|count| count.abs_diff(share) as f64 <= slack),
            "{of}: {counts:?}"
        );
        let moved = names
            .iter()
            .filter(|name| owner(name, of) != owner(name, of + 1))
            .count();
        let expected = DEVICES / usize::from(of + 1);
        assert!(
            moved.abs_diff(expected) as f64 <= 6.0 * (expected as f64).sqrt(),
            "{of}: {moved} moved"
        );
    }
}

/// A change of the hash would move every device of every installation.
#[test]
fn owners_stay_over_versions() {
    let given: Vec<u16> = ["r1", "r2", "r3", "h1", "h2", "a.example.net"]
        .iter()
        .map(|name| owner(name, 8))
        .collect();
    assert_eq!(given, [3, 6, 5, 1, 3, 4]);
}

#[test]
fn shards_that_cannot_be_are_refused() {
    assert!(Shard::new(0, 0).is_err() && Shard::new(1, 1).is_err() && Shard::new(0, 1025).is_err());
    assert_eq!(
        Shard::new(3, 3).unwrap_err().to_string(),
        "shard 3 of 3 cannot be; expected of from 1 to 1024 and shard from 0 to of - 1"
    );
}
