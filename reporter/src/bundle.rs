//! The files of a report and the list of them.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::figures::{Report, Totals};
use crate::history::Missing;
use crate::month::{Month, utc};
use crate::paper::{self, Look, VERSION};
use crate::tables::{self, File};

/// The version of `manifest.json`.
pub const FORMAT: u32 = 1;

/// Refuses what another version of this program wrote, before the rest of it is read.
///
/// # Errors
/// It has no such number, or another; the text says what to do.
pub(crate) fn expect_format(json: &[u8]) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    struct Form {
        format: u32,
    }
    let form: Form = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    if form.format == FORMAT {
        return Ok(());
    }
    Err(format!(
        "expected format {FORMAT}, found {}: go back to the version of the program that wrote it, or restore a backup from before it",
        form.format
    ))
}
/// The name of the list.
pub const MANIFEST: &str = "manifest.json";

/// A file in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "File")]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
}

/// What `manifest.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Version of this form.
    pub format: u32,
    /// What made the report.
    pub made_by: String,
    /// The month.
    pub month: Month,
    /// The zone that it is of.
    pub time_zone: String,
    /// Its beginning in UTC.
    pub start: String,
    /// Its end in UTC, which is not part of it.
    pub end: String,
    /// Devices in it.
    pub devices: usize,
    /// Incidents in it.
    pub incidents: usize,
    /// Up as a share of what is known; none where nothing is.
    pub availability_ratio: Option<f64>,
    /// The same if all that is not known had been down.
    pub worst_case_ratio: Option<f64>,
    /// What is expected.
    pub target_ratio: f64,
    /// All devices together, in milliseconds.
    pub milliseconds: Totals,
    /// SHA-256 of the intervals that the figures are made of: that of `closed/MONTH.json` once the month is closed.
    #[serde(default)]
    pub intervals_sha256: String,
    /// What was not answered.
    pub missing: Vec<Missing>,
    /// The files.
    pub files: Vec<Entry>,
}

/// A whole report.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its files, the manifest the last.
    pub files: Vec<File>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The PDF.
    #[error("the PDF of the report")]
    Pdf(#[from] pdf::Error),
    /// A table.
    #[error("a table of the report")]
    Table(#[from] tables::Error),
    /// The list.
    #[error("the manifest of the report")]
    Manifest(#[from] serde_json::Error),
}

/// The name of the PDF of a month.
#[must_use]
pub fn pdf_name(month: Month) -> String {
    format!("availability-{month}.pdf")
}

/// SHA-256 in hexadecimal digits.
#[must_use]
pub fn sha256(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Bundle {
    /// The files of a report, made of intervals of this hash. The same report gives the same bytes.
    ///
    /// # Errors
    /// A file cannot be written: an error of the programmer.
    pub fn new(report: &Report, look: &Look, intervals: &str) -> Result<Self, Error> {
        let mut files = vec![File {
            name: pdf_name(report.month),
            content: paper::pdf(report, look)?,
        }];
        files.extend(tables::all(report, look.csv)?);
        let entry = |file: &File| Entry {
            name: file.name.clone(),
            bytes: file.content.len() as u64,
            sha256: sha256(&file.content),
        };
        let manifest = Manifest {
            format: FORMAT,
            made_by: VERSION.to_owned(),
            month: report.month,
            time_zone: zone_name(&report.zone),
            start: utc(report.period.start),
            end: utc(report.period.end),
            devices: report.devices.len(),
            incidents: report.incidents.len(),
            availability_ratio: report.network.availability(),
            worst_case_ratio: report.network.worst_case(),
            target_ratio: report.target,
            milliseconds: report.network,
            intervals_sha256: intervals.to_owned(),
            missing: report.missing.clone(),
            files: files.iter().map(entry).collect(),
        };
        let mut content = serde_json::to_vec_pretty(&manifest)?;
        content.push(b'\n');
        files.push(File {
            name: MANIFEST.to_owned(),
            content,
        });
        Ok(Self { manifest, files })
    }
}

/// The name of a zone.
#[must_use]
pub fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}
