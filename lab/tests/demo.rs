//! The demo as CI runs it: a real network, a cut link, a real alert.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/processes.rs"]
mod processes;

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use processes::{LAB, Mark, binaries};
use testkit::TempDir;

/// Runs the demo once under its own name and mark; nothing of it may be left.
fn demo(name: &str, flags: &[&str]) -> Output {
    let mark = Mark::new();
    let folder = TempDir::new().unwrap();
    let links = links();
    let output = Command::new("timeout")
        // A guard against a test that never ends; the demo bounds every wait of its own.
        .args([
            "--kill-after=30",
            "300",
            LAB,
            "demo",
            "--once",
            "--no-install",
        ])
        .args(["--name", name, "--bin-dir"])
        .arg(binaries())
        .args(flags)
        .env(Mark::KEY, mark.word())
        .env("XDG_RUNTIME_DIR", folder.path())
        .env("SOTP_STACK_DIR", folder.join("none"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    mark.assert_gone(Duration::from_secs(10));
    assert_eq!(links, self::links(), "network interfaces are left");
    let left = folder.join("sotp-lab").join(name);
    assert!(!left.exists(), "{} is left", left.display());
    output
}

/// The network interfaces of the outside.
fn links() -> BTreeSet<String> {
    std::fs::read_dir("/sys/class/net")
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_cut_link_fires_and_resolves_the_alert_and_nothing_is_left() {
    let folder = TempDir::new().unwrap();
    let file = folder.join("timeline.json");
    let up =
        "promtool query instant $SOTP_PROMETHEUS_URL 'count(ping_up == 1)' | grep -q '=> [1-9]'";
    let firing = "amtool --alertmanager.url=$SOTP_ALERTMANAGER_URL alert query --output=json alertname=DeviceDown \
                  | grep -q '\"device\":\"h2\"'";
    let output = demo(
        "test-demo",
        &[
            "--while-up",
            up,
            "--while-firing",
            firing,
            "--timeline",
            file.to_str().unwrap(),
        ],
    );
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");

    let events: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let names: Vec<&str> = events
        .iter()
        .map(|event| event["what"].as_str().unwrap())
        .collect();
    let needed = [
        "the link is cut",
        "the first ping is lost",
        "ping_up is 0 in the exporter",
        "the alert fires in Prometheus",
        "the alert is active in Alertmanager",
        "the link is healed",
        "ping_up is 1 in the exporter",
        "the alert is over in Prometheus",
        "the alert is resolved in Alertmanager",
    ];
    let found: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| needed.contains(name))
        .collect();
    assert_eq!(found, needed, "{said}");
    let times: Vec<f64> = events
        .iter()
        .map(|event| event["seconds"].as_f64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    for name in needed {
        assert!(said.contains(name), "{name}: {said}");
    }
}

#[test]
fn a_failing_command_fails_the_demo_and_nothing_is_left() {
    let output = demo("test-hook", &["--while-up", "exit 3"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("`exit 3` ended with exit status: 3"),
        "{said}"
    );
}

#[test]
fn a_service_that_is_missing_is_said_before_a_network_is_built() {
    let folder = TempDir::new().unwrap();
    let output = Command::new(LAB)
        .args(["demo", "--once", "--no-install", "--bin-dir"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no sotp-inventory in") && said.contains("--bin-dir"),
        "{said}"
    );
    assert!(!said.contains("building the network"), "{said}");
}
