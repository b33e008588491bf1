//! The file that snmp_exporter ships: it loads whole, and every module of it that Debian's version can read gives the same text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::agent::Agent;
use sotp_snmp::codec::{push, push_integer};
use sotp_snmp::config::{self, Config, Index, IndexType, Metric, Module, Options};
use sotp_snmp::oid::{self, Oid};
use testkit::{Spawn, TempDir};

use super::peer::{Peer, body, difference, series, serving};

/// The release whose file is read: of those that the Go module proxy has, the one with most modules.
const RELEASE: &str = "github.com/prometheus/snmp_exporter@v0.30.1";
const MODULES: usize = 52;

/// The shipped file, from the Go module cache or the proxy; `None` where neither has it.
fn shipped() -> Option<PathBuf> {
    let place = TempDir::new().unwrap();
    let output = Command::new("timeout")
        .args(["120", "go", "mod", "download", "-json", RELEASE])
        .env("GOFLAGS", "-mod=mod")
        .current_dir(place.path())
        .stdin(Stdio::null())
        .output();
    let said = match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => error.to_string(),
    };
    let folder = said.lines().find_map(|line| {
        let value = line.trim().strip_prefix("\"Dir\": \"")?;
        Some(PathBuf::from(value.trim_end_matches(',').trim_matches('"')))
    });
    let file = folder.map(|folder| folder.join("snmp.yml"));
    if !file.as_ref().is_some_and(|file| file.exists()) {
        testkit::skip(format_args!("{RELEASE} cannot be had: {}", said.trim()));
        return None;
    }
    file
}

fn read(file: &Path) -> Config {
    config::load(&[file.display().to_string()], Options::default()).unwrap()
}

#[test]
fn the_whole_shipped_file_loads() {
    let Some(file) = shipped() else { return };
    let config = read(&file);
    assert_eq!(config.modules.len(), MODULES);
    let metrics: usize = config.modules.values().map(|one| one.metrics.len()).sum();
    assert!(metrics > 4_000, "{metrics} metrics");
    // What is shown of it is the same configuration again.
    let shown = config.masked();
    let again = config::parse(
        &shown.replace("<secret>", "x"),
        Path::new("shown.yml"),
        Options::default(),
    )
    .unwrap();
    // An expression is shown with its anchors, and gets them once more.
    let lines = |text: &str| -> Vec<String> {
        let plain = text.lines().filter(|line| !line.contains("regex: "));
        plain.map(str::to_owned).collect()
    };
    assert_eq!(lines(&again.masked()), lines(&shown));
}

/// Whether version 0.21 knows everything that the module says.
fn old(module: &Module) -> bool {
    let kinds = ["ParseDateAndTime", "NTPTimeStamp"];
    let old_index = |index: &Index| {
        !matches!(
            index.kind,
            IndexType::InetAddressMissingSize | IndexType::Enumeration
        ) || index.enum_values.is_empty()
    };
    module.filters.is_empty()
        && module.metrics.iter().all(|metric| {
            metric.scale == 0.0
                && metric.offset == 0.0
                && metric.display_hint.is_empty()
                && metric.datetime_pattern.is_empty()
                && !kinds.contains(&metric.kind.as_str())
                && metric.indexes.iter().all(old_index)
                && metric.lookups.iter().all(|lookup| {
                    lookup.display_hint.is_empty()
                        && lookup.enum_values.is_empty()
                        && !lookup.kind.starts_with("InetAddress")
                        && lookup.kind != "LldpPortId"
                })
        })
}

/// The form of version 0.21: modules at the top, without the keys that came later.
fn before_the_split(config: &Config, names: &BTreeSet<&str>) -> String {
    let shown = config.masked();
    let modules = shown.split_once("modules:\n").unwrap().1;
    let mut keep = false;
    let mut out = String::new();
    for line in modules.lines() {
        if let Some(name) = line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '))
        {
            keep = names.contains(name.trim_end_matches(':').trim_matches('"'));
        }
        let newer = ["use_unconnected_udp_socket", "allow_nonincreasing_oids"];
        if keep && !newer.iter().any(|key| line.contains(key)) {
            let _ = writeln!(out, "{}", line.strip_prefix("  ").unwrap_or(line));
        }
    }
    out
}

