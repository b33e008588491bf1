//! Histories that go on, and what is counted of what was really said.

use super::*;
use crate::calendar::Calendar;
use crate::fit::fit;
use crate::history::{LEARNT_DAYS, TREND_DAYS};

const END: i64 = 1_795_046_400;

fn labels(device: &str) -> promapi::Labels {
    promapi::Labels::from([("device".to_owned(), device.to_owned())])
}

/// A day that repeats itself with some noise, `back` slots before [`END`].
fn traffic(back: i64) -> f64 {
    let mut random = fastrand::Rng::with_seed(back.rem_euclid(100_000).unsigned_abs());
    let day = (-back as f64 / DAY as f64 * std::f64::consts::TAU).sin();
    1e6 * (2.0 + day) * (0.98 + 0.04 * random.f64())
}

fn history() -> Raw {
    let slots = (LEARNT_DAYS * DAY) as i64;
    Raw::new((0..slots).rev().map(traffic), std::iter::empty())
}

fn table() -> Table {
    let entry = Entry::new(&labels("r1"), history());
    Table {
        end: END,
        day: END - 3_600,
        entries: BTreeMap::from([(labels("r1"), entry)]),
        ..Table::default()
    }
}

fn learnt() -> Entry {
    let mut entry = Entry::new(&labels("r1"), history());
    let outcome = fit(&entry.raw, END, None, &Calendar::default());
    assert_eq!(outcome.state, State::Ok);
    entry.take(Done::Learnt(Box::new(outcome)), END);
    entry
}

#[test]
fn histories_go_on_and_new_series_come_up_to_the_bound() {
    let mut table = table();
    let came = |device: &str, value: f64| (labels(device), vec![value; 3]);
    table.advance(
        vec![came("r1", 5.0), came("r2", 7.0), came("r3", 7.0)],
        END + 3 * SLOT,
        2,
    );
    assert_eq!(table.end, END + 3 * SLOT);
    assert_eq!((table.entries.len(), table.left_out[0]), (2, 1));
    assert!((table.entries[&labels("r1")].raw.back(0) / 5.0 - 1.0).abs() < 1e-3);
    assert!((table.entries[&labels("r2")].raw.back(2) / 7.0 - 1.0).abs() < 1e-3);
    assert!(table.entries[&labels("r2")].raw.back(3).is_nan());
    // What does not come is not known, and what has not come for its whole history is gone.
    table.advance(Vec::new(), END + 5 * SLOT, 2);
    assert!(table.entries[&labels("r1")].raw.back(0).is_nan());
    assert!(table.entries[&labels("r1")].raw.back(2).is_finite());
    let all = (LEARNT_DAYS * DAY) as i64;
    table.advance(Vec::new(), END + (5 + all) * SLOT, 2);
    assert!(table.entries.is_empty());
}

#[test]
fn the_trend_takes_in_each_day_that_is_over() {
    let mut table = table();
    let slots = 2 * DAY;
    table.advance(
        vec![(labels("r1"), vec![4e6; slots])],
        END + slots as i64 * SLOT,
        9,
    );
    assert_eq!(table.day, END - 3_600 + 2 * 86_400);
    let days: Vec<f64> = table.entries[&labels("r1")].raw.days().collect();
    assert!(days[TREND_DAYS - 3].is_nan());
    for day in &days[TREND_DAYS - 2..] {
        assert!((day / 4e6 - 1.0).abs() < 1e-3, "{days:?}");
    }
}

