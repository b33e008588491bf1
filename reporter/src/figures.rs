//! The figures of a month, from what was: nothing is asked and nothing is rounded here. Times are milliseconds.

mod incidents;
mod overlay;
mod planned;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::{Device, History, Missing};
use crate::month::{Millis, Month, Period};
use crate::timeline::{Planned, State};

pub use incidents::{Ended, Incident};
pub use planned::Work;

/// What availability is measured against, as shares from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// For every site without a target of its own.
    pub general: f64,
    /// Of single sites.
    pub sites: BTreeMap<String, f64>,
}

impl Targets {
    /// The target of a site.
    #[must_use]
    pub fn of(&self, site: &str) -> f64 {
        self.sites.get(site).copied().unwrap_or(self.general)
    }
}

/// How long what held. Planned work is in no other part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// It answered.
    pub up: Millis,
    /// It did not answer.
    pub down: Millis,
    /// Nothing is known.
    pub unknown: Millis,
    /// Planned work was under way, whatever the device did.
    pub planned: Millis,
    /// The part of it in which the device did not answer.
    pub planned_down: Millis,
}

impl Totals {
    fn add(&mut self, length: Millis, state: State, planned: Planned) {
        if planned == Planned::Yes {
            self.planned += length;
            if state == State::Down {
                self.planned_down += length;
            }
            return;
        }
        match state {
            State::Up => self.up += length,
            State::Down => self.down += length,
            State::Unknown => self.unknown += length,
        }
    }

    fn sum(&mut self, other: &Self) {
        self.up += other.up;
        self.down += other.down;
        self.unknown += other.unknown;
        self.planned += other.planned;
        self.planned_down += other.planned_down;
    }

    /// Up as a share of what is known; `None` where nothing is.
    #[must_use]
    pub fn availability(&self) -> Option<f64> {
        share(self.up, self.up + self.down)
    }

    /// The same as if all that is not known had been down.
    #[must_use]
    pub fn worst_case(&self) -> Option<f64> {
        share(self.up, self.up + self.down + self.unknown)
    }

    /// The part of the time outside planned work of which something is known.
    #[must_use]
    pub fn known(&self) -> Option<f64> {
        share(self.up + self.down, self.up + self.down + self.unknown)
    }

    /// How long it may still be down before the target is missed, of the time that is known; negative where it is.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a month in milliseconds")]
    pub fn budget_left(&self, target: f64) -> Millis {
        let known = (self.up + self.down) as f64;
        (known * (1.0 - target)).round() as Millis - self.down
    }
}

fn share(part: Millis, whole: Millis) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A device in the month.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceRow {
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Its role.
    pub role: String,
    /// What is expected of it.
    pub target: f64,
    /// How long what held.
    pub totals: Totals,
    /// How often it went down.
    pub incidents: usize,
    /// How long it was down at most.
    pub longest: Millis,
    /// Samples that this comes from.
    pub samples: u64,
    /// Times of the first and last of them.
    pub seen: Option<(Millis, Millis)>,
}

/// A site in the month.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteRow {
    /// Its name.
    pub name: String,
    /// Its devices.
    pub devices: usize,
    /// What is expected of it.
    pub target: f64,
    /// Of all its devices together.
    pub totals: Totals,
    /// How long none of its devices that are known and not in planned work answered.
    pub outage: Millis,
    /// Incidents of its devices.
    pub incidents: usize,
}

/// A day of the month, of all devices together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// The day in the zone of the report.
    pub date: Date,
    /// How long what held.
    pub totals: Totals,
}

/// Everything that the report says.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The month.
    pub month: Month,
    /// The zone that the month is of.
    pub zone: TimeZone,
    /// Its edges.
    pub period: Period,
    /// What is expected of the whole.
    pub target: f64,
    /// How long a sample holds.
    pub stale_after: Millis,
    /// All devices together.
    pub network: Totals,
    /// The month before, if anything is known of it.
    pub previous: Option<f64>,
    /// The days.
    pub days: Vec<Day>,
    /// The sites, by name.
    pub sites: Vec<SiteRow>,
    /// The devices, by name.
    pub devices: Vec<DeviceRow>,
    /// The incidents, in the order of time.
    pub incidents: Vec<Incident>,
    /// Planned work, in the order of time.
    pub planned: Vec<Work>,
    /// Times at which nothing was known of any device.
    pub gaps: Vec<Period>,
    /// What could not be asked for.
    pub missing: Vec<Missing>,
    /// What Prometheus warned of.
    pub warnings: Vec<String>,
    /// Series that belong to no device.
    pub nameless: usize,
    /// How long, of all devices together, it is not known whether planned work was under way.
    pub planned_unknown: Millis,
}

