//! The files of runbooks: the cases of those that come with the program, and what is refused.

use std::path::Path;
use std::process::Command;

use sotp_remediator::platform::Platforms;
use sotp_remediator::runbook::cases::Outcome;
use sotp_remediator::runbook::{Runbook, Runbooks, json_schema};
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
        good && text.contains("cases of 6 runbooks, 0 failed"),
        "{text}"
    );
}

/// A platform that a runbook is for without a case in which it acts there is a platform that nobody tried.
#[test]
fn every_built_in_runbook_has_a_case_that_acts_for_each_platform_that_it_is_for() {
    let platforms = Platforms::built_in().unwrap();
    let runbooks = Runbooks::built_in(&platforms).unwrap();
    let mut pairs = Vec::new();
    for runbook in runbooks.iter().filter(|one| one.proposes.is_none()) {
        for platform in platforms.iter().filter(|one| runbook.suits(one)) {
            let acts = runbook.cases.iter().any(|case| {
                case.platform == platform.platform
                    && case.expect.outcome == Outcome::Act
                    && case.expect.sends.is_some()
            });
            assert!(acts, "{} on {}", runbook.name, platform.platform);
            pairs.push(format!("{} {}", runbook.name, platform.platform));
        }
    }
    let wanted = [
        ("port-up", "frr ios iosxr eos junos routeros vyos"),
        ("err-disabled", "ios eos"),
        ("bgp-soft-clear", "frr ios eos junos vyos"),
        ("service-restart", "linux"),
        ("diagnostics", "frr ios eos junos routeros vyos"),
    ];
    let wanted = wanted.iter().flat_map(|(runbook, all)| {
        all.split(' ')
            .map(move |platform| format!("{runbook} {platform}"))
    });
    let mut wanted: Vec<String> = wanted.collect();
    wanted.sort();
    pairs.sort();
    assert_eq!(pairs, wanted);
}

#[test]
fn plan_prints_every_line_that_would_reach_the_device() {
    let plan = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sotp-remediator"))
            .arg("plan")
            .args(args)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let (status, text) = plan(&["err-disabled", "ios", "Gi1/0/3"]);
    let wanted = "asks before: show interfaces Gi1/0/3
asks before: show interfaces Gi1/0/3 status err-disabled
asks before: show running-config interface Gi1/0/3
with a timer of 2 min: configure terminal revert timer 2
configures: interface Gi1/0/3
configures: shutdown
configures: no shutdown
asks afterwards: show interfaces Gi1/0/3
confirms: configure confirm
if it does not help, configures: interface Gi1/0/3
if it does not help, configures: shutdown
";
    assert_eq!((status, &*text), (Some(0), wanted));
    let (status, text) = plan(&["port-up", "junos", "ge-0/0/1"]);
    let wanted = "asks before: show interfaces ge-0/0/1
asks before: SNMP: ifAdminStatus
asks before: show configuration interfaces ge-0/0/1
with a timer of 2 min: configure exclusive
configures: delete interfaces ge-0/0/1 disable
with a timer of 2 min: commit confirmed 2
asks afterwards: show interfaces ge-0/0/1
confirms: configure exclusive
confirms: commit
confirms: exit
";
    assert_eq!((status, &*text), (Some(0), wanted));
    // Without a timer: VyOS would take the change back by starting anew.
    let (status, text) = plan(&["port-up", "vyos", "eth1"]);
    let wanted = "asks before: show interfaces ethernet eth1 | no-more
asks before: SNMP: ifAdminStatus
asks before: show configuration commands | no-more
configures: delete interfaces ethernet eth1 disable
asks afterwards: show interfaces ethernet eth1 | no-more
";
    assert_eq!((status, &*text), (Some(0), wanted));
    let (status, text) = plan(&["config-drift", "junos", "ntp-server"]);
    assert!(
        status == Some(0) && text.contains("nothing is typed") && !text.contains("configures"),
        "{text}"
    );
    for (args, said) in [
        (&["err-disabled", "frr", "r2"][..], "is not for FRRouting"),
        (&["port-up", "ios"], "expected the port"),
        (&["port-up", "ios", "Gi0/1; reload"], "is no port"),
        (&["bgp-soft-clear", "frr", "all"], "is no neighbor"),
        (&["bgp-soft-clear", "frr", "*"], "is no neighbor"),
        (&["service-restart", "linux", "--", "-H"], "is no unit"),
        (&["service-restart", "linux", "../x.service"], "is no unit"),
        (&["port-up", "nos", "r2"], "there is no platform"),
    ] {
        let (status, text) = plan(args);
        assert!(
            status == Some(64) && text.contains(said),
            "{args:?}: {text}"
        );
    }
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
            "person[0]: expected is, in, contains, has or lacks beside read",
        ),
        ("idempotent: true", "idempotente: true", "idempotente"),
        (
            "steps: [port_up]",
            "steps: [port_up]\nproposes: restore",
            "steps: expected no steps beside proposes",
        ),
        (
            "  - snmp: ifAdminStatus\n    where: {ifName: \"{port}\"}\n    equals: 2",
            "  - snmp: ifAdminStatus\n    where: {ifName: \"{port}\"}",
            "precheck_snmp[0]: expected equals beside snmp",
        ),
        (
            "snmp: ifAdminStatus",
            "snmp: 'up == 1'",
            "precheck_snmp[0]: expected the name of a series",
        ),
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