#[test]
fn what_was_said_a_day_ahead_is_held_against_what_came() {
    let raw = history();
    let mut quality = Quality::default();
    let is = raw.back(0);
    let expected = |middle: f64| Expected {
        low: middle * 0.9,
        middle,
        high: middle * 1.1,
    };
    quality.check(END, &raw, 0);
    assert_eq!(quality.checked, [0, 0], "nothing had been said");
    quality.say(END, expected(is * 1.05));
    quality.check(END, &raw, 0);
    assert_eq!(quality.checked, [1, 1]);
    assert!(
        (quality.errors[0] / (is * 0.05) - 1.0).abs() < 1e-3,
        "{quality:?}"
    );
    assert!((quality.errors[1] - (is - raw.back(DAY)).abs()).abs() < 1.0);
    assert!((quality.errors[2] - (is - raw.back(WEEK)).abs()).abs() < 1.0);
    quality.check(END, &raw, 0);
    assert_eq!(quality.checked, [1, 1], "once for each slot");
    quality.say(END, expected(is * 2.0));
    quality.check(END, &raw, 0);
    assert_eq!(quality.checked, [2, 1]);
    // What did not come is not held against anything.
    let mut gone = raw.clone();
    gone.advance(&[f64::NAN]);
    quality.say(END + SLOT, expected(1.0));
    quality.check(END + SLOT, &gone, 0);
    assert_eq!(quality.checked, [2, 1]);
}

#[test]
fn one_strange_slot_is_no_change_and_an_hour_of_them_is() {
    let mut entry = learnt();
    let at = |step: i64| (END + step * SLOT) as f64;
    for step in 1..4 {
        entry.look(at(step), traffic(-step));
        assert!(entry.score.unwrap() < 1.5, "{:?}", entry.score);
    }
    entry.look(at(4), 3.0 * traffic(-4));
    assert!(entry.score.unwrap() > 3.0 && !entry.changed);
    // The same slot looked at again is the same slot.
    for _ in 0..9 {
        entry.look(at(4) + 60.0, 3.0 * traffic(-4));
    }
    entry.look(at(5), traffic(-5));
    assert!(!entry.changed);
    let mut entry = learnt();
    for step in 1..8 {
        let times = if step < 3 { 1.0 } else { 4.0 };
        entry.look(at(step), times * traffic(-step));
    }
    assert!(entry.changed);
    entry.look(at(9), f64::NAN);
    assert_eq!(entry.score, None);
}

/// The forecast follows the level, and a value is as unlike it after that as before.
#[test]
fn a_forecast_goes_on_from_what_was_learnt() {
    let mut entry = learnt();
    let before = entry.outcome.as_ref().unwrap().fitted.clone().unwrap();
    let raised: Vec<f64> = (1..=8).map(|step| 1.05 * traffic(-step)).collect();
    entry.raw.advance(&raised);
    let end = END + 8 * SLOT;
    let done = entry.job().follow(end, &Calendar::default());
    entry.take(Done::Followed(done), end);
    let after = entry.outcome.as_ref().unwrap().fitted.clone().unwrap();
    let next = (end + SLOT) as f64;
    assert!(after.at(next).unwrap().middle > 1.005 * before.at(next).unwrap().middle);
    let value = traffic(-9) * 1.1;
    let (was, is) = (
        before.clone().watch(next, value).unwrap(),
        after.clone().watch(next, value).unwrap(),
    );
    assert!((was - is).abs() < 1e-3, "{was} {is}");
    // It reaches as far ahead as before, and what is beyond the edge moves it not at all.
    assert!(after.at(next + 86_400.0).is_some());
    entry.score = Some(3.0);
    entry.raw.advance(&[9e6]);
    let still = entry
        .job()
        .follow(end + SLOT, &Calendar::default())
        .unwrap()
        .unwrap();
    assert_eq!(still.at(next), after.at(next));
}

#[test]
fn what_no_longer_comes_has_no_forecast() {
    let mut entry = learnt();
    entry.raw.advance(&[f64::NAN; 8]);
    let done = entry.job().follow(END + 8 * SLOT, &Calendar::default());
    entry.take(Done::Followed(done), END + 8 * SLOT);
    assert_eq!(entry.state(), Some(State::Unfit(Unfit::Stale)));
    assert!(entry.outcome.unwrap().fitted.is_none());
}

#[test]
fn another_query_is_another_forecast() {
    let store = Store::default();
    store.keep([("a", "up")].into_iter());
    store.lock().get_mut("a").unwrap().end = END;
    store.keep([("a", "up"), ("b", "up")].into_iter());
    assert_eq!(store.lock()["a"].end, END);
    store.keep([("a", "down")].into_iter());
    assert_eq!(store.lock()["a"].end, 0);
    assert!(!store.lock().contains_key("b"));
}
