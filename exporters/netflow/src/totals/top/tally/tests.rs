use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// What happens to a table.
#[derive(Debug, Clone)]
enum Act {
    Add(u32, u64),
    Halve,
    Roll,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        60 => (0_u32..400, prop_oneof![1_u64..1 << 20, 1_u64..1 << 35]).prop_map(|(key, bytes)| Act::Add(key, bytes)),
        1 => Just(Act::Halve),
        1 => Just(Act::Roll),
    ]
}

fn all<W: Words + Ord>(tally: &Tally<W>) -> Vec<(W, u64)> {
    let mut all: Vec<_> = tally
        .iter()
        .map(|(key, weight)| (key, weight.bytes))
        .collect();
    all.sort_unstable();
    all
}

fn add<W: Words>(tally: &mut Tally<W>, key: W, bytes: u64) {
    let (hash, _) = tally.fetch(key);
    tally.add(key, hash, bytes, bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// It holds what a map of the standard library would.
    #[test]
    fn it_is_a_map(acts in proptest::collection::vec(act(), 1..2_000)) {
        let (mut tally, mut model) = (Tally::<[u32; 2]>::default(), HashMap::<[u32; 2], u64>::new());
        for act in acts {
            match act {
                Act::Add(key, bytes) => {
                    add(&mut tally, [key, 7], bytes);
                    *model.entry([key, 7]).or_default() += bytes;
                }
                Act::Halve => {
                    tally.retain(|weight| {
                        weight.bytes = weight.bytes.saturating_sub(1 << 33);
                        weight.bytes > 0
                    });
                    model.values_mut().for_each(|bytes| *bytes = bytes.saturating_sub(1 << 33));
                    model.retain(|_, bytes| *bytes > 0);
                }
                Act::Roll => {
                    tally.roll();
                    model.clear();
                }
            }
            prop_assert_eq!(tally.len(), model.len());
        }
        let mut sorted: Vec<_> = model.iter().map(|(key, bytes)| (*key, *bytes)).collect();
        sorted.sort_unstable();
        prop_assert_eq!(all(&tally), sorted);
        for key in 0..400 {
            let bytes = tally.get(&[key, 7]).map(|weight| weight.bytes);
            prop_assert_eq!(bytes, model.get(&[key, 7]).copied());
        }
    }
}

/// A window of many keys does not cost memory for ever.
#[test]
fn memory_of_a_flood_is_given_back() {
    let mut tally = Tally::<[u32; 1]>::default();
    for key in 0..100_000 {
        add(&mut tally, [key], 1);
    }
    assert!(tally.entries.len() < 160_000, "{}", tally.entries.len());
    tally.roll();
    add(&mut tally, [1], 1);
    tally.roll();
    assert!(tally.entries.len() < 2_000, "{}", tally.entries.len());
}
