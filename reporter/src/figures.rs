//! The figures of a month, from what was: nothing is asked and nothing is rounded here. Times are milliseconds.

mod causes;
mod incidents;
mod links;
mod overlay;
mod planned;
mod reliability;
mod services;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::history::{Device, History, Missing};
use crate::material::{Capacity, Change, Compliance, Material, Path, Repair};
use crate::month::{Millis, Month, Period};
use crate::timeline::Planned;

pub use crate::totals::Totals;
pub use causes::{Cause, KINDS, Known};
pub use incidents::{Ended, Incident};
pub use links::LinkRow;
pub use planned::Work;
pub use reliability::Reliability;
pub use services::{Needs, Service, ServiceRow};

/// Months of the trend, this one among them.
pub const MONTHS: usize = 12;

/// What availability is measured against, as shares from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// For every site without a target of its own.
    pub general: f64,
    /// Of single sites.
    pub sites: BTreeMap<String, f64>,
    /// The services, in the order of the configuration.
    pub services: Vec<Service>,
}

impl Targets {
    /// The target of a site.
    #[must_use]
    pub fn of(&self, site: &str) -> f64 {
        self.sites.get(site).copied().unwrap_or(self.general)
    }
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
    /// How often it failed, and how long it took.
    pub reliability: Reliability,
    /// Samples that this comes from.
    pub samples: u64,
    /// Times of the first and last of them.
    pub seen: Option<(Millis, Millis)>,
}

/// A site or a role in the month.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRow {
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
    /// How often its devices failed, and how long it took.
    pub reliability: Reliability,
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
    /// This month and the eleven before it, the oldest first; `None` where nothing is known.
    pub trend: Vec<(Month, Option<Totals>)>,
    /// The days.
    pub days: Vec<Day>,
    /// The sites, by name.
    pub sites: Vec<GroupRow>,
    /// The roles, by name.
    pub roles: Vec<GroupRow>,
    /// The services, in the order of the configuration.
    pub services: Vec<ServiceRow>,
    /// The interfaces, by device and name.
    pub links: Vec<LinkRow>,
    /// Round trips, by device.
    pub paths: Vec<Path>,
    /// How configurations stood to their rules, by device.
    pub compliance: Vec<Compliance>,
    /// Lines that will fill up, the first of them first.
    pub capacity: Vec<Capacity>,
    /// Changes of configurations, in the order of time; `None` where nobody is asked.
    pub changes: Option<Vec<Change>>,
    /// Repairs, in the order of time; `None` where nobody is asked.
    pub repairs: Option<Vec<Repair>>,
    /// Whether somebody is asked what devices said of themselves.
    pub has_log: bool,
    /// How often devices failed, and how long it took.
    pub reliability: Reliability,
    /// The devices, by name.
    pub devices: Vec<DeviceRow>,
    /// The incidents, in the order of time, with what is known of each.
    pub incidents: Vec<(Incident, Known)>,
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
    /// The figures of `material`, which is that of `month` in `zone`.
    ///
    /// # Errors
    /// Nothing is known of any device.
    pub fn new(
        month: Month,
        zone: &TimeZone,
        targets: &Targets,
        stale_after: Millis,
        material: &Material,
    ) -> Result<Self, NoFigures> {
        let history = &material.history;
        let devices = &history.devices;
        if devices.iter().all(|device| device.samples == 0) {
            return Err(NoFigures::Empty(month));
        }
        let days = month
            .days(zone)
            .map_err(|error| NoFigures::Edges(month, error))?;
        let incidents = incidents::of(devices);
        let mut own: BTreeMap<&str, Vec<&Incident>> = BTreeMap::new();
        for one in &incidents {
            own.entry(&one.device).or_default().push(one);
        }
        let rows: Vec<DeviceRow> = devices
            .iter()
            .map(|device| {
                let own = own.get(&*device.name).map_or(&[][..], |own| own);
                device_row(device, targets, own)
            })
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
            previous: material.previous.and_then(|totals| totals.availability()),
            trend: trend(month, network, material),
            days: of_days(devices, days),
            sites: groups(devices, &rows, |row| &row.site, |site| targets.of(site)),
            roles: groups(devices, &rows, |row| &row.role, |_| targets.general),
            services: targets
                .services
                .iter()
                .map(|service| services::row(service, devices, history.period))
                .collect(),
            links: links::rows(&material.links, devices),
            paths: material.paths.clone(),
            compliance: material.compliance.clone(),
            capacity: material.capacity.clone(),
            changes: material.changes.clone(),
            repairs: material.repairs.clone(),
            has_log: material.events.is_some(),
            reliability: Reliability::of(&incidents),
            planned: planned::of(devices),
            gaps: overlay::gaps(devices, history.period),
            devices: rows,
            incidents: known(incidents, material),
            missing: history.missing.clone(),
            warnings: history.warnings.clone(),
            nameless: history.nameless,
            planned_unknown,
        })
    }

    /// Whether every source answered everything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

