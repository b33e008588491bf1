//! What a network of a size needs, computed from what the benchmarks measured: `make sizing` takes their figures and writes `docs/sizing.md`.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};

/// The examples.
const NETWORKS: [u32; 3] = [200, 2_000, 20_000];
/// What a device of them has.
pub const INTERFACES: f64 = 24.0;
/// Messages a second that a device of them sends.
const MESSAGES: f64 = 0.1;
/// Flows a second of a device of them, and seconds between two collections of its configuration.
const FLOWS: f64 = 10.0;
const COLLECT: f64 = 3_600.0;
/// Seconds between two scrapes, as everything is shipped.
const SCRAPE: f64 = 15.0;
/// Days that are kept, as everything is shipped.
const DAYS: f64 = 100.0;
/// Bytes that Prometheus may use of its volume, `--storage.tsdb.retention.size` of Kubernetes.
const VOLUME: f64 = 16e9;
/// A server has this many times what the head takes: queries, and blocks that are being compacted.
const HEADROOM: f64 = 2.0;

/// What is measured, where, and as what. A name that ends so where it begins with `…`; of several the largest counts.
const FIGURES: [Figure; 13] = [
    figure("ping", "CPU ms per 1,000 pings at 10000 targets a second"),
    figure("ping", "resident MB at 1000 targets a second"),
    figure("ping", "resident MB at 100000 targets a second"),
    figure(
        "snmp",
        "processors for 2,000 devices each 15 s, first round",
    ),
    figure("snmp", "peak MB of it, 2,000 devices"),
    figure(
        "syslog",
        "CPU seconds a million UDP messages, to Loki's double",
    ),
    figure("netflow", "… flows a second: CPU seconds per million"),
    figure("ssh-config", "processor per device, ms"),
    figure("prometheus", "series of a device that is pinged"),
    figure(
        "prometheus",
        "series of a device by SNMP beside those of its interfaces",
    ),
    figure("prometheus", "series of an interface by SNMP"),
    figure("prometheus", "bytes of a sample on disk"),
    figure("prometheus", "resident bytes of a series"),
];
/// Where the figures stand from which the page is computed.
const KEPT: &str = "docs/sizing.json";

/// A figure of a benchmark.
#[derive(Debug, Clone, Copy)]
struct Figure {
    bench: &'static str,
    name: &'static str,
}

const fn figure(bench: &'static str, name: &'static str) -> Figure {
    Figure { bench, name }
}

impl Figure {
    fn is(&self, name: &str) -> bool {
        match self.name.strip_prefix('…') {
            Some(end) => name.ends_with(end),
            None => name == self.name,
        }
    }

    /// The figure in what its benchmark wrote.
    fn find(&self, folder: &Path) -> Result<f64, String> {
        let Self { bench, name } = self;
        let file = folder.join(bench).with_extension("json");
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}: run `make bench-{bench}`", file.display()))?;
        let rows: Vec<Row> =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let found = rows.iter().filter(|row| self.is(&row.figure));
        found
            .filter_map(|row| row.ours)
            .reduce(f64::max)
            .ok_or_else(|| {
                format!(
                    "{} has no `{name}`: run the whole of `make bench-{bench}`",
                    file.display()
                )
            })
    }
}

/// A row of a benchmark's file.
#[derive(Debug, Deserialize)]
struct Row {
    figure: String,
    ours: Option<f64>,
}

/// What was measured, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    bench: String,
    figure: String,
    value: f64,
}

/// Takes what the benchmarks wrote into `folder`, usually `target/bench`, for what was measured before.
///
/// # Errors
/// Every figure that is not there, each with the benchmark that measures it; nothing is written then.
pub fn take(root: &Path, folder: &Path) -> anyhow::Result<()> {
    let (mut kept, mut missing) = (Vec::new(), Vec::new());
    for figure in FIGURES {
        match figure.find(folder) {
            Ok(value) => kept.push(Kept {
                bench: figure.bench.to_owned(),
                figure: figure.name.to_owned(),
                value,
            }),
            Err(wrong) if missing.last() == Some(&wrong) => {}
            Err(wrong) => missing.push(wrong),
        }
    }
    anyhow::ensure!(missing.is_empty(), "{}", missing.join("\n"));
    let text = serde_json::to_string_pretty(&kept)? + "\n";
    std::fs::write(root.join(KEPT), text).with_context(|| KEPT.to_owned())
}

/// The measured figures, in the order of [`FIGURES`].
#[derive(Debug)]
struct Measured {
    /// Milliseconds of a processor for 1,000 pings, at 10,000 a second.
    pings: f64,
    /// Megabytes of sotp-ping at 1,000 and at 100,000 targets.
    ping_memory: [f64; 2],
    /// Part of a processor for 2,000 devices by SNMP each 15 s, and megabytes of that.
    snmp: f64,
    snmp_memory: f64,
    /// Seconds of a processor for a million messages, for a million flows.
    messages: f64,
    flows: f64,
    /// Milliseconds of a processor to collect a configuration.
    collection: f64,
    /// Series of a device, of an interface.
    per_device: f64,
    per_interface: f64,
    /// Bytes of a sample on disk, of a series in memory.
    sample: f64,
    series: f64,
}

