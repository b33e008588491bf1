//! The commands.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::ExitCode;

use access::audit::{self, Anchor, Report, Resume, verify as read};
use anyhow::{Context as _, bail};

/// Exit status when nothing is wrong but that records are declared as lost.
const DECLARED: u8 = 2;
/// Most anchors of a file.
const MOST: usize = 1_000_000;

/// Verifies and says what was found.
pub(crate) fn verify(
    path: &Path,
    genesis: Option<Anchor>,
    mut anchors: Vec<Anchor>,
    file: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    if let Some(file) = file {
        let known = anchors.len();
        anchors.extend(kept(file)?);
        if anchors.len() == known {
            bail!(
                "{}: expected at least one anchor, found none",
                file.display()
            );
        }
    }
    // What the service noted is at least as old as the log that is read after it.
    let noted = audit::noted(path).map_err(anyhow::Error::msg);
    let given = anchors.len();
    anchors.extend(noted.as_ref().ok().copied().flatten());
    let report = opened(path, genesis, &anchors)?;
    noted?;
    let mut out = std::io::stdout().lock();
    for finding in &report.findings {
        writeln!(out, "{finding}")?;
    }
    if report.more {
        writeln!(out, "and more")?;
    }
    let head = report
        .head
        .map_or("none".to_owned(), |head| head.to_string());
    for lost in &report.lost {
        writeln!(out, "{lost}")?;
    }
    let verdict = match (report.findings.is_empty(), report.lost.is_empty()) {
        (true, true) => "whole",
        (true, false) => "NOT WHOLE, but declared",
        (false, _) => "NOT WHOLE",
    };
    writeln!(
        out,
        "{verdict}: {} records in {} files, {given} anchors, head {head}",
        report.records, report.files,
    )?;
    if let Some((first, count)) = report.back {
        writeln!(
            out,
            "the clock was set back: {count} records are dated before the one before them, the first is {first}; dates say nothing there, the order does"
        )?;
    }
    if let Some(genesis) = genesis {
        writeln!(
            out,
            "from the record after {genesis} on, as declared; {} anchors of earlier ones were not looked for",
            report.before
        )?;
    }
    if given == 0 {
        writeln!(
            out,
            "without an anchor that was kept elsewhere, records missing at the end or a chain written anew are seen only by the note beside the folder"
        )?;
    }
    Ok(match (report.findings.is_empty(), report.lost.is_empty()) {
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::from(DECLARED),
        (false, _) => ExitCode::FAILURE,
    })
}

/// Writes the verdict as metrics, whole or not at all: the collector may read at any moment.
pub(crate) fn tell(file: &Path, log: &Path, whole: bool) -> anyhow::Result<()> {
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_secs());
    let log = log.display().to_string();
    let log = log
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    let text = format!(
        "# HELP sotp_audit_verify_whole Whether the last sotp-audit verify found the log whole (1), or not or could not read it (0).\n\
         # TYPE sotp_audit_verify_whole gauge\n\
         sotp_audit_verify_whole{{log=\"{log}\"}} {}\n\
         # HELP sotp_audit_verify_timestamp_seconds When the log was last verified.\n\
         # TYPE sotp_audit_verify_timestamp_seconds gauge\n\
         sotp_audit_verify_timestamp_seconds{{log=\"{log}\"}} {now}\n",
        u8::from(whole)
    );
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let cannot = || format!("{} cannot be written", file.display());
    std::fs::write(&beside, text).with_context(cannot)?;
    std::fs::rename(&beside, file).with_context(cannot)
}

/// Declares what is lost, and says it.
pub(crate) fn resume(asked: &Resume<'_>) -> anyhow::Result<ExitCode> {
    let declared = audit::resume(asked).with_context(|| asked.folder.display().to_string())?;
    let mut out = std::io::stdout().lock();
    for file in &declared.aside {
        writeln!(out, "set aside: {}", file.display())?;
    }
    match declared.lost {
        Some((first, last)) => writeln!(out, "records {first} to {last} are declared as lost")?,
        None => writeln!(out, "no record is lost")?,
    }
    writeln!(out, "the log goes on after {}", declared.head)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the head of a log that is whole.
pub(crate) fn head(path: &Path) -> anyhow::Result<ExitCode> {
    let report = opened(path, None, &[])?;
    if let Some(finding) = report.findings.first() {
        bail!("{}: {finding}; see `sotp-audit verify`", path.display());
    }
    let head = report
        .head
        .with_context(|| format!("{}: no record", path.display()))?;
    println!("{head}");
    Ok(ExitCode::SUCCESS)
}

fn opened(path: &Path, genesis: Option<Anchor>, anchors: &[Anchor]) -> anyhow::Result<Report> {
    let report = read::verify_from(path, genesis, anchors)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    if report.files == 0 {
        bail!(
            "{}: expected files audit-NUMBER.jsonl, found none",
            path.display()
        );
    }
    Ok(report)
}

/// The anchors in a file.
fn kept(path: &Path) -> anyhow::Result<Vec<Anchor>> {
    let file =
        std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut anchors = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.with_context(|| format!("{} cannot be read", path.display()))?;
        anchors.extend(line.parse::<Anchor>());
        if anchors.len() > MOST {
            bail!("{}: expected at most {MOST} anchors", path.display());
        }
    }
    Ok(anchors)
}
