//! What a network of a size needs, computed from what `docs/benchmarks.md` says was measured; `make tables` writes it into `docs/sizing.md`.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;

/// The examples.
const NETWORKS: [u32; 3] = [200, 2_000, 20_000];
/// What a device of them has.
pub const INTERFACES: f64 = 24.0;
/// Messages a second that a device of them sends.
const MESSAGES: f64 = 0.1;
/// Seconds between two scrapes, as everything is shipped.
const SCRAPE: f64 = 15.0;
/// Days that are kept, as everything is shipped.
const DAYS: f64 = 100.0;
/// Bytes that Prometheus may use of its volume, `--storage.tsdb.retention.size` of Kubernetes.
const VOLUME: f64 = 16e9;
/// A server has this many times what the head takes: queries, and blocks that are being compacted.
const HEADROOM: f64 = 2.0;

/// The measured figures.
#[derive(Debug)]
struct Measured {
    /// Milliseconds of a processor for 1,000 pings, at 10,000 a second.
    pings: f64,
    /// Megabytes of sotp-ping at 1,000 and at 100,000 targets.
    ping_memory: [f64; 2],
    /// Part of a processor for 2,000 devices by SNMP each 15 s, and megabytes of that.
    snmp: f64,
    snmp_memory: f64,
    /// Seconds of a processor for a million messages.
    messages: f64,
    /// Series of a device, of an interface.
    per_device: f64,
    per_interface: f64,
    /// Bytes of a sample on disk, of a series in memory.
    sample: f64,
    series: f64,
}

impl Measured {
    fn read(page: &str) -> anyhow::Result<Self> {
        let section = |name: &str| {
            let (_, rest) = page
                .split_once(&format!("## {name}\n"))
                .with_context(|| format!("docs/benchmarks.md has no section {name}"))?;
            anyhow::Ok(rest.split("\n## ").next().unwrap_or(rest))
        };
        // The number in a cell of the first row that begins so: `0.43, 0.39` is 0.43.
        let cell = |section: &str, row: &str, column: usize| {
            let line = section
                .lines()
                .find(|line| line.starts_with(&format!("| {row}")))
                .with_context(|| format!("docs/benchmarks.md has no row `{row}`"))?;
            let cell = line.split('|').nth(column + 1).unwrap_or_default();
            let number = cell.trim().split(", ").next().unwrap_or_default();
            number
                .replace(',', "")
                .parse::<f64>()
                .with_context(|| format!("docs/benchmarks.md: `{number}` of `{row}` is no number"))
        };
        let (ping, snmp, syslog) = (
            section("sotp-ping")?,
            section("sotp-snmp")?,
            section("sotp-syslog")?,
        );
        let prometheus = section("Prometheus with our series")?;
        let fleet = snmp
            .find("| part of one processor for 2,000 targets")
            .map(|at| &snmp[at..])
            .unwrap_or_default();
        Ok(Self {
            pings: cell(ping, "10,000 ", 1)?,
            ping_memory: [cell(ping, "1,000 ", 7)?, cell(ping, "100,000 ", 7)?],
            snmp: cell(fleet, "part of one processor", 1)?,
            snmp_memory: cell(fleet, "peak memory of that", 1)?,
            messages: cell(syslog, "CPU seconds a million messages", 1)?,
            per_device: cell(prometheus, "series of a device that is pinged", 1)?
                + cell(prometheus, "series of a device by SNMP", 1)?,
            per_interface: cell(prometheus, "series of an interface", 1)?,
            sample: cell(prometheus, "bytes of a sample", 1)?,
            series: cell(prometheus, "resident bytes", 1)?,
        })
    }

    /// Series of a device.
    fn of_device(&self) -> f64 {
        self.per_device + INTERFACES * self.per_interface
    }

    /// Bytes that a device takes in `DAYS`.
    fn bytes(&self) -> f64 {
        self.of_device() / SCRAPE * 86_400.0 * DAYS * self.sample
    }

