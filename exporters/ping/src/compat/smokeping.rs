//! smokeping_prober's configuration file and flags.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use toolkit::ConfigError;

use super::target::{INTERVAL, MAX_SIZE, check_host, check_label, once};
use super::{Families, Kind, Options, Peer, Style, Target};
use crate::config::Config;
use crate::counters::BOUNDS_NANOS;
use units::go;

/// It never gives a request up; its histogram ends at 26.2 seconds.
const TIMEOUT: Duration = Duration::from_secs(30);
/// It writes the time and a number into the payload.
const MIN_SIZE: usize = 24;
/// Labels that its series have anyway.
pub(super) const LABELS: [&str; 4] = ["ip", "host", "source", "tos"];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    targets: Option<Vec<Group>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Group {
    hosts: Option<Vec<String>>,
    host: Option<String>,
    #[serde(deserialize_with = "go::deserialize")]
    interval: Option<Duration>,
    network: Option<String>,
    protocol: Option<String>,
    size: Option<usize>,
    source: Option<String>,
    tos: Option<u8>,
    labels: Option<BTreeMap<String, String>>,
}

/// Reads its file, with the hosts and settings of its command line.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn parse(options: &Options, text: &str, origin: &Path) -> Result<Config, ConfigError> {
    let file: File = toolkit::yaml::parse(text, origin)?;
    let mut warnings = Vec::new();
    read(&file, options, &mut warnings)
        .and_then(|peer| Config::of_peer(Peer { warnings, ..peer }))
        .map_err(|(path, message)| ConfigError::at(text, origin, path, message))
}

type Wrong = (String, String);

fn read(file: &File, options: &Options, warnings: &mut Vec<String>) -> Result<Peer, Wrong> {
    let mut targets = Vec::new();
    for host in &options.hosts {
        let wrong = |message| (String::new(), format!("command line: {message}"));
        check_host(host).map_err(wrong)?;
        let size = options.size.unwrap_or(56);
        check_size(size).map_err(wrong)?;
        let interval = options.interval.unwrap_or(Duration::from_secs(1));
        check_interval(interval).map_err(wrong)?;
        targets.push(Target {
            host: host.clone(),
            families: Families::Any,
            interval,
            timeout: TIMEOUT,
            size,
            tos: options.tos.unwrap_or(0),
            source: None,
            mark: None,
            all_records: false,
            labels: BTreeMap::new(),
        });
    }
    for (at, group) in file.targets.iter().flatten().enumerate() {
        self::group(group, &format!("targets[{at}]"), &mut targets)?;
    }
    let labels: BTreeSet<&String> = targets.iter().flat_map(|t| t.labels.keys()).collect();
    let labels = labels.into_iter().cloned().collect();
    let mut targets = once(targets, warnings);
    targets.shrink_to_fit();
    let buckets = buckets(options.buckets.as_deref()).map_err(|why| (String::new(), why))?;
    Ok(Peer {
        kind: Kind::SmokepingProber,
        targets,
        labels,
        style: Style {
            buckets,
            history: 0,
            seconds: true,
            millis: false,
            deprecated: false,
        },
        foreign: BTreeMap::new(),
        warnings: Vec::new(),
    })
}

fn group(group: &Group, path: &str, targets: &mut Vec<Target>) -> Result<(), Wrong> {
    let at = |key: &str, message: String| (format!("{path}.{key}"), message);
    let families = match group.network.as_deref().unwrap_or("ip") {
        "ip" => Families::Any,
        "ip4" => Families::V4,
        "ip6" => Families::V6,
        other => {
            let message = format!("{other:?}: expected ip, ip4 or ip6");
            return Err(at("network", message));
        }
    };
    // It chooses the kind of socket by it; ours is chosen for the whole process.
    match group.protocol.as_deref().unwrap_or("icmp") {
        "icmp" | "udp" => {}
        other => return Err(at("protocol", format!("{other:?}: expected icmp or udp"))),
    }
    let size = group.size.unwrap_or(56);
    check_size(size).map_err(|why| at("size", why))?;
    let interval = group.interval.unwrap_or(Duration::from_secs(1));
    check_interval(interval).map_err(|why| at("interval", why))?;
    let source = match group.source.as_deref().filter(|source| !source.is_empty()) {
        None => None,
        Some(source) => Some(
            source
                .parse::<IpAddr>()
                .map_err(|_| at("source", format!("{source:?} is no address")))?,
        ),
    };
    for (name, value) in group.labels.iter().flatten() {
        check_label(name, value, &LABELS).map_err(|why| at("labels", why))?;
    }
    let hosts = match (&group.hosts, &group.host) {
        (Some(hosts), _) if !hosts.is_empty() => hosts.as_slice(),
        (_, Some(host)) => std::slice::from_ref(host),
        _ => &[],
    };
    for (number, host) in hosts.iter().enumerate() {
        check_host(host).map_err(|why| match &group.hosts {
            Some(hosts) if !hosts.is_empty() => at(&format!("hosts[{number}]"), why),
            _ => at("host", why),
        })?;
        targets.push(Target {
            host: host.clone(),
            families,
            interval,
            timeout: TIMEOUT,
            size,
            tos: group.tos.unwrap_or(0),
            source,
            mark: None,
            all_records: false,
            labels: group.labels.clone().unwrap_or_default(),
        });
    }
    Ok(())
}

fn check_size(size: usize) -> Result<(), String> {
    let message = || format!("{size} is out of bounds, expected {MIN_SIZE} to {MAX_SIZE}");
    (MIN_SIZE..=MAX_SIZE)
        .contains(&size)
        .then_some(())
        .ok_or_else(message)
}

pub(super) fn check_interval(interval: Duration) -> Result<(), String> {
    let message = || {
        format!(
            "{} is out of bounds, expected 10ms to 1h",
            go::spelled(interval)
        )
    };
    (INTERVAL.0..=INTERVAL.1)
        .contains(&interval)
        .then_some(())
        .ok_or_else(message)
}

/// The places of the bounds asked for among those of our histogram.
fn buckets(asked: Option<&str>) -> Result<Vec<usize>, String> {
    let Some(asked) = asked else {
        return Ok((0..BOUNDS_NANOS.len()).collect());
    };
    let mut places = Vec::new();
    for text in asked.split(',').map(str::trim) {
        let seconds: f64 = text
            .parse()
            .map_err(|_| format!("--buckets: {text:?} is no number"))?;
        let place = BOUNDS_NANOS.iter().position(|&nanos| {
            let ours = nanos as f64 / 1e9;
            (ours - seconds).abs() < ours * 1e-9
        });
        let place = place.ok_or_else(|| {
            format!(
                "--buckets: {text} is not counted; expected some of 5e-05 and its doubles up to 26.2144"
            )
        })?;
        if places.last().is_some_and(|&last| last >= place) {
            return Err(format!(
                "--buckets: {text} is not above the bound before it"
            ));
        }
        places.push(place);
    }
    Ok(places)
}