impl Measured {
    fn of(kept: &[Kept]) -> anyhow::Result<Self> {
        let values: Vec<f64> = FIGURES
            .iter()
            .map(|wanted| {
                let found = kept
                    .iter()
                    .find(|kept| kept.bench == wanted.bench && kept.figure == wanted.name);
                found.map(|kept| kept.value).with_context(|| {
                    format!("{KEPT} has no `{}` of bench-{}", wanted.name, wanted.bench)
                })
            })
            .collect::<anyhow::Result<_>>()?;
        let values: [f64; FIGURES.len()] = values.try_into().map_err(|_| anyhow!("figures"))?;
        let [
            pings,
            few,
            many,
            snmp,
            snmp_memory,
            messages,
            flows,
            collection,
            pinged,
            asked,
            per_interface,
            sample,
            series,
        ] = values;
        Ok(Self {
            pings,
            ping_memory: [few, many],
            snmp,
            snmp_memory,
            messages,
            flows,
            collection,
            per_device: pinged + asked,
            per_interface,
            sample,
            series,
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

/// The tables of `docs/sizing.md`.
///
/// # Errors
/// A figure is not kept.
pub fn table(root: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(root.join(KEPT)).with_context(|| KEPT.to_owned())?;
    let kept: Vec<Kept> = serde_json::from_str(&text).with_context(|| KEPT.to_owned())?;
    computed(&kept)
}

/// Writes them into the page.
///
/// # Errors
/// As [`table`], or the page has no place for them.
pub fn write(root: &Path) -> anyhow::Result<()> {
    let page = root.join("docs/sizing.md");
    let old = std::fs::read_to_string(&page)?;
    let new = crate::table::replaced(&old, "sizing", &table(root)?)?;
    Ok(std::fs::write(page, new)?)
}

fn computed(kept: &[Kept]) -> anyhow::Result<String> {
    let measured = Measured::of(kept)?;
    let rows: [(&str, &dyn Fn(f64) -> String); 11] = [
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
        ("sotp-netflow, processors", &|devices| {
            part(devices * FLOWS * measured.flows / 1e6)
        }),
        ("sotp-ssh-config, processors", &|devices| {
            part(devices * measured.collection / 1e3 / COLLECT)
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
    text.push_str("\n| measured | | by |\n|---|---|---|\n");
    for figure in kept {
        let Kept {
            bench,
            figure,
            value,
        } = figure;
        let most = figure
            .strip_prefix("… ")
            .map(|name| format!("{name}, at the rate at which it is most"));
        let name = most.as_ref().unwrap_or(figure);
        let _ = writeln!(
            text,
            "| {name} | {} | `make bench-{bench}` |",
            digits(*value)
        );
    }
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

/// A measured figure, with no more digits than it has meaning.
fn digits(number: f64) -> String {
    match number {
        large if large >= 100.0 => count(large),
        small if small >= 10.0 => format!("{small:.1}").trim_end_matches(".0").to_owned(),
        _ => format!("{number:.2}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
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

    /// Files as the benchmarks write them.
    fn benches(folder: &testkit::TempDir) {
        let mut all: std::collections::BTreeMap<&str, Vec<serde_json::Value>> =
            std::collections::BTreeMap::new();
        for (at, figure) in FIGURES.iter().enumerate() {
            let rows = all.entry(figure.bench).or_default();
            let value = (at + 1) as f64;
            let name = figure.name.replace('…', "200000");
            rows.push(serde_json::json!({"figure": name, "ours": value, "peer": null}));
            // Near misses: another figure of the file, and one that could not be measured.
            rows.push(serde_json::json!({"figure": format!("{name}, TUN"), "ours": 1e9}));
            rows.push(serde_json::json!({"figure": name, "ours": null}));
        }
        for (bench, rows) in all {
            let text = serde_json::to_string(&rows).unwrap();
            folder.write(format!("{bench}.json"), &text).unwrap();
        }
    }

    /// A folder that is like the root of the repository.
    fn place() -> testkit::TempDir {
        let root = testkit::TempDir::new().unwrap();
        std::fs::create_dir_all(root.join("docs")).unwrap();
        root
    }

    #[test]
    fn the_page_is_computed_from_what_the_benchmarks_wrote() {
        let (root, folder) = (place(), testkit::TempDir::new().unwrap());
        benches(&folder);
        take(root.path(), folder.path()).unwrap();
        let page = table(root.path()).unwrap();
        for (at, figure) in FIGURES.iter().enumerate() {
            let row = format!("| {} | `make bench-{}` |", at + 1, figure.bench);
            assert!(page.contains(&row), "{row} in {page}");
        }
        // 24 interfaces of 11 series, 9 + 10 of the device; 20,000 devices with 10 flows a second at 7 s a million.
        assert!(
            page.contains("| series in Prometheus | 56,600 | 566,000 | 5,660,000 |"),
            "{page}"
        );
        assert!(
            page.contains("| sotp-netflow, processors | 0.01 | 0.14 | 1.40 |"),
            "{page}"
        );
    }

    #[test]
    fn a_figure_that_was_not_measured_is_told_with_what_to_run_and_nothing_is_written() {
        let (root, folder) = (place(), testkit::TempDir::new().unwrap());
        benches(&folder);
        std::fs::remove_file(folder.join("snmp.json")).unwrap();
        folder.write("ssh-config.json", "[]").unwrap();
        let said = take(root.path(), folder.path()).unwrap_err().to_string();
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(
            said.contains("snmp.json: No such file") && said.contains("run `make bench-snmp`"),
            "{said}"
        );
        assert!(said.contains("ssh-config.json has no `processor per device, ms`: run the whole of `make bench-ssh-config`"), "{said}");
        assert!(!root.join(KEPT).exists());
        root.write("docs/sizing.json", "[]").unwrap();
        let said = table(root.path()).unwrap_err().to_string();
        assert!(
            said.starts_with("docs/sizing.json has no `CPU ms per 1,000"),
            "{said}"
        );
    }
}
