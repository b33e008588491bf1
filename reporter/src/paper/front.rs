//! Page one.

use pdf::{Bar, Bars, Column, Document, Table, Tile};

use crate::figures::{Report, SiteRow};
use crate::words::{length, local, percent, points};

use super::{Titles, named, verdict};

/// Sites on page one.
const WORST: usize = 6;
/// Incidents on page one.
const LONGEST: usize = 5;
/// Parts and gaps that page one names.
const NAMED: usize = 4;

pub(super) fn page(document: &mut Document, report: &Report, titles: &Titles) {
    let zone = report.zone.iana_name().unwrap_or("UTC");
    let owner = match &*titles.organisation {
        "" => String::new(),
        name => format!("{name}, "),
    };
    let below = format!(
        "{owner}{}: {} to {} ({zone}, {} h)",
        report.month,
        local(report.period.start, &report.zone),
        local(report.period.end, &report.zone),
        report.period.length() / 3_600_000,
    );
    document.title(&titles.title, &below);
    missing(document, report);
    tiles(document, report);
    document.paragraph(&sentence(report));
    document.heading("Availability by day");
    days(document, report);
    document.heading("Sites with the lowest availability");
    worst(document, report);
    longest(document, report);
}

/// What is not in the figures, before any figure.
fn missing(document: &mut Document, report: &Report) {
    if !report.missing.is_empty() {
        let mut lines: Vec<String> = report
            .missing
            .iter()
            .take(NAMED)
            .map(|part| {
                format!(
                    "{} from {} to {}: {}",
                    part.what, part.from, part.to, part.why
                )
            })
            .collect();
        if report.missing.len() > NAMED {
            lines.push(format!(
                "and {} more, which manifest.json names",
                report.missing.len() - NAMED
            ));
        }
        lines.push(
            "These parts are counted as not known; nothing was put in their place.".to_owned(),
        );
        document.warning(
            "Incomplete: Prometheus did not answer for every part",
            &lines,
        );
    }
    if !report.gaps.is_empty() {
        let total: i64 = report.gaps.iter().map(|gap| gap.length()).sum();
        let mut lines: Vec<String> = report
            .gaps
            .iter()
            .take(NAMED)
            .map(|gap| {
                let (start, end) = (local(gap.start, &report.zone), local(gap.end, &report.zone));
                format!("{start} to {end} ({})", length(gap.length()))
            })
            .collect();
        if report.gaps.len() > NAMED {
            lines.push(format!("and {} more", report.gaps.len() - NAMED));
        }
        document.warning(
            &format!("Nothing was measured for {} of the month", length(total)),
            &lines,
        );
    }
}

fn tiles(document: &mut Document, report: &Report) {
    let tile = |label: &str, value: String, note: String| Tile {
        label: label.to_owned(),
        value,
        note,
    };
    let availability = report.network.availability();
    let budget = report.network.budget_left(report.target);
    let devices = i64::try_from(report.devices.len().max(1)).unwrap_or(i64::MAX);
    let trend = match (report.previous, availability) {
        (Some(before), Some(now)) => (
            points(before, now),
            format!("{}: {}", report.month.before(), percent(Some(before))),
        ),
        _ => (
            "not known".to_owned(),
            format!("nothing is known of {}", report.month.before()),
        ),
    };
    document.tiles(&[
        tile(
            "Availability",
            percent(availability),
            format!(
                "target {}: {}",
                percent(Some(report.target)),
                verdict(availability, report.target)
            ),
        ),
        tile(
            "Error budget left",
            length(budget / devices),
            if budget < 0 {
                "per device: it is overdrawn".to_owned()
            } else {
                "per device".to_owned()
            },
        ),
        tile("Against the month before", trend.0, trend.1),
        tile(
            "Known of the time",
            percent(report.network.known()),
            format!("worst case {}", percent(report.network.worst_case())),
        ),
    ]);
}

