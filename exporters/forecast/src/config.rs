//! The configuration file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use inventory::Shard;
use jiff::tz::TimeZone;
use promapi::Prometheus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toolkit::config::{DurationIn, Ranged};
use toolkit::{ConfigError, Configuration, yaml};

use crate::calendar::Calendar;

const DEFAULT: &str = include_str!("../default.yaml");
/// Most forecasts.
const MOST: usize = 32;
/// Largest calendar file, in bytes.
const LARGEST: u64 = 1 << 20;
/// Longest name of a forecast.
const LONGEST: usize = 40;
/// Most labels that peers share.
const MOST_PEERS: usize = 8;
/// Names that would be those of other series.
const TAKEN: [&str; 8] = [
    "anomaly",
    "absolute",
    "model",
    "saturation",
    "outlier",
    "series",
    "state",
    "mase",
];

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the history is.
    pub(crate) client: Prometheus,
    /// Time from one fit of a series to the next.
    pub(crate) refit: Duration,
    /// Time from one look at what came to the next.
    pub(crate) observe: Duration,
    /// Percent of one processor that fits may take.
    pub(crate) cpu_percent: u32,
    /// Most series of all forecasts together.
    pub(crate) max_series: usize,
    /// What is forecast.
    pub(crate) forecasts: Vec<Forecast>,
    /// The shard whose devices are learnt.
    pub(crate) shard: Shard,
    /// Days that are unlike their weekday.
    pub(crate) holidays: Arc<Calendar>,
    /// Where what is known is kept over a restart.
    pub(crate) state_file: Option<PathBuf>,
    files: Vec<PathBuf>,
    shown: String,
}

/// A query whose future is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forecast {
    /// Its name: the forecast is the series `forecast_NAME`, so that it ends with a unit; a-z, 0-9 and _.
    pub(crate) name: String,
    /// What is forecast: a query whose value at a time is the mean of the quarter of an hour before it, 0 or more, and nothing where it must
    /// not be learnt.
    pub(crate) query: String,
    /// What the same thing can carry at most, by a part of the same labels; without it there are no days until saturation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capacity: Option<String>,
    /// The labels that peers share, such as the role of their devices: a series that moves apart from its peers is an outlier. Without them
    /// series are not compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) peers: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    /// Where the history is: Prometheus or what answers its API.
    prometheus: promapi::Section,
    /// Time from one fit of a series to the next; each has its own quarter of an hour.
    refit: DurationIn<900_000, 604_800_000>,
    /// Time from one look at what really came to the next.
    observe: DurationIn<1_000, 900_000>,
    /// Percent of one processor that fits may take.
    cpu_percent: Ranged<u32, 1, 100>,
    /// Most series of all forecasts together; about 12 kB of memory each.
    max_series: Ranged<u32, 1, 50_000>,
    /// Where what was learnt is kept over a restart; without it everything is read and learnt anew at a start.
    #[serde(skip_serializing_if = "Option::is_none")]
    state_file: Option<PathBuf>,
    /// The part of the devices, by the label `device`, that this process learns: as the inventory shares them out.
    shard: Part,
    /// Days that are unlike their weekday.
    holidays: Holidays,
    /// What is forecast.
    forecasts: Vec<Forecast>,
}

/// One of several processes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Part {
    /// Its number, from 0.
    index: u16,
    /// How many there are.
    of: u16,
}

impl Default for Part {
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

/// Days off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Holidays {
    /// Files with a date on each line, or iCalendar files with all-day events.
    files: Vec<PathBuf>,
    /// The time zone of the days, by its IANA name.
    time_zone: String,
}

impl Default for Holidays {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            time_zone: "UTC".to_owned(),
        }
    }
}

impl Holidays {
    /// Reads the files below `base`; an error has its key.
    fn read(&self, base: &Path) -> Result<Calendar, (String, String)> {
        let zone = TimeZone::get(&self.time_zone).map_err(|_| {
            let expected = format!(
                "expected a time zone such as Europe/Berlin, found {:?}",
                self.time_zone
            );
            ("holidays.time_zone".to_owned(), expected)
        })?;
        let mut calendar = Calendar::new(zone);
        for (index, file) in self.files.iter().enumerate() {
            let wrong = |message: String| (format!("holidays.files[{index}]"), message);
            let path = base.join(file);
            let size = std::fs::metadata(&path).map_or(0, |about| about.len());
            if size > LARGEST {
                return Err(wrong(format!(
                    "{}: larger than {LARGEST} bytes",
                    path.display()
                )));
            }
            let text = std::fs::read_to_string(&path)
                .map_err(|error| wrong(format!("{}: {error}", path.display())))?;
            calendar
                .read(&text)
                .map_err(|error| wrong(format!("{}: {error}", path.display())))?;
        }
        Ok(calendar)
    }
}

