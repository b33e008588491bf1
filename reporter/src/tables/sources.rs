//! Tables of what else was asked for.

use crate::figures::Report;
use crate::material::Rate;
use crate::month::utc;

use super::{Cell, Error, File, Profile, Table, number, own, seconds, text};

pub(super) fn all(profile: Profile, report: &Report) -> Result<Vec<File>, Error> {
    let mut files = vec![
        links(profile, report)?,
        paths(profile, report)?,
        compliance(profile, report)?,
        capacity(profile, report)?,
    ];
    if let Some(changes) = &report.changes {
        let head = ["time", "device", "user", "trigger", "commit", "change"];
        let mut table = Table::new(profile, "changes.csv", &head)?;
        for one in changes {
            let texts = [&one.device, &one.user, &one.trigger, &one.commit, &one.text];
            let mut cells = vec![own(utc(one.at))];
            cells.extend(texts.map(|one| text(one)));
            table.row(cells)?;
        }
        files.push(table.finish()?);
    }
    if let Some(repairs) = &report.repairs {
        let head = [
            "job",
            "alert_began",
            "created",
            "updated",
            "device",
            "port",
            "runbook",
            "state",
            "reason",
            "requested_by",
            "approved_by",
            "trace_id",
        ];
        let mut table = Table::new(profile, "repairs.csv", &head)?;
        for one in repairs {
            let times = [one.alert, one.created, one.updated];
            let texts = [
                &one.device,
                &one.port,
                &one.runbook,
                &one.state,
                &one.reason,
                &one.requester,
                &one.approver,
                &one.trace,
            ];
            let mut cells = vec![text(&one.id)];
            cells.extend(times.map(|at| own(if at == 0 { String::new() } else { utc(at) })));
            cells.extend(texts.map(|one| text(one)));
            table.row(cells)?;
        }
        files.push(table.finish()?);
    }
    Ok(files)
}

fn rate(rate: &Rate) -> [Cell; 5] {
    let there = |value: u64| number((rate.samples > 0).then_some(value));
    [
        there(rate.p95),
        there(rate.mean),
        there(rate.highest),
        own(rate.samples),
        own(rate.missing),
    ]
}

fn links(profile: Profile, report: &Report) -> Result<File, Error> {
    let head = [
        "device",
        "interface",
        "alias",
        "speed_bits_per_second",
        "availability_ratio",
        "up_seconds",
        "down_seconds",
        "unknown_seconds",
        "excluded_seconds",
        "p95_utilisation_ratio",
        "in_p95_bits_per_second",
        "in_mean_bits_per_second",
        "in_highest_bits_per_second",
        "in_samples",
        "in_missing",
        "out_p95_bits_per_second",
        "out_mean_bits_per_second",
        "out_highest_bits_per_second",
        "out_samples",
        "out_missing",
    ];
    let mut table = Table::new(profile, "links.csv", &head)?;
    for link in &report.links {
        let mut cells = vec![
            text(&link.device),
            text(&link.name),
            text(&link.alias),
            number(link.speed),
            number(link.totals.availability()),
            seconds(link.totals.up),
            seconds(link.totals.down),
            seconds(link.totals.unknown),
            seconds(link.totals.planned),
            number(link.utilisation()),
        ];
        cells.extend(rate(&link.incoming));
        cells.extend(rate(&link.outgoing));
        table.row(cells)?;
    }
    table.finish()
}

fn paths(profile: Profile, report: &Report) -> Result<File, Error> {
    let head = [
        "device",
        "requests",
        "lost",
        "loss_ratio",
        "answers",
        "mean_round_trip_seconds",
    ];
    let mut table = Table::new(profile, "round_trips.csv", &head)?;
    for path in &report.paths {
        table.row(vec![
            text(&path.device),
            own(path.requests),
            own(path.lost),
            number(path.loss()),
            own(path.answers),
            number(path.round_trip()),
        ])?;
    }
    table.finish()
}

fn compliance(profile: Profile, report: &Report) -> Result<File, Error> {
    let head = [
        "device",
        "hours_known",
        "hours_broken",
        "rules_broken_at_end",
    ];
    let mut table = Table::new(profile, "compliance.csv", &head)?;
    for one in &report.compliance {
        table.row(vec![
            text(&one.device),
            own(one.hours),
            own(one.broken),
            text(&one.rules.join(" ")),
        ])?;
    }
    table.finish()
}

fn capacity(profile: Profile, report: &Report) -> Result<File, Error> {
    let head = [
        "device",
        "interface",
        "direction",
        "days_until_full_50_percent",
        "days_until_full_90_percent",
    ];
    let mut table = Table::new(profile, "capacity.csv", &head)?;
    for one in &report.capacity {
        table.row(vec![
            text(&one.device),
            text(&one.name),
            text(&one.direction),
            number(one.half),
            number(one.sure),
        ])?;
    }
    table.finish()
}
