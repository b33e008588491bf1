//! The figures beside another way to the same ones: at each minute of the month, what Prometheus would have answered.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use sotp_reporter::figures::{Report, Targets, Totals};
use sotp_reporter::history::{Device, History};
use sotp_reporter::material::Material;
use sotp_reporter::month::{Month, Period};
use sotp_reporter::timeline::{Planned, Recorder, State};

/// All times are whole minutes, so that looking at each minute misses nothing.
const MINUTE: i64 = 60_000;

/// A stretch of samples: how long after the last stretch it begins, its length, how far apart they are, all in minutes, and the value.
type Stretch = (i64, i64, i64, u8);

#[derive(Debug, Clone)]
struct Case {
    month: Month,
    zone: TimeZone,
    stale: i64,
    /// Of each device: its site, the series of `ping_up`, that of the maintenance.
    devices: Vec<(u8, Vec<Vec<Stretch>>, Vec<Stretch>)>,
}

fn series() -> impl Strategy<Value = Vec<Stretch>> {
    // Stretches of some hours with pauses of minutes to days: some 10 days in all, scattered over a month and its edges.
    let stretch = (0_i64..2_000, 1_i64..1_500, 1_i64..8, 0_u8..3);
    prop::collection::vec(stretch, 0..25)
}

fn case() -> impl Strategy<Value = Case> {
    let device = (0_u8..3, prop::collection::vec(series(), 1..3), series());
    let devices = prop::collection::vec(device, 1..4);
    let months = prop::sample::select(vec!["2025-03", "2025-10", "2025-02", "2024-02", "2025-11"]);
    let zones = prop::sample::select(vec![
        "Europe/Warsaw",
        "UTC",
        "America/New_York",
        "Australia/Lord_Howe",
    ]);
    (months, zones, 1_i64..12, devices).prop_map(|(month, zone, stale, devices)| Case {
        month: month.parse().unwrap(),
        zone: TimeZone::get(zone).unwrap(),
        stale,
        devices,
    })
}

/// The samples of a series, from a day before the month on.
fn samples(stretches: &[Stretch], period: Period) -> BTreeMap<i64, f64> {
    let mut samples = BTreeMap::new();
    let mut at = period.start - 1_440 * MINUTE;
    for (pause, length, step, value) in stretches {
        at += pause * MINUTE;
        let end = at + length * MINUTE;
        while at < end {
            // 2 stands for what is no statement.
            let value = if *value == 2 {
                f64::NAN
            } else {
                f64::from(*value)
            };
            samples.insert(at, value);
            at += step * MINUTE;
        }
    }
    samples
}

fn recorded<S: Copy + Ord>(
    samples: &BTreeMap<i64, f64>,
    period: Period,
    stale: i64,
    unknown: S,
    of: fn(f64) -> S,
) -> Recorder<S> {
    let mut recorder = Recorder::new(period, stale, unknown);
    for (at, value) in samples {
        recorder.take(*at, of(*value));
    }
    recorder
}

/// What an instant query answers at `time`: the newest sample that is not too old.
fn answer(samples: &BTreeMap<i64, f64>, time: i64, stale: i64) -> Option<f64> {
    let (at, value) = samples.range(..=time).next_back()?;
    (time - at < stale && !value.is_nan()).then_some(*value)
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    network: Totals,
    days: BTreeMap<Date, Totals>,
    outages: BTreeMap<u8, i64>,
    gap: i64,
}

