//! A month of forty devices with something of everything that a report can say.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use sotp_reporter::closed::Closed;
use sotp_reporter::figures::{Needs, Report, Service, Targets};
use sotp_reporter::history::{Device, History};
use sotp_reporter::material::{
    Capacity, Change, Compliance, Event, Link, Material, PastMonth, Path, Rate, Repair,
};
use sotp_reporter::month::{Month, Period};
use sotp_reporter::timeline::{Planned, Recorder, State, Timeline};
use sotp_reporter::totals::Totals;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const SITES: [&str; 7] = [
    "warszawa",
    "kraków",
    "gdańsk",
    "łódź",
    "wrocław",
    "poznań",
    "katowice-datacenter-2",
];
const ROLES: [&str; 4] = ["core-router", "access-switch", "firewall", "access-point"];

fn name(index: i64) -> String {
    format!(
        "{}-{}-{index:02}",
        SITES[usize::try_from(index % 7).unwrap()],
        ["core", "acc", "fw", "ap"][usize::try_from(index % 4).unwrap()]
    )
}

/// Each fifth device fails for a quarter of an hour on some days, each third one is worked on for two hours in a night; nothing is known of
/// anybody for forty minutes, and nothing at all of the last one.
fn device(index: i64, period: Period) -> Device {
    let mut state = Recorder::new(period, 2 * MINUTE, State::Unknown);
    let mut planned = Recorder::new(period, 2 * MINUTE, Planned::Unknown);
    let gap = period.start + 19 * DAY + 3 * HOUR;
    let mut at = period.start;
    while at < period.end {
        let (day, minute) = (
            (at - period.start) / DAY,
            (at - period.start) % DAY / MINUTE,
        );
        let fails = index % 5 == 2 && day % 9 == index % 9 && (600..617 + index).contains(&minute);
        let works = index % 3 == 1 && day == 12 && (60..180).contains(&minute);
        if index != 39 && !(gap..gap + 40 * MINUTE).contains(&at) {
            let up = !(fails || works && minute > 100);
            state.take(at, State::of(f64::from(u8::from(up))));
        }
        planned.take(at, Planned::of(f64::from(u8::from(works))));
        at += MINUTE;
    }
    let (samples, seen) = (state.samples, state.seen);
    Device {
        name: name(index),
        site: SITES[usize::try_from(index % 7).unwrap()].to_owned(),
        role: ROLES[usize::try_from(index % 4).unwrap()].to_owned(),
        state: state.finish(),
        planned: planned.finish(),
        samples,
        seen,
    }
}

fn link(index: i64, device: &Device, period: Period) -> Link {
    let speed =
        [100_000_000_000_u64, 10_000_000_000, 1_000_000_000][usize::try_from(index % 3).unwrap()];
    let rate = |part: u64| {
        let means: Vec<f64> = (0..8_928_u64)
            .map(|at| (speed / 1_000 * (part + at % 311)) as f64)
            .collect();
        Rate::of(&means, 8_940)
    };
    let shift = u64::try_from(index % 13).unwrap();
    Link {
        device: device.name.clone(),
        name: format!("GigabitEthernet0/0/{index}"),
        alias: [
            "uplink to ISP Zażółć",
            "",
            "LAG member towards the second floor",
        ][usize::try_from(index % 3).unwrap()]
        .to_owned(),
        speed: (index != 7).then_some(speed),
        state: device.state.clone(),
        off: Timeline::constant(period, Planned::No),
        incoming: rate(40 * shift),
        outgoing: if index == 8 {
            Rate::default()
        } else {
            rate(17)
        },
    }
}

