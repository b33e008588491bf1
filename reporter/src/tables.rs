//! The tables of a report as CSV (RFC 4180): every row, times in UTC, lengths in seconds, shares unrounded.

mod sources;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::figures::{GroupRow, Needs, Reliability, Report, Totals};
use crate::month::{Millis, utc};

/// A file of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// What cannot be written as CSV: an error of the programmer.
pub type Error = csv::Error;

/// For whom the tables are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// RFC 4180: commas between cells, points in numbers, UTF-8.
    #[default]
    Rfc4180,
    /// As a Polish Excel opens it without being asked: semicolons between cells, commas in numbers, UTF-8 with its mark.
    ExcelPl,
}

/// The tables. One whose source nobody asks is not there.
///
/// # Errors
/// The writer fails, which it does not into memory.
pub fn all(report: &Report, profile: Profile) -> Result<Vec<File>, Error> {
    let mut files = vec![
        months(profile, report)?,
        groups(profile, "sites.csv", "site", &report.sites)?,
        groups(profile, "roles.csv", "role", &report.roles)?,
        devices(profile, report)?,
        incidents(profile, report)?,
        planned(profile, report)?,
    ];
    if !report.services.is_empty() {
        files.push(services(profile, report)?);
    }
    files.extend(sources::all(profile, report)?);
    Ok(files)
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    /// A text of others.
    Text(String),
    /// A number, with a point, or another text of ours.
    Own(String),
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "numbers and texts alike")]
fn own(value: impl ToString) -> Cell {
    Cell::Own(value.to_string())
}

