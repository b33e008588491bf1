//! The tables of a report as CSV (RFC 4180): every row, times in UTC, lengths in seconds, shares unrounded.

use crate::figures::{Report, Totals};
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

/// The tables.
///
/// # Errors
/// The writer fails, which it does not into memory.
pub fn all(report: &Report) -> Result<Vec<File>, Error> {
    Ok(vec![
        file("sites.csv", sites(report)?),
        file("devices.csv", devices(report)?),
        file("incidents.csv", incidents(report)?),
        file("maintenance.csv", planned(report)?),
    ])
}

fn file(name: &str, content: Vec<u8>) -> File {
    File {
        name: name.to_owned(),
        content,
    }
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
fn seconds(millis: Millis) -> String {
    let (sign, millis) = (if millis < 0 { "-" } else { "" }, millis.unsigned_abs());
    let (whole, rest) = (millis / 1_000, millis % 1_000);
    match rest {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{rest:03}"),
    }
}

/// A share with all its digits; empty where there is none.
fn share(share: Option<f64>) -> String {
    share.map(|share| share.to_string()).unwrap_or_default()
}

fn meets(totals: &Totals, target: f64) -> &'static str {
    match totals.availability() {
        None => "",
        Some(share) if share >= target => "yes",
        Some(_) => "no",
    }
}

struct Table(csv::Writer<Vec<u8>>);

impl Table {
    fn new(head: &[&str]) -> Result<Self, Error> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(Vec::new());
        writer.write_record(head)?;
        Ok(Self(writer))
    }

    fn row(&mut self, cells: &[String]) -> Result<(), Error> {
        self.0.write_record(cells)
    }

    fn finish(self) -> Result<Vec<u8>, Error> {
        self.0
            .into_inner()
            .map_err(|error| Error::from(error.into_error()))
    }
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

fn totals(totals: &Totals, target: f64) -> [String; 10] {
    [
        share(totals.availability()),
        share(totals.worst_case()),
        target.to_string(),
        meets(totals, target).to_owned(),
        seconds(totals.budget_left(target)),
        seconds(totals.up),
        seconds(totals.down),
        seconds(totals.unknown),
        seconds(totals.planned),
        seconds(totals.planned_down),
    ]
}

fn sites(report: &Report) -> Result<Vec<u8>, Error> {
    let head = [
        &["site", "devices"],
        &TOTALS[..],
        &["outage_seconds", "incidents"],
    ]
    .concat();
    let mut table = Table::new(&head)?;
    for row in &report.sites {
        let mut cells = vec![guarded(&row.name), row.devices.to_string()];
        cells.extend(totals(&row.totals, row.target));
        cells.extend([seconds(row.outage), row.incidents.to_string()]);
        table.row(&cells)?;
    }
    table.finish()
}

fn devices(report: &Report) -> Result<Vec<u8>, Error> {
    let more = [
        "incidents",
        "longest_incident_seconds",
        "samples",
        "first_sample",
        "last_sample",
    ];
    let head = [&["device", "site", "role"], &TOTALS[..], &more].concat();
    let mut table = Table::new(&head)?;
    for row in &report.devices {
        let seen = |time: Option<Millis>| time.map(utc).unwrap_or_default();
        let mut cells = vec![guarded(&row.name), guarded(&row.site), guarded(&row.role)];
        cells.extend(totals(&row.totals, row.target));
        cells.extend([
            row.incidents.to_string(),
            seconds(row.longest),
            row.samples.to_string(),
            seen(row.seen.map(|(first, _)| first)),
            seen(row.seen.map(|(_, last)| last)),
        ]);
        table.row(&cells)?;
    }
    table.finish()
}

fn incidents(report: &Report) -> Result<Vec<u8>, Error> {
    let mut table = Table::new(&[
        "device",
        "site",
        "role",
        "start",
        "end",
        "duration_seconds",
        "began_before_month",
        "ended_with",
    ])?;
    for one in &report.incidents {
        table.row(&[
            guarded(&one.device),
            guarded(&one.site),
            guarded(&one.role),
            utc(one.start),
            utc(one.end),
            seconds(one.end - one.start),
            if one.began_before { "yes" } else { "no" }.to_owned(),
            one.ended.as_str().to_owned(),
        ])?;
    }
    table.finish()
}

fn planned(report: &Report) -> Result<Vec<u8>, Error> {
    let mut table = Table::new(&[
        "device",
        "site",
        "start",
        "end",
        "duration_seconds",
        "down_seconds",
        "unknown_seconds",
    ])?;
    for one in &report.planned {
        table.row(&[
            guarded(&one.device),
            guarded(&one.site),
            utc(one.start),
            utc(one.end),
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
        assert_eq!(seconds(61_000), "61");
        assert_eq!(seconds(61_005), "61.005");
        assert_eq!(seconds(-1_500), "-1.500");
    }

    #[test]
    fn rows_are_those_of_rfc_4180() {
        let mut table = Table::new(&["a", "b"]).unwrap();
        table
            .row(&["x,\"y\"\nz".to_owned(), "ł".to_owned()])
            .unwrap();
        let text = String::from_utf8(table.finish().unwrap()).unwrap();
        assert_eq!(text, "a,b\r\n\"x,\"\"y\"\"\nz\",ł\r\n");
    }
}
