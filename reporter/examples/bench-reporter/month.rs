//! A month that looks like one.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use sotp_reporter::closed::{Archive, Closed};
use sotp_reporter::figures::{Report, Targets};
use sotp_reporter::history::{Device, History};
use sotp_reporter::material::{Link, Material, Path as Pings, Rate};
use sotp_reporter::month::{Month, Period};
use sotp_reporter::tables::{self, Profile};
use sotp_reporter::timeline::{Planned, Recorder, State, Timeline};

const MINUTE: i64 = 60_000;

fn month() -> (Month, Period) {
    let month: Month = "2025-10".parse().unwrap();
    (month, month.period(&TimeZone::UTC).unwrap())
}

/// A number that looks like chance and is none.
fn noise(seed: u64) -> u64 {
    let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33
}

/// Samples each minute; a tenth of the devices is down for some minutes now and then.
fn device(index: u64, period: Period) -> Device {
    let mut state = Recorder::new(period, 2 * MINUTE, State::Unknown);
    let mut planned = Recorder::new(period, 2 * MINUTE, Planned::Unknown);
    let mut at = period.start;
    while at < period.end {
        let hour = u64::try_from(at / (60 * MINUTE)).unwrap();
        let down = index % 10 == 3 && noise(hour ^ (index << 32)).is_multiple_of(200);
        let first = (at / MINUTE) % 60 < 7;
        state.take(at, State::of(if down && first { 0.0 } else { 1.0 }));
        planned.take(
            at,
            Planned::of(f64::from(u8::from(hour % 700 == index % 700))),
        );
        at += MINUTE;
    }
    let (samples, seen) = (state.samples, state.seen);
    Device {
        name: format!("router-{index:04}"),
        site: format!("site-{:02}", index % 40),
        role: ["router", "switch", "firewall"][usize::try_from(index % 3).unwrap()].to_owned(),
        state: state.finish(),
        planned: planned.finish(),
        samples,
        seen,
    }
}

/// What is known of a month of so many devices, each with one link.
pub(crate) fn closed(devices: u64) -> Closed {
    let (month, period) = month();
    let all: Vec<Device> = (0..devices).map(|index| device(index, period)).collect();
    let rate = |seed: u64| {
        let means: Vec<f64> = (0..8_928).map(|at| noise(seed ^ at) as f64 / 3.0).collect();
        Rate::of(&means, 8_928)
    };
    let links = all.iter().enumerate().map(|(index, device)| Link {
        device: device.name.clone(),
        name: "eth0".to_owned(),
        alias: "Uplink".to_owned(),
        speed: Some(1_000_000_000),
        state: device.state.clone(),
        off: Timeline::constant(period, Planned::No),
        incoming: rate(index as u64),
        outgoing: rate(index as u64 + 77),
    });
    let paths = all.iter().enumerate().map(|(index, device)| Pings {
        device: device.name.clone(),
        requests: 2_678_400,
        lost: noise(index as u64) % 9_000,
        answers: 2_660_000,
        round_trip_nanoseconds: noise(index as u64) * 10_000,
    });
    let (links, paths) = (links.collect(), paths.collect());
    let material = Material {
        links,
        paths,
        ..Material::of(History {
            period,
            devices: all,
            missing: Vec::new(),
            warnings: Vec::new(),
            nameless: 0,
        })
    };
    Closed::new(month, "UTC".to_owned(), 2 * MINUTE, material)
}

fn report(closed: &Closed) -> Report {
    let targets = Targets {
        general: 0.999,
        sites: std::collections::BTreeMap::new(),
        services: Vec::new(),
    };
    let zone = TimeZone::UTC;
    Report::new(
        closed.month,
        &zone,
        &targets,
        closed.stale_after,
        &closed.material,
    )
    .unwrap()
}

/// A folder in which the month of so many devices is closed.
pub(crate) fn close(devices: u64, place: &Path) {
    std::fs::create_dir_all(copies(place)).unwrap();
    Archive::new(&place.join("data"))
        .close(&closed(devices))
        .unwrap();
}

/// Where copies of its reports go.
pub(crate) fn copies(place: &Path) -> PathBuf {
    place.join("copies")
}

/// The folder of the report that was put there.
pub(crate) fn made(place: &Path) -> PathBuf {
    copies(place).join("2025-10")
}

/// From samples to all tables.
pub(crate) fn states(devices: u64) {
    let closed = closed(devices);
    let files = tables::all(&report(&closed), Profile::Rfc4180).unwrap();
    assert!(files.iter().all(|file| !file.content.is_empty()));
}

/// How many pages the PDF in a folder has.
pub(crate) fn pages(folder: &Path) -> usize {
    let file = std::fs::read(folder.join("availability-2025-10.pdf")).unwrap();
    let text = String::from_utf8_lossy(&file);
    text.matches("/Type /Page\n").count() + text.matches("/Type/Page/").count()
}
