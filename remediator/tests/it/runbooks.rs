//! The files of runbooks: the cases of those that come with the program, and what is refused.

use std::path::Path;
use std::process::Command;

use sotp_remediator::platform::Platforms;
use sotp_remediator::runbook::{Runbook, json_schema};
use testkit::TempDir;

const PORT_UP: &str = include_str!("../../runbooks/port-up.yaml");

fn test(paths: &[&Path]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sotp-remediator"))
        .arg("test")
        .args(paths)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn cases_of_the_built_in_runbooks_hold() {
    let (good, text) = test(&[]);
    assert!(
        good && text.contains("6 cases of 1 runbooks, 0 failed"),
        "{text}"
    );
}

#[test]
fn case_that_does_not_hold_is_told() {
    let dir = TempDir::new().unwrap();
    let path = dir
        .write(
            "port-up.yaml",
            PORT_UP.replace("has: [shutdown]", "lacks: [shutdown]"),
        )
        .unwrap();
    let (good, text) = test(&[&path]);
    assert!(
        !good && text.contains("FAILED  port-up: nobody shut it: expected Act, came to Propose"),
        "{text}"
    );
}

#[test]
fn wrong_runbook_is_refused_with_its_place() {
    let platforms = Platforms::built_in().unwrap();
    for (from, to, said) in [
        (
            "name: port-up",
            "name: Port up",
            "name: expected 1 to 32 lower-case letters",
        ),
        (
            "steps: [port_up]",
            "steps: [reload]",
            "steps[0]: no platform has the step \"reload\"",
        ),
        (
            "  - read: port\n    is: {admin: down}",
            "  - read: weather\n    is: {admin: down}",
            "precheck[0].read: no platform can read",
        ),
        (
            "verify_within: 10s",
            "verify_within: 1h",
            "verify_within: expected a duration from 1s to 10m",
        ),
        (
            "has: [shutdown]",
            "has: []",
            "person[0]: expected is, contains, has or lacks beside read",
        ),
        ("idempotent: true", "idempotente: true", "idempotente"),
    ] {
        assert!(PORT_UP.contains(from), "{from}");
        let wrong = Runbook::parse(
            &PORT_UP.replacen(from, to, 1),
            Path::new("x.yaml"),
            &platforms,
        )
        .unwrap_err();
        assert!(wrong.to_string().contains(said), "{wrong}");
    }
}

#[test]
fn committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbook.schema.json");
    if std::env::var_os("SOTP_UPDATE").is_some() {
        std::fs::write(&path, json_schema()).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == json_schema(),
        "write it anew: sotp-remediator --runbook.print-schema > docs/runbook.schema.json"
    );
}