/// The sub-identifiers of one index in this row.
fn index(index: &Index, row: u32) -> Vec<u32> {
    let text = |length: usize| -> Vec<u32> {
        (0..length)
            .map(|at| [97 + row, 45, 98, 34, 92][at % 5])
            .collect()
    };
    let octets = |octets: Vec<u32>| -> Vec<u32> {
        if index.implied || index.fixed_size > 0 {
            octets
        } else {
            let length = u32::try_from(octets.len()).unwrap();
            std::iter::once(length).chain(octets).collect()
        }
    };
    match index.kind {
        IndexType::Number | IndexType::Enumeration => vec![row],
        IndexType::PhysAddress48 => vec![0, 18, 52, 86, 254, row],
        IndexType::OctetString | IndexType::DisplayString => {
            octets(text(if index.fixed_size > 0 {
                index.fixed_size
            } else {
                5
            }))
        }
        IndexType::InetAddressIpv4 => vec![198, 18, 0, row],
        IndexType::InetAddressIpv6 => (0..16).map(|at| if at == 15 { row } else { at }).collect(),
        IndexType::InetAddress => vec![1, 4, 198, 18, 1, row],
        IndexType::InetAddressMissingSize => vec![1, 198, 18, 2, row],
        IndexType::LldpPortId => [vec![7, 5], text(5)].concat(),
    }
}

fn octets(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push(tag, content, &mut out);
    out
}

/// A value of this type that differs from object to object.
fn value(kind: &str, metric: Option<&Metric>, at: &Oid) -> Vec<u8> {
    let number = at
        .ids()
        .iter()
        .fold(7_u32, |sum, id| sum.wrapping_mul(31).wrapping_add(*id));
    let byte = |shift: u32| (number >> shift) as u8;
    match kind {
        "counter" => octets(0x46, &(u64::from(number) << 24).to_be_bytes()),
        "DisplayString" => octets(
            0x04,
            format!("text \"{}\" \\ \u{e9}\n{}", number % 97, number % 7).as_bytes(),
        ),
        "OctetString" if number.is_multiple_of(5) => octets(0x04, &[]),
        "OctetString" => octets(0x04, &[byte(0), 0, byte(8), 0xff]),
        "PhysAddress48" => octets(0x04, &[0, 1, byte(0), byte(8), byte(16), 0xfe]),
        "InetAddressIPv4" => octets(0x40, &[198, 18, byte(0), byte(8)]),
        "InetAddressIPv6" => octets(
            0x04,
            &[
                0x20,
                1,
                13,
                184,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                byte(0),
                byte(8),
            ],
        ),
        "InetAddress" | "InetAddressMissingSize" => octets(0x04, &[198, 18, byte(0), byte(8)]),
        "LldpPortId" => octets(0x04, format!("port{}", number % 9).as_bytes()),
        "DateAndTime" => octets(
            0x04,
            &[7, 0xe6, 1 + byte(0) % 12, 1 + byte(8) % 28, 3, 4, 5, 0],
        ),
        "Bits" => octets(0x04, &[byte(0), byte(8)]),
        "Float" => octets(
            0x44,
            &[
                &[0x9f, 0x78, 4][..],
                &(f32::from(byte(0)) / 3.0).to_be_bytes(),
            ]
            .concat(),
        ),
        "Double" => octets(
            0x44,
            &[
                &[0x9f, 0x79, 8][..],
                &(f64::from(byte(0)) / 3.0).to_be_bytes(),
            ]
            .concat(),
        ),
        "EnumAsInfo" | "EnumAsStateSet" => {
            let known: Vec<i64> = metric
                .map(|metric| metric.enum_values.keys().copied().collect())
                .unwrap_or_default();
            let chosen = known
                .get(number as usize % (known.len() + 1))
                .copied()
                .unwrap_or(77);
            let mut out = Vec::new();
            push_integer(chosen, &mut out);
            out
        }
        _ => {
            let mut out = Vec::new();
            push_integer(i64::from(number % 5_000_000) - 1000, &mut out);
            out
        }
    }
}

