//! The names of series that exist: ours, those that rules record, and those that Prometheus makes itself.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use services::Table;

/// Series that Prometheus writes by itself, the one that marks the demonstration history that a demo begins with, and the one that
/// `sotp-audit verify` leaves to node_exporter; spans, which are counted where a receiver for them is named; and those of node_exporter, YACE and
/// blackbox_exporter that hosts, cloud databases and services are watched by.
pub const BUILTIN: [&str; 18] = [
    "ALERTS",
    "ALERTS_FOR_STATE",
    "aws_rds_cpuutilization_average",
    "aws_rds_free_storage_space_average",
    "node_cpu_seconds_total",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "probe_duration_seconds",
    "probe_ssl_earliest_cert_expiry",
    "probe_success",
    "scrape_duration_seconds",
    "sotp_audit_verify_whole",
    "sotp_demonstration_history_info",
    "sotp_trace_spans_failed_total",
    "sotp_trace_spans_sent_total",
    "up",
];

/// The series of our own services: those of the pages in their `tests/golden`, and those that their built-in configurations take from devices.
///
/// # Errors
/// A file cannot be read.
pub fn ours(root: &Path, table: &Table) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    for service in &table.service {
        let folder = root.join(&service.folder);
        for path in crate::files(&folder.join("tests/golden"), ".txt")? {
            let page = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("metrics"));
            if page {
                names.extend(exposed(&read(&path)?));
            }
        }
        // The format of snmp_exporter's `snmp.yml`.
        let built_in = folder.join("default.yml");
        if built_in.is_file() {
            let text = read(&built_in)?;
            let lines = text
                .lines()
                .filter_map(|line| line.trim_start().strip_prefix("- name: "));
            names.extend(lines.map(|name| name.trim().to_owned()));
        }
    }
    Ok(names)
}

/// The series that a `/metrics` page offers, by its `# TYPE` lines.
#[must_use]
pub fn exposed(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .filter_map(|line| line.split_once(' '))
        .flat_map(|(name, kind)| expand(name, kind))
        .collect()
}

fn expand(name: &str, kind: &str) -> Vec<String> {
    let parts: &[&str] = match kind {
        "histogram" => &["_bucket", "_sum", "_count"],
        "summary" => &["", "_sum", "_count"],
        _ => &[""],
    };
    parts.iter().map(|part| format!("{name}{part}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_offers_the_parts_of_its_histograms() {
        let names = exposed("# HELP a x\n# TYPE a counter\na 1\n# TYPE b histogram\n");
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            ["a", "b_bucket", "b_count", "b_sum"]
        );
    }
}