/// Bits per second of each interface and direction, without those that are down and without planned work.
const BITS: &str = r#"(label_replace(max by (device, site, role, ifName) (rate(ifHCInOctets[15m])), "direction", "in", "", "") or label_replace(max by (device, site, role, ifName) (rate(ifHCOutOctets[15m])), "direction", "out", "", "")) * 8 and on (device, ifName) (ifOperStatus == 1) unless on (device) (sotp_device_maintenance == 1)"#;
/// What an interface says of its speed.
const SPEED: &str = "max by (device, ifName) (ifHighSpeed > 0) * 1e6";
/// Mean round trip of each device, without planned work.
const ROUND_TRIP: &str = "sum by (device, site, role, family) (rate(ping_rtt_seconds_sum[15m])) / (sum by (device, site, role, family) (rate(ping_rtt_seconds_count[15m])) > 0) unless on (device) (sotp_device_maintenance == 1)";

/// Busy part of the processors of each device, without planned work.
const CPU: &str = "avg by (device, site, role) (avg_over_time(sotp_device_cpu_ratio[15m])) unless on (device) (sotp_device_maintenance == 1)";
/// Used part of each pool of memory, without planned work.
const MEMORY: &str = "max by (device, site, role, pool) (avg_over_time(sotp_device_memory_used_ratio[15m])) unless on (device) (sotp_device_maintenance == 1)";
/// What both can be at most.
const WHOLE: &str = "vector(1)";

impl Default for Raw {
    fn default() -> Self {
        Self {
            prometheus: promapi::Section::new("http://127.0.0.1:9090"),
            refit: DurationIn::from_millis(24 * 3_600_000),
            observe: DurationIn::from_millis(60_000),
            cpu_percent: Ranged::of(50),
            max_series: Ranged::of(2_000),
            state_file: None,
            shard: Part::default(),
            holidays: Holidays::default(),
            forecasts: [
                ("bits_per_second", BITS, Some(SPEED), "direction"),
                ("round_trip_seconds", ROUND_TRIP, None, "family"),
                ("cpu_ratio", CPU, Some(WHOLE), ""),
                ("memory_used_ratio", MEMORY, Some(WHOLE), "pool"),
            ]
            .map(|(name, query, capacity, peers)| Forecast {
                name: name.to_owned(),
                query: query.to_owned(),
                capacity: capacity.map(str::to_owned),
                peers: ["role", peers]
                    .into_iter()
                    .filter(|label| !label.is_empty())
                    .map(str::to_owned)
                    .collect(),
            })
            .into(),
        }
    }
}

impl Config {
    /// Reads and checks it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub(crate) fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::parse(text, origin)?;
        let base = origin.parent().unwrap_or(Path::new(""));
        let shown = serde_json::to_string_pretty(&raw).unwrap_or_default() + "\n";
        check(raw, base, shown)
            .map_err(|(path, message)| ConfigError::at(text, origin, path, message))
    }
}

