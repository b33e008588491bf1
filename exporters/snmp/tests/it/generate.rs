//! `sotp-snmp generate` and walks by name, with the MIBs of `testdata/mibs`, beside Debian's prometheus-snmp-generator.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sotp_snmp::config::{self, Options};
use testkit::TempDir;

const EXPORTER: &str = env!("CARGO_BIN_EXE_sotp-snmp");

/// What both generators are given: every key that version 0.21 knows.
const MODULES: &str = "
  whole:
    walk: [sotpTest, sotpOld]
    lookups:
      - source_indexes: [portSlot, portNumber]
        lookup: portName
        drop_source_indexes: true
      - source_indexes: [oldIndex]
        lookup: oldQueue
    overrides:
      portState: {type: EnumAsStateSet}
      portRaw: {ignore: true}
      peerKind: {ignore: true}
      portAlias:
        regex_extracts:
          Temp: [{regex: 'T=(.*)', value: '$1'}]
  parts:
    walk: [portIn, uptime, 1.3.6.1.4.1.99999.3, portTable]
    max_repetitions: 10
    retries: 1
    timeout: 7s
  rows:
    walk: [1.3.6.1.4.1.99999.2.1.7.1.2, 1.3.6.1.4.1.99999.2.1.7.1.3, 1.3.6.1.4.1.99998.2.1.2.9]
    lookups:
      - source_indexes: [portSlot, portNumber]
        lookup: portAlias
";

fn mibs() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/mibs"))
}