fn sentence(report: &Report) -> String {
    let missed = report
        .sites
        .iter()
        .filter(|site| verdict(site.totals.availability(), site.target) == "missed")
        .count();
    let unknown = report
        .devices
        .iter()
        .filter(|device| device.totals.availability().is_none())
        .count();
    let mut text = format!(
        "{} at {} were watched. There were {} with {} of down time in all; {} of maintenance were planned, \
         which are left out of the availability and listed. {} below target.",
        counted(report.devices.len(), "device", "devices"),
        counted(report.sites.len(), "site", "sites"),
        counted(report.incidents.len(), "incident", "incidents"),
        length(report.network.down),
        length(report.network.planned),
        counted(missed, "site was", "sites were"),
    );
    if unknown > 0 {
        text.push_str(&format!(
            " Of {} nothing is known outside maintenance.",
            counted(unknown, "device", "devices")
        ));
    }
    text
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

fn days(document: &mut Document, report: &Report) {
    let shares: Vec<Option<f64>> = report
        .days
        .iter()
        .map(|day| day.totals.availability())
        .collect();
    let lowest = shares
        .iter()
        .flatten()
        .fold(report.target, |low, share| low.min(*share));
    // The ground line is not 0: what matters are the last digits. It says what it is.
    let low = [0.999, 0.995, 0.99, 0.95, 0.9, 0.75, 0.5]
        .into_iter()
        .find(|low| lowest > *low)
        .unwrap_or(0.0);
    let bars = report
        .days
        .iter()
        .zip(shares)
        .map(|(day, value)| Bar {
            label: day.date.day().to_string(),
            value,
        })
        .collect();
    document.bars(&Bars {
        bars,
        low,
        high: 1.0,
        high_label: "100 %".to_owned(),
        low_label: percent(Some(low)),
        goal: Some((report.target, percent(Some(report.target)))),
    });
    document.remark(&format!(
        "All devices together, maintenance left out. The ground line is {}, the line across is the target; days that miss it are red. \
         A dash: nothing is known of the day.",
        percent(Some(low))
    ));
}

fn worst(document: &mut Document, report: &Report) {
    let mut sites: Vec<&SiteRow> = report.sites.iter().collect();
    let key = |site: &SiteRow| site.totals.availability().unwrap_or(2.0);
    sites.sort_by(|a, b| key(a).total_cmp(&key(b)).then_with(|| a.name.cmp(&b.name)));
    let rows = sites
        .iter()
        .take(WORST)
        .map(|site| {
            let availability = site.totals.availability();
            vec![
                named(&site.name),
                site.devices.to_string(),
                percent(availability),
                percent(Some(site.target)),
                verdict(availability, site.target).to_owned(),
                length(site.totals.down),
                length(site.outage),
            ]
        })
        .collect();
    document.table(&Table {
        columns: vec![
            Column::left("Site", 2.2),
            Column::right("Devices", 0.8),
            Column::right("Availability", 1.2),
            Column::right("Target", 1.1),
            Column::right("Target is", 1.0),
            Column::right("Down, all devices", 1.6),
            Column::right("Whole site down", 1.5),
        ],
        rows,
    });
}

fn longest(document: &mut Document, report: &Report) {
    document.heading("Longest incidents");
    if report.incidents.is_empty() {
        document.paragraph("No device was found down outside maintenance.");
        return;
    }
    let mut all: Vec<_> = report.incidents.iter().collect();
    all.sort_by_key(|one| (std::cmp::Reverse(one.end - one.start), one.start));
    let rows = all
        .iter()
        .take(LONGEST)
        .map(|one| {
            vec![
                named(&one.device),
                named(&one.site),
                local(one.start, &report.zone),
                length(one.end - one.start),
            ]
        })
        .collect();
    document.table(&Table {
        columns: vec![
            Column::left("Device", 1.6),
            Column::left("Site", 1.4),
            Column::left("Began", 2.0),
            Column::right("Duration", 1.4),
        ],
        rows,
    });
}