/// An agent with two rows of everything that the module asks for.
fn agent(module: &Module) -> Agent {
    let mut objects: BTreeMap<Oid, Vec<u8>> = BTreeMap::new();
    for metric in &module.metrics {
        for row in if metric.indexes.is_empty() {
            1..2
        } else {
            1..3
        } {
            let parts: Vec<Vec<u32>> = metric.indexes.iter().map(|one| index(one, row)).collect();
            let tail = if parts.is_empty() {
                vec![0]
            } else {
                parts.concat()
            };
            let at = metric.oid.join(&tail);
            objects
                .entry(at.clone())
                .or_insert_with(|| value(&metric.kind, Some(metric), &at));
            // The column that tells of which kind an address is.
            let kind = match metric.kind.as_str() {
                "InetAddress" | "InetAddressMissingSize" => Some(1),
                "LldpPortId" => Some(7),
                _ => None,
            };
            if let (Some(kind), Some(previous)) = (kind, metric.oid.previous()) {
                let mut out = Vec::new();
                push_integer(kind, &mut out);
                objects.insert(previous.join(&tail), out);
            }
            for lookup in metric.lookups.iter().filter(|one| !one.labels.is_empty()) {
                let selected: Vec<u32> = lookup
                    .labels
                    .iter()
                    .flat_map(|label| {
                        let place = metric
                            .indexes
                            .iter()
                            .position(|one| one.labelname == *label);
                        place.map(|place| parts[place].clone()).unwrap_or_default()
                    })
                    .collect();
                let at = lookup.oid.join(&selected);
                objects
                    .entry(at.clone())
                    .or_insert_with(|| value(&lookup.kind, None, &at));
            }
        }
    }
    assert!(
        objects
            .keys()
            .all(|one| one.ids().len() <= oid::MAX_SUB_IDS)
    );
    Agent::new(objects)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shipped_module_that_both_read_has_the_same_text() {
    let Some(file) = shipped() else { return };
    let config = read(&file);
    let names: BTreeSet<&str> = config
        .modules
        .iter()
        .filter(|(_, module)| old(module))
        .map(|(name, _)| name.as_str())
        .collect();
    let Some(theirs) = Peer::start(&before_the_split(&config, &names)).await else {
        return;
    };
    let ours = Spawn::new(env!("CARGO_BIN_EXE_sotp-snmp"))
        .args([format!("--config.file={}", file.display())])
        .start()
        .await
        .unwrap();
    let (mut lines, mut different, mut refused) = (0, Vec::new(), Vec::new());
    for name in &names {
        let target = serving(agent(&config.modules[*name]));
        let (their_status, their_text) = body(&theirs.address, &target, name).await;
        let (status, text) = body(ours.address(), &target, name).await;
        if their_status != 200 {
            refused.push(format!("{name}: {their_text}"));
            continue;
        }
        let difference = difference(&their_text, &text);
        if status != 200 || difference.is_some() {
            different.push(format!(
                "{name} {status}\n{}",
                difference.unwrap_or_default()
            ));
        }
        lines += series(&text).len();
    }
    println!(
        "{} modules, {lines} lines; theirs failed: {refused:#?}",
        names.len()
    );
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(
        names.len() - refused.len() >= 30,
        "{} modules, {refused:#?}",
        names.len()
    );
    assert!(lines > 10_000, "{lines} lines");
}