/// The folder of test MIBs with the foundation modules beside them, which Debian has not and our reader brings.
fn with_foundation(at: &Path) -> PathBuf {
    let folder = at.join("mibs");
    std::fs::create_dir(&folder).unwrap();
    for entry in std::fs::read_dir(mibs()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let names = [
        "SNMPv2-SMI",
        "SNMPv2-TC",
        "RFC1155-SMI",
        "RFC-1212",
        "RFC-1215",
    ];
    let mib = mib_rs::Loader::new().modules(names).load().unwrap();
    for name in names {
        let source = mib.module(name).unwrap().source().unwrap();
        std::fs::write(folder.join(format!("{name}.txt")), source.bytes()).unwrap();
    }
    folder
}

fn ours(folder: &Path, generator: &str, more: &[&str]) -> Output {
    std::fs::write(folder.join("generator.yml"), generator).unwrap();
    Command::new(EXPORTER)
        .arg("generate")
        .arg("--generator-path")
        .arg(folder.join("generator.yml"))
        .arg("--output-path")
        .arg(folder.join("ours.yml"))
        .arg("--mibs-dir")
        .arg(mibs())
        .args(more)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The modules of a file as `/config` shows them, so that order of keys and layout do not matter.
fn modules(text: &str) -> Vec<String> {
    let config = config::parse(text, Path::new("snmp.yml"), Options::default()).unwrap();
    let shown = config.masked();
    let modules = shown.split("modules:\n").nth(1).unwrap();
    modules.lines().map(str::to_owned).collect()
}

const AUTHS: &str = "auths: {public_v2: {community: public}}\n";

#[test]
fn it_writes_what_debians_generator_writes() {
    let place = TempDir::new().unwrap();
    let debian = Command::new("prometheus-snmp-generator")
        .arg("--help")
        .output();
    if debian.is_err() {
        testkit::skip("no prometheus-snmp-generator here: install prometheus-snmp-exporter");
        return;
    }
    let output = ours(place.path(), &format!("{AUTHS}modules:{MODULES}"), &[]);
    assert!(output.status.success(), "{}", said(&output));
    let ours = std::fs::read_to_string(place.path().join("ours.yml")).unwrap();

    let folder = with_foundation(place.path());
    std::fs::write(
        place.path().join("generator.yml"),
        format!("modules:{MODULES}"),
    )
    .unwrap();
    let output = Command::new("prometheus-snmp-generator")
        .args(["generate", "--output-path"])
        .arg(place.path().join("theirs.yml"))
        .current_dir(place.path())
        .env("MIBDIRS", &folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let theirs = std::fs::read_to_string(place.path().join("theirs.yml")).unwrap();
    // Version 0.21 writes modules at the top.
    let theirs: String = theirs
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("  {line}\n"))
        .collect();
    let (ours, theirs) = (
        modules(&ours),
        modules(&format!("{AUTHS}modules:\n{theirs}")),
    );
    assert!(theirs.len() > 300, "{} lines", theirs.len());
    for (at, (one, other)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(
            one,
            other,
            "line {at}, after\n{}",
            ours[at.saturating_sub(15)..at].join("\n")
        );
    }
    assert_eq!(ours.len(), theirs.len());
}

/// Everything that decides what a module asks and shows, in an order of its own.
fn meaning(text: &str, name: &str) -> String {
    let mut config = config::parse(text, Path::new("snmp.yml"), Options::default()).unwrap();
    config.modules.retain(|one, _| one == name);
    let module = config.modules.get_mut(name).unwrap();
    module.metrics.sort_by(|one, other| one.oid.cmp(&other.oid));
    let numbers = (module.metrics.iter_mut())
        .flat_map(|metric| &mut metric.indexes)
        .filter(|index| index.kind == config::module::IndexType::Number);
    // A range of one number, which net-snmp takes for a size: a number has none.
    numbers.for_each(|index| index.fixed_size = 0);
    let shown = config.masked();
    shown.split_once("modules:\n").unwrap().1.to_owned()
}

/// The newest snmp_exporter's generator and ours, module by module of its generator.yml.
///
/// It needs a checkout of snmp_exporter whose `generator/` is built, as `SNMP_EXPORTER`, and `MIBDIRS`: the folders of MIBs, with colons
/// between them, as net-snmp takes them. Each module takes seconds, since each reads the MIBs anew.
#[test]
fn every_module_of_the_newest_generator_is_the_same() {
    let (Some(checkout), Ok(folders)) =
        (std::env::var_os("SNMP_EXPORTER"), std::env::var("MIBDIRS"))
    else {
        testkit::skip("SNMP_EXPORTER and MIBDIRS do not name a built generator and MIBs");
        return;
    };
    let theirs = Path::new(&checkout).join("generator");
    let text = std::fs::read_to_string(theirs.join("generator.yml")).unwrap();
    let whole: serde_json::Value = yaml::parse(&text, &yaml::Rules::CONFIGURATION).unwrap();
    let (mut same, mut lacking, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for (name, module) in whole["modules"].as_object().unwrap() {
        let place = TempDir::new().unwrap();
        // JSON is YAML.
        let one = serde_json::json!({ name: module });
        let input = place.path().join("generator.yml");
        std::fs::write(&input, format!("{AUTHS}modules: {one}\n")).unwrap();
        let made = |program: &Path, flags: &[&str], to: &str, before: &[&str]| {
            let to = place.path().join(to);
            let done = Command::new(program)
                .args(before)
                .arg("generate")
                .args(["-g".as_ref(), input.as_os_str()])
                .args(["-o".as_ref(), to.as_os_str()])
                .args(flags)
                .output()
                .unwrap();
            std::fs::read_to_string(to).map_err(|_| said(&done))
        };
        let Ok(reference) = made(
            &theirs.join("generator"),
            &[],
            "theirs.yml",
            &["--no-fail-on-parse-errors", "--snmp.mibopts=eu"],
        ) else {
            lacking.push(name.as_str());
            continue;
        };
        let dirs = folders.split(':').flat_map(|folder| ["-m", folder]);
        let ours = made(
            Path::new(EXPORTER),
            &dirs.collect::<Vec<_>>(),
            "ours.yml",
            &[],
        );
        let list = match ours {
            Ok(ours) if meaning(&ours, name) == meaning(&reference, name) => &mut same,
            Ok(ours) => {
                let (ours, theirs) = (meaning(&ours, name), meaning(&reference, name));
                let mut lines = ours.lines().zip(theirs.lines());
                let apart = lines.find(|(one, another)| one != another);
                eprintln!("{name}, ours and theirs: {apart:?}");
                &mut other
            }
            Err(said) => {
                eprintln!("{name}: {said}");
                &mut other
            }
        };
        list.push(name.as_str());
    }
    eprintln!("the same: {}", same.join(" "));
    eprintln!("without all of its MIBs: {}", lacking.join(" "));
    assert!(other.is_empty() && !same.is_empty(), "other: {other:#?}");
}

#[test]
fn newer_keys_filters_and_auths_are_taken() {
    let place = TempDir::new().unwrap();
    let generator = "auths:
  mine:
    community: kept-as-written
modules:
  m:
    walk: [SOTP-TEST-MIB::portTable]
    lookups:
      - source_indexes: [portSlot, portNumber]
        lookup: SOTP-TEST-MIB::portName
        display_hint: '@mib'
    overrides:
      portPower: {scale: 0.001, offset: 2, help: Watts, name: portWatts}
      portRaw: {display_hint: 255a}
    filters:
      static:
        - {targets: [portIn, portDropped], indices: ['1.1', '1.2']}
      dynamic:
        - {oid: portState, targets: [portPower], values: ['1']}
";
    let output = ours(place.path(), generator, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let text = std::fs::read_to_string(place.path().join("ours.yml")).unwrap();
    for part in [
        "community: kept-as-written",
        "- name: portWatts",
        "help: Watts",
        "scale: 0.001",
        "offset: 2",
        "display_hint: \"255t\"",
        "display_hint: \"255a\"",
        "- 1.3.6.1.4.1.99999.2.1.7.1.1\n",
        "- 1.3.6.1.4.1.99999.2.1.8.1.2\n",
        "- oid: 1.3.6.1.4.1.99999.2.1.5",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    // The walk above the filtered columns is cut into the others.
    assert!(!text.contains("- 1.3.6.1.4.1.99999.2\n"), "{text}");
    assert!(text.contains("- 1.3.6.1.4.1.99999.2.1.9\n"), "{text}");
}

#[test]
fn mistakes_are_told_with_their_place_and_nothing_is_written() {
    for (generator, message) in [
        (
            "modules: {m: {walk: [portTabel]}}",
            "generator.yml:1:14: modules.m: walk: `portTabel`: no MIB module defines it; is `portTable` meant?",
        ),
        (
            "modules: {m: {walk: [portTable], lookups: [{source_indexes: [portSlot], lookup: noSuch}]}}",
            "modules.m: lookups: `noSuch`: no MIB module defines it",
        ),
        (
            "modules: {m: {walk: [portTable.2.7]}}",
            "modules.m: walk: `1.3.6.1.4.1.99999.2.2.7` is no object with values",
        ),
        (
            "modules:\n  m:\n    walks: []\n",
            "generator.yml:3:5: modules.m: unknown key \"walks\"",
        ),
        (
            "modules: {m: {overrides: {portIn: {type: counters}}}}",
            "`counters` is no metric type: expected one of gauge, counter,",
        ),
        ("modules: {}", "generator.yml: no modules"),
    ] {
        let place = TempDir::new().unwrap();
        let output = ours(place.path(), generator, &[]);
        assert_eq!(output.status.code(), Some(64), "{generator}");
        assert!(said(&output).contains(message), "{}", said(&output));
        assert!(!place.path().join("ours.yml").exists());
    }
}

#[test]
fn a_walk_in_snmp_yml_may_name_objects() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("snmp.yml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Command::new(EXPORTER)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--snmp.mib-dir={}", mibs().display()))
            .arg("--config.check")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let good = check(
        "auths: {a: {}}
modules:
  m:
    walk: [SOTP-TEST-MIB::portTable, 1.3.6.1.2.1.1]
    get: [SOTP-TEST-MIB::uptime]
    lookups: [{source_indexes: [portSlot, portNumber], lookup: portName}]
",
    );
    assert!(good.status.success(), "{}", said(&good));
    for (text, message) in [
        (
            "auths: {a: {}}\nmodules:\n  m:\n    walk:\n    - SOTP-TEST-MIB::portTabel\n",
            "snmp.yml:5:7: modules.m: walk: `SOTP-TEST-MIB::portTabel`: SOTP-TEST-MIB (",
        ),
        (
            "auths: {a: {}}\nmodules: {m: {walk: ['IF-MIB::ifTable']}}\n",
            "modules.m: walk: no MIB module IF-MIB in ",
        ),
        (
            "auths: {a: {}}\nmodules: {m: {walk: [1.3], overrides: {x: {ignore: true}}}}\n",
            "overrides: expected only where walk names MIB objects",
        ),
    ] {
        let output = check(text);
        assert_eq!(output.status.code(), Some(64));
        assert!(said(&output).contains(message), "{}", said(&output));
    }
}