/// A text of others: programs that compute tables take some beginnings for a formula, so that one is put behind an apostrophe.
fn guarded(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// Milliseconds as seconds, exactly.
fn seconds(millis: Millis) -> Cell {
    let (sign, millis) = (if millis < 0 { "-" } else { "" }, millis.unsigned_abs());
    let (whole, rest) = (millis / 1_000, millis % 1_000);
    Cell::Own(match rest {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{rest:03}"),
    })
}

/// A number with all its digits; empty where there is none.
fn number<T: ToString>(value: Option<T>) -> Cell {
    Cell::Own(value.map(|value| value.to_string()).unwrap_or_default())
}

fn yes(is: bool) -> Cell {
    own(if is { "yes" } else { "no" })
}

fn meets(totals: &Totals, target: f64) -> Cell {
    match totals.availability() {
        None => own(""),
        Some(share) => yes(share >= target),
    }
}

struct Table {
    name: &'static str,
    profile: Profile,
    writer: csv::Writer<Vec<u8>>,
}

impl Table {
    fn new(profile: Profile, name: &'static str, head: &[&str]) -> Result<Self, Error> {
        let (delimiter, begin) = match profile {
            Profile::Rfc4180 => (b',', Vec::new()),
            Profile::ExcelPl => (b';', "\u{feff}".as_bytes().to_vec()),
        };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter)
            .terminator(csv::Terminator::CRLF)
            .from_writer(begin);
        writer.write_record(head)?;
        Ok(Self {
            name,
            profile,
            writer,
        })
    }

    fn row(&mut self, cells: Vec<Cell>) -> Result<(), Error> {
        let written = cells.into_iter().map(|cell| match cell {
            Cell::Text(text) => guarded(&text),
            Cell::Own(text) if self.profile == Profile::ExcelPl && is_number(&text) => {
                text.replace('.', ",")
            }
            Cell::Own(text) => text,
        });
        self.writer.write_record(written)
    }

    fn finish(self) -> Result<File, Error> {
        let content = self
            .writer
            .into_inner()
            .map_err(|error| Error::from(error.into_error()))?;
        Ok(File {
            name: self.name.to_owned(),
            content,
        })
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

const TOTALS: [&str; 10] = [
    "availability_ratio",
    "worst_case_ratio",
    "target_ratio",
    "meets_target",
    "error_budget_left_seconds",
    "up_seconds",
    "down_seconds",
    "unknown_seconds",
    "maintenance_seconds",
    "maintenance_down_seconds",
];

fn totals(totals: &Totals, target: f64) -> [Cell; 10] {
    [
        number(totals.availability()),
        number(totals.worst_case()),
        own(target),
        meets(totals, target),
        seconds(totals.budget_left(target)),
        seconds(totals.up),
        seconds(totals.down),
        seconds(totals.unknown),
        seconds(totals.planned),
        seconds(totals.planned_down),
    ]
}

const RELIABILITY: [&str; 3] = ["failures", "mttr_seconds", "mtbf_seconds"];

fn reliability(reliability: &Reliability, up: Millis) -> [Cell; 3] {
    let seconds = |millis: Option<f64>| number(millis.map(|millis| millis / 1_000.0));
    [
        own(reliability.failures),
        seconds(reliability.mttr()),
        seconds(reliability.mtbf(up)),
    ]
}

/// This month and those before it; one of which nothing is known has empty cells.
fn months(profile: Profile, report: &Report) -> Result<File, Error> {
    let head = [
        "month",
        "availability_ratio",
        "worst_case_ratio",
        "up_seconds",
        "down_seconds",
        "unknown_seconds",
        "maintenance_seconds",
        "maintenance_down_seconds",
    ];
    let mut table = Table::new(profile, "months.csv", &head)?;
    for (month, totals) in &report.trend {
        let mut cells = vec![own(month)];
        cells.extend(match totals {
            None => vec![own(""); head.len() - 1],
            Some(totals) => vec![
                number(totals.availability()),
                number(totals.worst_case()),
                seconds(totals.up),
                seconds(totals.down),
                seconds(totals.unknown),
                seconds(totals.planned),
                seconds(totals.planned_down),
            ],
        });
        table.row(cells)?;
    }
    table.finish()
}

fn groups(
    profile: Profile,
    name: &'static str,
    of: &str,
    rows: &[GroupRow],
) -> Result<File, Error> {
    let head = [
        &[of, "devices"],
        &TOTALS[..],
        &["outage_seconds", "incidents"],
        &RELIABILITY,
    ]
    .concat();
    let mut table = Table::new(profile, name, &head)?;
    for row in rows {
        let mut cells = vec![text(&row.name), own(row.devices)];
        cells.extend(totals(&row.totals, row.target));
        cells.extend([seconds(row.outage), own(row.incidents)]);
        cells.extend(reliability(&row.reliability, row.totals.up));
        table.row(cells)?;
    }
    table.finish()
}

fn services(profile: Profile, report: &Report) -> Result<File, Error> {
    let head = [&["service", "needs", "devices"], &TOTALS[..]].concat();
    let mut table = Table::new(profile, "services.csv", &head)?;
    for row in &report.services {
        let needs = match row.service.needs {
            Needs::All => "all",
            Needs::Any => "any",
        };
        let devices = text(&row.service.devices.join(" "));
        let mut cells = vec![text(&row.service.name), own(needs), devices];
        cells.extend(totals(&row.totals, row.service.target));
        table.row(cells)?;
    }
    table.finish()
}

fn devices(profile: Profile, report: &Report) -> Result<File, Error> {
    let more = [
        "incidents",
        "longest_incident_seconds",
        "samples",
        "first_sample",
        "last_sample",
    ];
    let head = [
        &["device", "site", "role"],
        &TOTALS[..],
        &more,
        &RELIABILITY,
    ]
    .concat();
    let mut table = Table::new(profile, "devices.csv", &head)?;
    for row in &report.devices {
        let seen = |time: Option<Millis>| own(time.map(utc).unwrap_or_default());
        let mut cells = vec![text(&row.name), text(&row.site), text(&row.role)];
        cells.extend(totals(&row.totals, row.target));
        cells.extend([
            own(row.incidents),
            seconds(row.longest),
            own(row.samples),
            seen(row.seen.map(|(first, _)| first)),
            seen(row.seen.map(|(_, last)| last)),
        ]);
        cells.extend(reliability(&row.reliability, row.totals.up));
        table.row(cells)?;
    }
    table.finish()
}

/// What is known, or nothing.
fn said<T: ToString>(known: Option<T>) -> String {
    known.map(|known| known.to_string()).unwrap_or_default()
}

fn incidents(profile: Profile, report: &Report) -> Result<File, Error> {
    let head = [
        "device",
        "site",
        "role",
        "start",
        "end",
        "duration_seconds",
        "began_before_month",
        "ended_with",
        "cause",
        "repair",
        "approved_by",
        "repair_jobs",
        "trace_id",
    ];
    let mut table = Table::new(profile, "incidents.csv", &head)?;
    for (one, known) in &report.incidents {
        table.row(vec![
            text(&one.device),
            text(&one.site),
            text(&one.role),
            own(utc(one.start)),
            own(utc(one.end)),
            seconds(one.end - one.start),
            yes(one.began_before),
            own(one.ended.as_str()),
            text(&said(known.cause.as_ref())),
            text(&said(known.repair.as_ref())),
            text(&known.approver),
            text(&known.jobs.join(" ")),
            text(&known.trace),
        ])?;
    }
    table.finish()
}

fn planned(profile: Profile, report: &Report) -> Result<File, Error> {
    let head = [
        "device",
        "site",
        "start",
        "end",
        "duration_seconds",
        "down_seconds",
        "unknown_seconds",
    ];
    let mut table = Table::new(profile, "maintenance.csv", &head)?;
    for one in &report.planned {
        table.row(vec![
            text(&one.device),
            text(&one.site),
            own(utc(one.start)),
            own(utc(one.end)),
            seconds(one.end - one.start),
            seconds(one.down),
            seconds(one.unknown),
        ])?;
    }
    table.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_no_formulas_and_lengths_are_exact() {
        for (text, safe) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-1", "'-1"),
            ("+1", "'+1"),
            ("\tx", "'\tx"),
            ("r1", "r1"),
            ("a=b", "a=b"),
        ] {
            assert_eq!(guarded(text), safe);
        }
        assert_eq!(seconds(61_000), own("61"));
        assert_eq!(seconds(61_005), own("61.005"));
        assert_eq!(seconds(-1_500), own("-1.500"));
    }

    fn one(profile: Profile, cells: Vec<Cell>) -> String {
        let mut table = Table::new(profile, "a.csv", &["a", "b"]).unwrap();
        table.row(cells).unwrap();
        String::from_utf8(table.finish().unwrap().content).unwrap()
    }

    #[test]
    fn rows_are_those_of_rfc_4180() {
        let written = one(Profile::Rfc4180, vec![text("x,\"y\"\nz"), text("ł")]);
        assert_eq!(written, "a,b\r\n\"x,\"\"y\"\"\nz\",ł\r\n");
    }

    #[test]
    fn polish_excel_gets_its_numbers_and_no_other_text_is_changed() {
        let written = one(Profile::ExcelPl, vec![own("-0.9995"), text("10.5")]);
        assert_eq!(written, "\u{feff}a;b\r\n-0,9995;10.5\r\n");
        let written = one(
            Profile::ExcelPl,
            vec![own("2026-10-01T00:00:00.5Z"), text("a;b")],
        );
        assert_eq!(written, "\u{feff}a;b\r\n2026-10-01T00:00:00.5Z;\"a;b\"\r\n");
    }
}