/// What is known of October 2025 in Warsaw.
pub(crate) fn closed() -> Closed {
    let month: Month = "2025-10".parse().unwrap();
    let zone = TimeZone::get("Europe/Warsaw").unwrap();
    let period = month.period(&zone).unwrap();
    let devices: Vec<Device> = (0..40).map(|index| device(index, period)).collect();
    let of = |index: i64| devices[usize::try_from(index).unwrap()].name.clone();
    let links = (0..40).map(|index| link(index, &devices[usize::try_from(index).unwrap()], period));
    let paths = (0..39).map(|index: i64| Path {
        device: of(index),
        requests: 2_682_000,
        lost: u64::try_from(index * index * 17).unwrap(),
        answers: 2_680_000,
        round_trip_nanoseconds: u64::try_from((index + 1) * 2_680_000).unwrap() * 700_000,
    });
    let compliance = (0..40).map(|index: i64| Compliance {
        device: of(index),
        hours: 745,
        broken: if index % 8 == 3 {
            120 + index.unsigned_abs()
        } else {
            0
        },
        rules: (0..index % 8 / 3)
            .map(|rule| format!("ntp-servers-{rule}"))
            .collect(),
    });
    let capacity = (0..6).map(|index| Capacity {
        device: of(index),
        name: format!("GigabitEthernet0/0/{index}"),
        direction: if index % 2 == 0 { "in" } else { "out" }.to_owned(),
        half: (index < 5).then_some(20 + 13 * index.unsigned_abs()),
        sure: (index < 3).then_some(31 + 17 * index.unsigned_abs()),
    });
    let fault = |index: i64| period.start + (index % 9) * DAY + 10 * HOUR;
    let broken: Vec<i64> = (0..40).filter(|index| index % 5 == 2).collect();
    let changes = broken.iter().step_by(2).map(|index| Change {
        at: fault(*index) - 2 * MINUTE,
        device: of(*index),
        user: "anna.nowak".to_owned(),
        trigger: "event".to_owned(),
        commit: "0123456789abcdef0123".to_owned(),
        text: "anna.nowak changed the configuration (+3 -1): interface GigabitEthernet0/0/1"
            .to_owned(),
    });
    let events = broken.iter().map(|index| Event {
        at: fault(*index) - MINUTE,
        device: of(*index),
        kind: "reboot".to_owned(),
        text: "it was reloaded by the power supply".to_owned(),
    });
    let repairs = broken.iter().map(|index| Repair {
        id: format!("01JCK{index:02}9F7Z8Q2M4T6V8X0Z"),
        alert: fault(*index) + MINUTE,
        created: fault(*index) + 2 * MINUTE,
        updated: fault(*index) + 14 * MINUTE,
        device: of(*index),
        port: "GigabitEthernet0/0/1".to_owned(),
        runbook: "port-up".to_owned(),
        state: "succeeded".to_owned(),
        reason: "it answers again".to_owned(),
        requester: String::new(),
        approver: "Łukasz Żółw".to_owned(),
        trace: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
    });
    let totals = |down: i64| Totals {
        up: 40 * 30 * DAY - down,
        down,
        ..Totals::default()
    };
    let months = [
        ("2024-12", 90),
        ("2025-03", 4_000),
        ("2025-04", 700),
        ("2025-08", 30),
    ];
    let material = Material {
        previous: Some(totals(500 * MINUTE)),
        months: months
            .map(|(month, minutes)| PastMonth {
                month: month.parse().unwrap(),
                totals: totals(minutes * MINUTE),
            })
            .to_vec(),
        links: links.collect(),
        paths: paths.collect(),
        compliance: compliance.collect(),
        capacity: capacity.collect(),
        changes: Some(changes.collect()),
        events: Some(events.collect()),
        repairs: Some(repairs.collect()),
        ..Material::of(History {
            period,
            devices: devices.clone(),
            missing: Vec::new(),
            warnings: Vec::new(),
            nameless: 0,
        })
    };
    Closed::new(month, "Europe/Warsaw".to_owned(), 2 * MINUTE, material)
}

/// Its figures.
pub(crate) fn report() -> Report {
    let closed = closed();
    let service = |label: &str, needs, indexes: [i64; 2]| Service {
        name: label.to_owned(),
        devices: indexes.map(name).to_vec(),
        needs,
        target: 0.9995,
    };
    let targets = Targets {
        general: 0.999,
        sites: BTreeMap::from([("gdańsk".to_owned(), 0.9999)]),
        services: vec![
            service("Internet", Needs::Any, [0, 7]),
            service("Sklep, kasy i magazyn", Needs::All, [2, 12]),
        ],
    };
    let zone = TimeZone::get("Europe/Warsaw").unwrap();
    Report::new(
        closed.month,
        &zone,
        &targets,
        closed.stale_after,
        &closed.material,
    )
    .unwrap()
}