/// Counts minutes, one by one.
fn counted(case: &Case, period: Period) -> Counts {
    let stale = case.stale * MINUTE;
    let read: Vec<_> = case
        .devices
        .iter()
        .map(|(site, series, planned)| {
            let all: Vec<_> = series.iter().map(|one| samples(one, period)).collect();
            (*site, all, samples(planned, period))
        })
        .collect();
    let mut counts = Counts::default();
    let mut time = period.start;
    while time < period.end {
        let date = Timestamp::from_millisecond(time)
            .unwrap()
            .to_zoned(case.zone.clone())
            .date();
        let mut day = Totals::default();
        let mut sites: BTreeMap<u8, (bool, bool)> = BTreeMap::new();
        let mut known = false;
        for (site, series, planned) in &read {
            let answers: Vec<f64> = series
                .iter()
                .filter_map(|one| answer(one, time, stale))
                .collect();
            let up = answers.contains(&1.0);
            let down = !up && answers.contains(&0.0);
            known |= up || down;
            if answer(planned, time, stale) == Some(1.0) {
                day.planned += MINUTE;
                day.planned_down += if down { MINUTE } else { 0 };
                continue;
            }
            let seen = sites.entry(*site).or_default();
            seen.0 |= up;
            seen.1 |= down;
            if up {
                day.up += MINUTE;
            } else if down {
                day.down += MINUTE;
            } else {
                day.unknown += MINUTE;
            }
        }
        for (site, (up, down)) in sites {
            *counts.outages.entry(site).or_default() += if down && !up { MINUTE } else { 0 };
        }
        counts.gap += if known { 0 } else { MINUTE };
        for total in [counts.days.entry(date).or_default(), &mut counts.network] {
            total.up += day.up;
            total.down += day.down;
            total.unknown += day.unknown;
            total.planned += day.planned;
            total.planned_down += day.planned_down;
        }
        time += MINUTE;
    }
    counts
}

/// The report that the program makes of the same samples.
fn reported(case: &Case, period: Period) -> Option<Report> {
    let stale = case.stale * MINUTE;
    let devices = case.devices.iter().enumerate();
    let devices = devices
        .map(|(index, (site, series, planned))| {
            let mut device: Option<Device> = None;
            let plan = recorded(
                &samples(planned, period),
                period,
                stale,
                Planned::Unknown,
                Planned::of,
            );
            let plan = plan.finish();
            for one in series {
                let recorder = recorded(
                    &samples(one, period),
                    period,
                    stale,
                    State::Unknown,
                    State::of,
                );
                let count = recorder.samples;
                let state = recorder.finish();
                device = Some(match device {
                    None => Device {
                        name: format!("r{index}"),
                        site: site.to_string(),
                        role: String::new(),
                        state,
                        planned: plan.clone(),
                        samples: count,
                        seen: None,
                    },
                    Some(before) => Device {
                        state: before.state.greater(&state),
                        samples: before.samples + count,
                        ..before
                    },
                });
            }
            device.unwrap()
        })
        .collect();
    let history = History {
        period,
        devices,
        missing: Vec::new(),
        warnings: Vec::new(),
        nameless: 0,
    };
    let targets = Targets {
        general: 0.999,
        sites: BTreeMap::new(),
        services: Vec::new(),
    };
    let material = Material::of(history);
    Report::new(case.month, &case.zone, &targets, stale, &material).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Some seconds: 12 months are counted minute by minute.
    #[test]
    fn figures_are_those_of_counting_each_minute(case in case()) {
        let period = case.month.period(&case.zone).unwrap();
        let counts = counted(&case, period);
        let Some(report) = reported(&case, period) else {
            prop_assert_eq!(counts.network.up + counts.network.down, 0, "samples before the month at most");
            return Ok(());
        };
        prop_assert_eq!(&report.network, &counts.network);
        prop_assert_eq!(
            report.days.iter().map(|day| (day.date, day.totals)).collect::<BTreeMap<_, _>>(),
            counts.days
        );
        let outages: BTreeMap<u8, i64> = report.sites.iter().map(|site| (site.name.parse().unwrap(), site.outage)).collect();
        for (site, outage) in &outages {
            prop_assert_eq!(*outage, counts.outages.get(site).copied().unwrap_or(0));
        }
        prop_assert_eq!(report.gaps.iter().map(|gap| gap.length()).sum::<i64>(), counts.gap);
        // Each moment of down time is in one incident, and each of planned work in one line.
        let down: i64 = report.incidents.iter().map(|(one, _)| one.end - one.start).sum();
        prop_assert_eq!(down, report.network.down);
        let planned: i64 = report.planned.iter().map(|one| one.end - one.start).sum();
        prop_assert_eq!(planned, report.network.planned);
        let devices = i64::try_from(case.devices.len()).unwrap();
        let all = report.network.up + report.network.down + report.network.unknown + report.network.planned;
        prop_assert_eq!(all, devices * period.length());
    }
}
