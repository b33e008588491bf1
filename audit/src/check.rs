//! The commands.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::ExitCode;

use access::audit::{Anchor, Report, verify as read};
use anyhow::{Context as _, bail};

/// Most anchors of a file.
const MOST: usize = 1_000_000;

/// Verifies and says what was found.
pub(crate) fn verify(
    path: &Path,
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
    let report = opened(path, &anchors)?;
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
    let verdict = if report.findings.is_empty() {
        "whole"
    } else {
        "NOT WHOLE"
    };
    writeln!(
        out,
        "{verdict}: {} records in {} files, {} anchors, head {head}",
        report.records,
        report.files,
        anchors.len()
    )?;
    if anchors.is_empty() {
        writeln!(
            out,
            "without an anchor, records missing at the end or a chain written anew are not seen"
        )?;
    }
    Ok(if report.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints the head of a log that is whole.
pub(crate) fn head(path: &Path) -> anyhow::Result<ExitCode> {
    let report = opened(path, &[])?;
    if let Some(finding) = report.findings.first() {
        bail!("{}: {finding}; see `sotp-audit verify`", path.display());
    }
    let head = report
        .head
        .with_context(|| format!("{}: no record", path.display()))?;
    println!("{head}");
    Ok(ExitCode::SUCCESS)
}

fn opened(path: &Path, anchors: &[Anchor]) -> anyhow::Result<Report> {
    let report = read::verify(path, anchors)
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