fn trend(month: Month, network: Totals, material: &Material) -> Vec<(Month, Option<Totals>)> {
    let of = |one: Month| {
        if one == month {
            Some(network)
        } else if one == month.before() {
            material.previous
        } else {
            let past = material.months.iter().find(|past| past.month == one);
            past.map(|past| past.totals)
        }
    };
    let months = std::iter::successors(Some(month), |month| Some(month.before()));
    let mut trend: Vec<_> = months
        .take(MONTHS)
        .map(|month| (month, of(month)))
        .collect();
    trend.reverse();
    trend
}

/// All devices together.
#[must_use]
pub fn network(history: &History) -> Totals {
    let mut network = Totals::default();
    for device in &history.devices {
        network.sum(&totals(device));
    }
    network
}

fn totals(device: &Device) -> Totals {
    let mut totals = Totals::default();
    for (start, end, state, planned) in device.state.beside(&device.planned) {
        totals.add(end - start, state, planned);
    }
    totals
}

fn known(incidents: Vec<Incident>, material: &Material) -> Vec<(Incident, Known)> {
    fn all<T>(list: &Option<Vec<T>>) -> &[T] {
        list.as_deref().unwrap_or_default()
    }
    let (changes, events) = (all(&material.changes), all(&material.events));
    let repairs = all(&material.repairs);
    let with = |one| {
        let known = causes::of(&one, changes, events, repairs);
        (one, known)
    };
    incidents.into_iter().map(with).collect()
}

fn device_row(device: &Device, targets: &Targets, incidents: &[&Incident]) -> DeviceRow {
    DeviceRow {
        name: device.name.clone(),
        site: device.site.clone(),
        role: device.role.clone(),
        target: targets.of(&device.site),
        totals: totals(device),
        incidents: incidents.len(),
        longest: incidents
            .iter()
            .map(|one| one.end - one.start)
            .max()
            .unwrap_or(0),
        reliability: Reliability::of(incidents.iter().copied()),
        samples: device.samples,
        seen: device.seen,
    }
}

/// Devices together that have the same of something.
fn groups(
    devices: &[Device],
    rows: &[DeviceRow],
    name: fn(&DeviceRow) -> &String,
    target: impl Fn(&str) -> f64,
) -> Vec<GroupRow> {
    let mut groups: BTreeMap<&str, (GroupRow, Vec<&Device>)> = BTreeMap::new();
    for (device, row) in devices.iter().zip(rows) {
        let (group, members) = groups.entry(name(row)).or_insert_with(|| {
            let group = GroupRow {
                name: name(row).clone(),
                devices: 0,
                target: target(name(row)),
                totals: Totals::default(),
                outage: 0,
                incidents: 0,
                reliability: Reliability::default(),
            };
            (group, Vec::new())
        });
        group.devices += 1;
        group.totals.sum(&row.totals);
        group.incidents += row.incidents;
        group.reliability.sum(&row.reliability);
        members.push(device);
    }
    let whole = |(mut group, members): (GroupRow, Vec<&Device>)| {
        group.outage = overlay::outage(&members);
        group
    };
    groups.into_values().map(whole).collect()
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
