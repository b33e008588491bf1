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

/// Between two quarters of an hour what runs moves the forecast, once in five minutes, and is as unlike it after that as before.
#[test]
fn a_forecast_takes_the_level_of_the_slot_that_runs() {
    let mark = |minutes: i64| END + minutes * 60;
    // A level that wanders, so that what is now says something of later.
    let mut random = fastrand::Rng::with_seed(8);
    let mut level: f64 = 0.0;
    let wandering = (0..(LEARNT_DAYS * DAY) as i64).rev().map(|back| {
        level = 0.99 * level + 0.04 * (random.f64() - 0.5);
        traffic(back) * level.exp()
    });
    let wandering = Raw::new(wandering, std::iter::empty());
    let last = wandering.back(0);
    let value = |minutes: i64, times: f64| times * last * (1.0 + 1e-4 * minutes as f64);
    let middle = |fitted: &Fitted, minutes: i64| fitted.at(mark(minutes) as f64).unwrap().middle;
    let levelled = |times: f64| {
        let mut entry = Entry::new(&labels("r1"), wandering.clone());
        let outcome = fit(&entry.raw, END, None, &Calendar::default());
        entry.take(Done::Learnt(Box::new(outcome)), END);
        assert_eq!(entry.running(END, mark(5)), None, "nothing was seen");
        entry.look(mark(6) as f64, value(6, times));
        assert_eq!(entry.running(END, END), None, "no five minutes ended");
        let seen = entry.running(END, mark(5)).unwrap();
        assert_eq!(seen, (mark(6) as f64, value(6, times)));
        assert_eq!(entry.running(END, mark(5)), None, "once");
        let before = entry.outcome.as_ref().unwrap().fitted.clone().unwrap();
        let done = entry.job().level(END, seen, &Calendar::default());
        entry.take(Done::Levelled(done), END);
        let after = entry.outcome.as_ref().unwrap().fitted.clone().unwrap();
        let as_seen = middle(&after, 6) / value(6, times) - 1.0;
        assert!(as_seen.abs() < 5e-3, "{as_seen}");
        assert!(after.at(mark(24 * 60 + 15) as f64).is_some());
        let unlike = |fitted: &Fitted| {
            let (at, value) = (mark(7) as f64, 1.1 * value(7, times));
            fitted.clone().watch(at, value).unwrap()
        };
        assert!((unlike(&before) - unlike(&after)).abs() < 1e-3);
        (entry, after)
    };
    let ((mut entry, higher), (_, lower)) = (levelled(1.04), levelled(0.96));
    assert!(middle(&higher, 75) > 1.002 * middle(&lower, 75));
    // What lies beyond the edge moves nothing, and neither does what is older than the slot.
    entry.look(mark(11) as f64, value(11, 5.0));
    let seen = entry.running(END, mark(10)).unwrap();
    assert!(entry.job().level(END, seen, &Calendar::default()).is_none());
    assert_eq!(entry.running(END + SLOT, mark(20)), None);
}

#[test]
fn bands_become_as_wide_as_what_was_told_had_to_be() {
    let mut entry = learnt();
    let wide = |entry: &Entry| {
        let fitted = entry.outcome.as_ref().unwrap().fitted.as_ref().unwrap();
        let expected = fitted.at((END + 40 * SLOT) as f64).unwrap();
        expected.high - expected.low
    };
    let before = wide(&entry);
    // A day of which half lies outside.
    let is = entry.raw.back(0);
    for slot in 0..DAY {
        let far = if slot % 2 == 0 { 2.0 } else { 1.0 };
        let told = Expected {
            low: 0.9 * far * is,
            middle: far * is,
            high: 1.1 * far * is,
        };
        entry.quality.say(END, told);
        entry.quality.check(END, &entry.raw, 0);
    }
    entry.widen();
    assert!(wide(&entry) > 1.3 * before, "{} {before}", wide(&entry));
    // Nothing where there is never anything proves nothing; something there does.
    let idle = Raw::new([0.0; LEARNT_DAYS * DAY].into_iter(), std::iter::empty());
    let told = Expected {
        low: 0.0,
        middle: 0.0,
        high: 1.0,
    };
    let mut quality = Quality::default();
    quality.say(END, told);
    quality.check(END, &idle, 0);
    assert_eq!((quality.checked, quality.width), ([0, 0], Width::default()));
    let mut came = idle.clone();
    came.advance(&[5.0]);
    quality.say(END, told);
    quality.check(END, &came, 0);
    assert_eq!(quality.checked, [1, 0]);
}

#[test]
fn series_are_held_against_those_that_share_their_labels() {
    let of = |device: usize, role: &str| {
        let mut labels = labels(&format!("r{device}"));
        labels.insert("role".to_owned(), role.to_owned());
        labels
    };
    let mut table = table();
    table.entries.clear();
    for device in 0..6 {
        for role in ["edge", "core"] {
            let mut raw = history();
            // All of the core fall, and one of the edge.
            if role == "core" || device == 2 {
                raw.advance(&[0.3, 0.3, 0.3, 0.3].map(|times| times * 1e6));
            } else {
                raw.advance(&[1, 2, 3, 4].map(|step| traffic(-step)));
            }
            let labels = of(device, role);
            table
                .entries
                .insert(labels.clone(), Entry::new(&labels, raw));
        }
    }
    table.compare(&["role".to_owned()]);
    for (labels, entry) in &table.entries {
        let alone = labels["role"] == "edge" && labels["device"] == "r2";
        assert_eq!(
            entry.apart.unwrap() > 1.0,
            alone,
            "{labels:?} {:?}",
            entry.apart
        );
    }
    let mut apart = table;
    apart
        .entries
        .values_mut()
        .for_each(|entry| entry.apart = None);
    apart.compare(&[]);
    assert!(apart.entries.values().all(|entry| entry.apart.is_none()));
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

/// A clock that ran ahead for six hours and is right again: what could not come meanwhile is a gap, of which nothing is told or counted.
#[test]
fn a_clock_that_ran_ahead_leaves_a_gap_and_no_wrong_number() {
    let mut table = table();
    table.entries = BTreeMap::from([(labels("r1"), learnt())]);
    let (ahead, calendar) = (24, Calendar::default());
    table.advance(Vec::new(), END + ahead * SLOT, 9);
    let entry = table.entries.get_mut(&labels("r1")).unwrap();
    let done = entry.job().follow(table.end, &calendar);
    entry.take(Done::Followed(done), table.end);
    assert_eq!(entry.state(), Some(State::Unfit(Unfit::Stale)));
    entry.look((END + 2 * SLOT) as f64, traffic(-2));
    assert_eq!(entry.score, None, "there is no forecast to hold it against");
    // Time has come up to where the clock was, and an hour and a half has passed since.
    let came = (1..=6).map(|step| traffic(-ahead - step)).collect();
    table.advance(vec![(labels("r1"), came)], END + (ahead + 6) * SLOT, 9);
    let entry = table.entries.get_mut(&labels("r1")).unwrap();
    let outcome = fit(&entry.raw, table.end, None, &calendar);
    assert_eq!(outcome.state, State::Ok);
    let next = ahead + 20;
    let expected = outcome.fitted.unwrap().at((END + next * SLOT) as f64);
    let off = expected.unwrap().middle / traffic(-next) - 1.0;
    assert!(off.abs() < 0.1, "{off}");
    assert_eq!(entry.quality.checked, [0; 2]);
}