/// What has no figures.
#[derive(Debug, thiserror::Error)]
pub enum NoFigures {
    /// There is no sample.
    #[error("Prometheus has no sample of ping_up for {0}: there is nothing to report")]
    Empty(Month),
    /// The month has no edges.
    #[error("the edges of {0}")]
    Edges(Month, #[source] jiff::Error),
}

impl Report {
    /// The figures of `history`, which is that of `month` in `zone`.
    ///
    /// # Errors
    /// Nothing is known of any device.
    pub fn new(
        month: Month,
        zone: &TimeZone,
        targets: &Targets,
        stale_after: Millis,
        history: &History,
        previous: Option<f64>,
    ) -> Result<Self, NoFigures> {
        let devices = &history.devices;
        if devices.iter().all(|device| device.samples == 0) {
            return Err(NoFigures::Empty(month));
        }
        let days = month
            .days(zone)
            .map_err(|error| NoFigures::Edges(month, error))?;
        let incidents = incidents::of(devices);
        let rows: Vec<DeviceRow> = devices
            .iter()
            .map(|device| device_row(device, targets, &incidents))
            .collect();
        let mut network = Totals::default();
        for row in &rows {
            network.sum(&row.totals);
        }
        let planned_unknown = devices
            .iter()
            .flat_map(|device| device.planned.spans())
            .filter(|span| span.value == Planned::Unknown)
            .map(|span| span.end - span.start)
            .sum();
        Ok(Self {
            month,
            zone: zone.clone(),
            period: history.period,
            target: targets.general,
            stale_after,
            network,
            previous,
            days: of_days(devices, days),
            sites: sites(devices, &rows, targets),
            planned: planned::of(devices),
            gaps: overlay::gaps(devices, history.period),
            devices: rows,
            incidents,
            missing: history.missing.clone(),
            warnings: history.warnings.clone(),
            nameless: history.nameless,
            planned_unknown,
        })
    }

    /// Whether Prometheus answered everything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

/// The availability of all devices together, where anything is known.
#[must_use]
pub fn availability(history: &History) -> Option<f64> {
    let mut network = Totals::default();
    for device in &history.devices {
        network.sum(&totals(device));
    }
    network.availability()
}

fn totals(device: &Device) -> Totals {
    let mut totals = Totals::default();
    for (start, end, state, planned) in device.state.beside(&device.planned) {
        totals.add(end - start, state, planned);
    }
    totals
}

fn device_row(device: &Device, targets: &Targets, incidents: &[Incident]) -> DeviceRow {
    let own = || incidents.iter().filter(|one| one.device == device.name);
    DeviceRow {
        name: device.name.clone(),
        site: device.site.clone(),
        role: device.role.clone(),
        target: targets.of(&device.site),
        totals: totals(device),
        incidents: own().count(),
        longest: own().map(|one| one.end - one.start).max().unwrap_or(0),
        samples: device.samples,
        seen: device.seen,
    }
}

fn sites(devices: &[Device], rows: &[DeviceRow], targets: &Targets) -> Vec<SiteRow> {
    let mut sites: BTreeMap<&str, (SiteRow, Vec<&Device>)> = BTreeMap::new();
    for (device, row) in devices.iter().zip(rows) {
        let (site, members) = sites.entry(&row.site).or_insert_with(|| {
            let site = SiteRow {
                name: row.site.clone(),
                devices: 0,
                target: targets.of(&row.site),
                totals: Totals::default(),
                outage: 0,
                incidents: 0,
            };
            (site, Vec::new())
        });
        site.devices += 1;
        site.totals.sum(&row.totals);
        site.incidents += row.incidents;
        members.push(device);
    }
    let whole = |(mut site, members): (SiteRow, Vec<&Device>)| {
        site.outage = overlay::outage(&members);
        site
    };
    sites.into_values().map(whole).collect()
}

fn of_days(devices: &[Device], days: Vec<(Date, Period)>) -> Vec<Day> {
    let mut all: Vec<(Day, Period)> = days
        .into_iter()
        .map(|(date, period)| {
            let totals = Totals::default();
            (Day { date, totals }, period)
        })
        .collect();
    for device in devices {
        let mut day = 0;
        for (mut start, end, state, planned) in device.state.beside(&device.planned) {
            // The spans are in the order of time, as the days are.
            while start < end && day < all.len() {
                let (of_day, period) = &mut all[day];
                let until = end.min(period.end);
                if until > start {
                    of_day.totals.add(until - start, state, planned);
                    start = until;
                }
                if period.end <= end {
                    day += 1;
                }
            }
        }
    }
    all.into_iter().map(|(day, _)| day).collect()
}

/// Times in which nothing is known of any device.
#[must_use]
pub fn gaps(history: &History) -> Vec<Period> {
    overlay::gaps(&history.devices, history.period)
}