    fn ping_memory(&self, devices: f64) -> f64 {
        let [small, large] = self.ping_memory;
        small + (large - small) * (devices - 1_000.0).max(0.0) / 99_000.0
    }
}

/// The table of `docs/sizing.md`.
///
/// # Errors
/// A figure is not where it is read from.
pub fn table(root: &Path) -> anyhow::Result<String> {
    let page = std::fs::read_to_string(root.join("docs/benchmarks.md"))?;
    let measured = Measured::read(&page)?;
    let rows: [(&str, &dyn Fn(f64) -> String); 9] = [
        ("series in Prometheus", &|devices| {
            count(devices * measured.of_device())
        }),
        ("samples a second", &|devices| {
            count(devices * measured.of_device() / SCRAPE)
        }),
        ("memory of Prometheus, twice its head", &|devices| {
            bytes(devices * measured.of_device() * measured.series * HEADROOM)
        }),
        ("disk of Prometheus for 100 days", &|devices| {
            bytes(devices * measured.bytes())
        }),
        ("sotp-ping, processors", &|devices| {
            part(devices * measured.pings / 1e6)
        }),
        ("sotp-ping, memory", &|devices| {
            bytes(measured.ping_memory(devices) * 1e6)
        }),
        ("sotp-snmp, processors", &|devices| {
            part(devices * measured.snmp / 2_000.0)
        }),
        ("sotp-snmp, memory", &|devices| {
            bytes(devices.max(2_000.0) * measured.snmp_memory / 2_000.0 * 1e6)
        }),
        ("sotp-syslog, processors", &|devices| {
            part(devices * MESSAGES * measured.messages / 1e6)
        }),
    ];
    let mut text = "| devices |".to_owned();
    for devices in NETWORKS {
        let _ = write!(text, " {} |", count(f64::from(devices)));
    }
    text.push_str("\n|---|---|---|---|\n");
    for (name, value) in rows {
        let _ = write!(text, "| {name} |");
        for devices in NETWORKS {
            let _ = write!(text, " {} |", value(f64::from(devices)));
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "\nA device has {INTERFACES} interfaces here: {} series, {} in 100 days. The volume as it is shipped for Kubernetes (20 GiB, of which Prometheus uses 16 GB) \
         holds 100 days of {} such devices.",
        count(measured.of_device()),
        bytes(measured.bytes()),
        count((VOLUME / measured.bytes()).floor()),
    );
    Ok(text)
}

/// A whole number with its thousands apart, rounded to three digits that mean something.
fn count(number: f64) -> String {
    let scale = 10_f64.powi((number.max(1.0).log10().floor() - 2.0).max(0.0) as i32);
    let digits = format!("{:.0}", (number / scale).round() * scale);
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes(number: f64) -> String {
    let (unit, name) = match number {
        large if large >= 0.95e12 => (1e12, "TB"),
        large if large >= 0.95e9 => (1e9, "GB"),
        _ => (1e6, "MB"),
    };
    let value = number / unit;
    if value < 9.95 {
        format!("{value:.1} {name}")
    } else {
        format!("{value:.0} {name}")
    }
}

/// Parts of a processor.
fn part(number: f64) -> String {
    if number < 0.01 {
        "under 0.01".to_owned()
    } else {
        format!("{number:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_what_was_measured() {
        assert_eq!(count(8_730.0), "8,730");
        assert_eq!(count(1_746_432.0), "1,750,000");
        assert_eq!(count(24.0), "24");
        assert_eq!(bytes(660_000_000.0), "660 MB");
        assert_eq!(bytes(1.32e11), "132 GB");
        assert_eq!(part(0.000_07), "under 0.01");
    }

    #[test]
    fn a_figure_that_is_gone_is_missed() {
        let error = Measured::read(
            "## sotp-ping\n\n## sotp-snmp\n\n## sotp-syslog\n\n## Prometheus with our series\n",
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "docs/benchmarks.md has no row `10,000 `");
    }
}
