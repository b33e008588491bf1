//! What is written is what is read, and nothing else is taken up.

use super::*;
use crate::SLOT;
use crate::calendar::Calendar;
use crate::fit::fit;
use crate::history::LEARNT_DAYS;
use crate::store::Done;

const END: i64 = 1_795_046_400;

fn labels() -> promapi::Labels {
    promapi::Labels::from([("device".to_owned(), "r1".to_owned())])
}

fn store(query: &str) -> Store {
    let store = Store::default();
    store.keep([("bits", query)].into_iter());
    store
}

/// A store with one series that was learnt.
fn learnt() -> Store {
    let mut random = fastrand::Rng::with_seed(3);
    let slots = (0..LEARNT_DAYS * DAY).map(|slot| {
        let day = (slot as f64 / DAY as f64 * std::f64::consts::TAU).sin();
        1e6 * (2.0 + day) * (0.95 + 0.1 * random.f64())
    });
    let raw = Raw::new(slots, std::iter::empty());
    let mut entry = Entry::new(&labels(), raw);
    let outcome = fit(&entry.raw, END, Some(1e9), &Calendar::default());
    entry.take(Done::Learnt(Box::new(outcome)), END);
    entry.quality.checked = [7, 6];
    entry.quality.errors = [1.0, 2.0, 3.0];
    entry.quality.width.held(false);
    entry.widen();
    let store = store("rate(x)");
    let mut tables = store.lock();
    let table = tables.get_mut("bits").unwrap();
    (table.end, table.day) = (END, END);
    table.entries.insert(labels(), entry);
    drop(tables);
    store
}

#[test]
fn what_was_learnt_is_told_after_a_restart() {
    let folder = testkit::TempDir::new().unwrap();
    let path = folder.join("state");
    let before = learnt();
    save(&path, &before).unwrap();
    let after = store("rate(x)");
    assert_eq!(restore(&path, &after).unwrap(), 1);
    let (before, after) = (before.lock(), after.lock());
    let (was, is) = (&before["bits"], &after["bits"]);
    assert_eq!((is.end, is.day), (END, END));
    let (was, is) = (&was.entries[&labels()], &is.entries[&labels()]);
    assert!(is.raw.bytes().eq(was.raw.bytes()));
    assert_eq!(
        (is.quality.checked, is.quality.errors, is.quality.width),
        (was.quality.checked, was.quality.errors, was.quality.width)
    );
    let (said, written): (Vec<u32>, Vec<u32>) = (
        is.quality
            .said
            .iter()
            .flatten()
            .map(|value| value.to_bits())
            .collect(),
        was.quality
            .said
            .iter()
            .flatten()
            .map(|value| value.to_bits())
            .collect(),
    );
    assert_eq!(said, written);
    let (was, is) = (was.outcome.as_ref().unwrap(), is.outcome.as_ref().unwrap());
    assert_eq!(
        (is.state, is.mase.len(), is.saturation, is.learnt),
        (was.state, was.mase.len(), was.saturation, was.learnt)
    );
    let (was, is) = (was.fitted.as_ref().unwrap(), is.fitted.as_ref().unwrap());
    for step in 1..DAY as i64 {
        let at = (END + step * SLOT) as f64;
        let (is, was) = (is.at(at).unwrap(), was.at(at).unwrap());
        for (is, was) in [
            (is.low, was.low),
            (is.middle, was.middle),
            (is.high, was.high),
        ] {
            assert!((is / was - 1.0).abs() < 1e-9, "{is} {was}");
        }
    }
    assert_eq!(is.model, was.model);
}

#[test]
fn a_broken_file_and_another_query_are_left_alone() {
    let folder = testkit::TempDir::new().unwrap();
    let path = folder.join("state");
    let after = store("rate(x)");
    assert_eq!(restore(&path, &after).unwrap(), 0, "there is none");
    save(&path, &learnt()).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let other = store("rate(y)");
    assert_eq!(restore(&path, &other).unwrap(), 0);
    assert_eq!(other.lock()["bits"].end, 0);
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let after = store("rate(x)");
        let refused = restore(&path, &after).is_err();
        refused && after.lock()["bits"].entries.is_empty()
    };
    for at in [0, 9, 20, 300, whole.len() / 2, whole.len() - 1] {
        let mut broken = whole.clone();
        broken[at] ^= 0x10;
        assert!(refused(&broken), "byte {at}");
        assert!(refused(&whole[..at.max(1)]) || at == 0, "cut at {at}");
    }
    assert!(!refused(&whole));
}
