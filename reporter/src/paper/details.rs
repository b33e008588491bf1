//! The pages behind the first: sites, devices, incidents, maintenance, data quality, method.

use std::collections::BTreeMap;

use pdf::{Column, Document, Table};

use crate::figures::{Incident, Report};
use crate::words::{NONE, length, local, percent};

use super::{VERSION, named, verdict};

/// Most rows of a table on paper; the CSV has all.
const ROWS: usize = 200;

pub(super) fn pages(document: &mut Document, report: &Report) {
    document.page();
    sites(document, report);
    devices(document, report);
    incidents(document, report);
    planned(document, report);
    quality(document, report);
    method(document, report);
}

/// Puts a table, and says where the rest of it is.
fn put(
    document: &mut Document,
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    csv: &str,
    order: &str,
) {
    let count = rows.len();
    let rows: Vec<_> = rows.into_iter().take(ROWS).collect();
    document.table(&Table { columns, rows });
    let which = if count > ROWS {
        format!("{ROWS} of {count} rows, {order}; {csv} has all of them.")
    } else {
        format!("{order}. {csv} has the same with all digits.")
    };
    document.remark(&capital(&which));
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

fn sites(document: &mut Document, report: &Report) {
    document.heading("Sites");
    let rows = report.sites.iter().map(|site| {
        let availability = site.totals.availability();
        vec![
            named(&site.name),
            site.devices.to_string(),
            percent(availability),
            verdict(availability, site.target).to_owned(),
            percent(site.totals.worst_case()),
            length(site.totals.down),
            length(site.totals.unknown),
            length(site.totals.planned),
        ]
    });
    let columns = vec![
        Column::left("Site", 1.8),
        Column::right("Devices", 0.8),
        Column::right("Availability", 1.1),
        Column::right("Target is", 1.0),
        Column::right("Worst case", 1.1),
        Column::right("Down", 1.6),
        Column::right("Not known", 1.7),
        Column::right("Maintenance", 1.6),
    ];
    put(document, columns, rows.collect(), "sites.csv", "by name");
}

fn devices(document: &mut Document, report: &Report) {
    document.heading("Devices");
    let mut all: Vec<_> = report.devices.iter().collect();
    let key = |availability: Option<f64>| availability.unwrap_or(2.0);
    all.sort_by(|a, b| {
        let (one, two) = (a.totals.availability(), b.totals.availability());
        key(one)
            .total_cmp(&key(two))
            .then_with(|| a.name.cmp(&b.name))
    });
    let rows = all.iter().map(|device| {
        let availability = device.totals.availability();
        vec![
            named(&device.name),
            named(&device.site),
            named(&device.role),
            percent(availability),
            verdict(availability, device.target).to_owned(),
            length(device.totals.down),
            length(device.totals.unknown),
            length(device.totals.planned),
            device.incidents.to_string(),
        ]
    });
    let columns = vec![
        Column::left("Device", 1.6),
        Column::left("Site", 1.1),
        Column::left("Role", 1.0),
        Column::right("Availability", 1.2),
        Column::right("Target is", 1.1),
        Column::right("Down", 1.6),
        Column::right("Not known", 1.7),
        Column::right("Maintenance", 1.5),
        Column::right("Incidents", 1.2),
    ];
    let order = "the lowest availability first";
    put(document, columns, rows.collect(), "devices.csv", order);
}

fn incidents(document: &mut Document, report: &Report) {
    document.heading("Incidents");
    if report.incidents.is_empty() {
        document.paragraph("No device was found down outside maintenance.");
        return;
    }
    let mut all: Vec<&Incident> = report.incidents.iter().collect();
    all.sort_by_key(|one| (std::cmp::Reverse(one.end - one.start), one.start));
    let rows = all.iter().map(|one| {
        let began = if one.began_before {
            "before the month".to_owned()
        } else {
            local(one.start, &report.zone)
        };
        vec![
            named(&one.device),
            named(&one.site),
            began,
            local(one.end, &report.zone),
            length(one.end - one.start),
            one.ended.as_str().to_owned(),
        ]
    });
    let columns = vec![
        Column::left("Device", 1.6),
        Column::left("Site", 1.2),
        Column::left("Began", 2.5),
        Column::left("Ended", 2.5),
        Column::right("Duration", 1.8),
        Column::right("Ended with", 1.4),
    ];
    put(
        document,
        columns,
        rows.collect(),
        "incidents.csv",
        "the longest first",
    );
}

/// Windows of several devices stand in one row.
fn planned(document: &mut Document, report: &Report) {
    document.heading("Planned maintenance");
    if report.planned.is_empty() {
        document.paragraph("No maintenance was under way.");
        return;
    }
    let mut windows: BTreeMap<(i64, i64), (Vec<&str>, i64)> = BTreeMap::new();
    for work in &report.planned {
        let (devices, down) = windows.entry((work.start, work.end)).or_default();
        devices.push(&work.device);
        *down += work.down;
    }
    let rows = windows.iter().map(|((start, end), (devices, down))| {
        vec![
            local(*start, &report.zone),
            local(*end, &report.zone),
            length(end - start),
            devices.len().to_string(),
            devices.join(", "),
            length(*down),
        ]
    });
    let columns = vec![
        Column::left("From", 2.3),
        Column::left("To", 2.3),
        Column::right("Duration", 1.4),
        Column::right("Devices", 0.9),
        Column::left("Which", 1.9),
        Column::right("Down in it, all", 1.5),
    ];
    put(
        document,
        columns,
        rows.collect(),
        "maintenance.csv",
        "by time",
    );
}

fn quality(document: &mut Document, report: &Report) {
    document.heading("Quality of the data");
    let samples: u64 = report.devices.iter().map(|device| device.samples).sum();
    document.paragraph(&format!(
        "{samples} samples of {} devices. Known of the time outside maintenance: {}. Nothing was known of any device for {}.",
        report.devices.len(),
        percent(report.network.known()),
        length(report.gaps.iter().map(|gap| gap.length()).sum()),
    ));
    if report.planned_unknown > 0 {
        document.paragraph(&format!(
            "For {}, all devices together, it is not known whether maintenance was under way; it is counted as if there was none.",
            length(report.planned_unknown)
        ));
    }
    if report.nameless > 0 {
        document.paragraph(&format!(
            "{} series of ping_up name no device and are in no figure.",
            report.nameless
        ));
    }
    for warning in &report.warnings {
        document.paragraph(&format!("Prometheus warned: {warning}"));
    }
    for part in &report.missing {
        document.paragraph(&format!(
            "Missing: {} from {} to {}: {}",
            part.what, part.from, part.to, part.why
        ));
    }
    let mut least: Vec<_> = report
        .devices
        .iter()
        .filter(|device| device.totals.unknown > 0)
        .collect();
    if least.is_empty() {
        document.paragraph("Of every device it is known all the time whether it answered.");
        return;
    }
    least.sort_by_key(|device| (std::cmp::Reverse(device.totals.unknown), &device.name));
    let seen =
        |time: Option<i64>| time.map_or_else(|| NONE.to_owned(), |time| local(time, &report.zone));
    let rows = least.iter().map(|device| {
        vec![
            named(&device.name),
            length(device.totals.unknown),
            percent(device.totals.known()),
            device.samples.to_string(),
            seen(device.seen.map(|(first, _)| first)),
            seen(device.seen.map(|(_, last)| last)),
        ]
    });
    let columns = vec![
        Column::left("Device", 1.6),
        Column::right("Not known", 1.5),
        Column::right("Known", 1.0),
        Column::right("Samples", 0.9),
        Column::left("First sample", 2.3),
        Column::left("Last sample", 2.3),
    ];
    put(
        document,
        columns,
        rows.collect(),
        "devices.csv",
        "what is known least first",
    );
}

fn method(document: &mut Document, report: &Report) {
    document.heading("Method");
    let zone = report.zone.iana_name().unwrap_or("UTC");
    for text in [
        format!(
            "The month runs from {} to before {}, midnight to midnight in {zone}; it has {} hours.",
            local(report.period.start, &report.zone),
            local(report.period.end, &report.zone),
            report.period.length() / 3_600_000
        ),
        format!(
            "Each stored sample of ping_up holds until the next one, but no longer than {}; after that the device is not known, which \
             is neither up nor down. 1 is up, 0 is down, anything else is not known. A device that is watched over several addresses or by \
             several probers is up while one of them says so, and down while one says that and none says up.",
            length(report.stale_after)
        ),
        "Maintenance are the windows of the inventory, as sotp_device_maintenance has them; a silence of an alert is none. They are left \
         out of the availability and listed with what the device did in them."
            .to_owned(),
        "Availability = up / (up + down). Worst case = up / (up + down + not known). A site is all its devices together, each for as long \
         as it is known; a whole site is down while at least one of its devices is down and none is up. Error budget left = (up + down) × \
         (1 − target) − down. Figures are computed in whole milliseconds; percentages are cut, not rounded, so that 100.000 % is all."
            .to_owned(),
        "An incident is a device that is down outside maintenance, from its first sample that says so to the first one that does not."
            .to_owned(),
        format!(
            "Made by {VERSION} from Prometheus; manifest.json names the files with their SHA-256. The same samples give the same bytes."
        ),
    ] {
        document.paragraph(&text);
    }
}