fn check(raw: Raw, base: &Path, shown: String) -> Result<Config, (String, String)> {
    let count = raw.forecasts.len();
    if !(1..=MOST).contains(&count) {
        let message = format!("{count} forecasts: expected 1 to {MOST}");
        return Err(("forecasts".to_owned(), message));
    }
    for (index, forecast) in raw.forecasts.iter().enumerate() {
        let wrong = |key: &str, message: String| (format!("forecasts[{index}].{key}"), message);
        let name = &forecast.name;
        let first = name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !first || name.len() > LONGEST || !name.bytes().all(rest) {
            let expected = format!("expected 1 to {LONGEST} of a-z, 0-9 and _, a letter first");
            return Err(wrong("name", format!("{expected}, found {name:?}")));
        }
        let taken = |word: &str| {
            name.strip_prefix(word)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        if TAKEN.iter().any(|word| taken(word))
            || name.ends_with("_total")
            || name.ends_with("_timestamp_seconds")
        {
            return Err(wrong(
                "name",
                format!("{name:?} would be another series of this service"),
            ));
        }
        if raw.forecasts[..index]
            .iter()
            .any(|other| other.name == *name)
        {
            return Err(wrong("name", format!("{name:?} is there twice")));
        }
        if forecast.query.trim().is_empty() {
            return Err(wrong("query", "expected a query".to_owned()));
        }
        let label = |name: &String| {
            let mut bytes = name.bytes();
            name.len() <= LONGEST
                && bytes
                    .next()
                    .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if forecast.peers.len() > MOST_PEERS || !forecast.peers.iter().all(label) {
            let message = format!(
                "expected up to {MOST_PEERS} names of labels, found {:?}",
                forecast.peers
            );
            return Err(wrong("peers", message));
        }
    }
    let client = raw
        .prometheus
        .client(base)
        .map_err(|wrong| (format!("prometheus.{}", wrong.key), wrong.message))?;
    let shard = Shard::new(raw.shard.index, raw.shard.of)
        .map_err(|error| ("shard".to_owned(), error.to_string()))?;
    let holidays = Arc::new(raw.holidays.read(base)?);
    let mut files = raw.prometheus.files(base);
    files.extend(raw.holidays.files.iter().map(|file| base.join(file)));
    Ok(Config {
        client,
        shard,
        holidays,
        state_file: raw.state_file.as_ref().map(|file| base.join(file)),
        refit: *raw.refit,
        observe: *raw.observe,
        cpu_percent: raw.cpu_percent.get(),
        max_series: usize::try_from(raw.max_series.get()).unwrap_or(usize::MAX),
        files,
        forecasts: raw.forecasts,
        shown,
    })
}

impl Configuration for Config {
    const DEFAULT: &'static str = DEFAULT;

    fn masked(&self) -> String {
        // JSON is YAML; secrets stand in files of their own.
        self.shown.clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_printed_default_is_written_from_the_code() {
        let head = "Configuration of sotp-forecast. Every value below is the default; what is left out keeps it.\n\
                    Relative paths begin at this file's folder. Durations: 250ms, 1.5s, 1m30s, 1h, 2d.";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("default.yaml");
        testkit::golden::hold(
            &path,
            &toolkit::config::Keys::of(&Raw::default()).text(head),
        );
    }

    /// `SOTP_UPDATE=1` writes it anew.
    #[test]
    fn the_reference_page_is_written_from_the_code() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let series = std::fs::read_to_string(package.join("tests/golden/metrics.txt")).unwrap();
        let page = toolkit::reference::page::<crate::app::Service>(
            Some(&toolkit::config::Keys::of(&Raw::default())),
            &[("Series", &series)],
        );
        testkit::golden::hold(&package.join("../../docs/reference/forecast.md"), &page);
    }

    #[test]
    fn the_default_is_good_and_says_what_the_code_does() {
        testkit::crypto();
        let written = Config::parse(DEFAULT, Path::new("default.yaml")).unwrap();
        let bare = Config::parse("", Path::new("x.yaml")).unwrap();
        assert_eq!(written.shown, bare.shown);
        assert_eq!(written.forecasts.len(), 4);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        testkit::crypto();
        for (text, expected) in [
            (
                "forecasts: []",
                "x.yaml:1:12: forecasts: 0 forecasts: expected 1 to 32",
            ),
            (
                "forecasts:\n  - {name: Bits, query: up}",
                "x.yaml:2:12: forecasts[0].name: expected 1 to 40 of a-z, 0-9 and _, a letter first, found \"Bits\"",
            ),
            (
                "forecasts:\n  - {name: anomaly_score, query: up}",
                "x.yaml:2:12: forecasts[0].name: \"anomaly_score\" would be another series of this service",
            ),
            (
                "forecasts:\n  - {name: a, query: up}\n  - {name: a, query: up}",
                "x.yaml:3:12: forecasts[1].name: \"a\" is there twice",
            ),
            (
                "forecasts:\n  - {name: a, query: ' '}",
                "x.yaml:2:22: forecasts[0].query: expected a query",
            ),
            (
                "forecasts:\n  - {name: a, query: up, peers: ['a b']}",
                "x.yaml:2:33: forecasts[0].peers: expected up to 8 names of labels, found [\"a b\"]",
            ),
            (
                "prometheus: {url: 'prometheus:9090'}",
                "x.yaml:1:19: prometheus.url: expected an http or https address without user and password",
            ),
        ] {
            let error = Config::parse(text, Path::new("x.yaml")).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        for text in [
            "refit: 1s",
            "cpu_percent: 0",
            "max_series: 1000000",
            "nonsense: 1",
        ] {
            assert!(Config::parse(text, Path::new("x.yaml")).is_err(), "{text}");
        }
    }
}
