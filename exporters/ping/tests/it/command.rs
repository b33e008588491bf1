//! What the binary says on the command line, and how it refuses to start.

use std::process::{Command, Output};

use crate::service::Files;
use testkit::namespace;

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sotp-ping"))
        .args(args)
        .env("COLUMNS", "120")
        .output()
        .unwrap()
}

#[test]
fn a_bad_configuration_is_refused_with_its_place() {
    let dir = testkit::TempDir::new().unwrap();
    let devices = dir.write("inventory.yaml", "devices: []\n").unwrap();
    let devices = format!("--inventory.source={}", devices.display());
    for (text, code, said) in [
        ("probe: {interval: 500ms}\n", 0, ""),
        (
            "probe: {interval: 1ms}\n",
            64,
            "probe.interval: 1ms is out of bounds, expected 10ms to 1h",
        ),
        ("probe: {intervals: 1s}\n", 64, "intervals"),
    ] {
        dir.write("ping.yaml", text).unwrap();
        let path = format!("--config.file={}", dir.join("ping.yaml").display());
        let output = run(&["--config.check", &path, &devices]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}: {error}");
        assert!(error.contains(said), "{text}: {error}");
    }
}

/// What it would probe is a part of it.
#[test]
fn a_check_reads_the_inventory_that_would_be_used() {
    let dir = testkit::TempDir::new().unwrap();
    let good = dir.write("good.yaml", "devices: [{name: r1, address: 192.0.2.1}]\n");
    let bad = dir.write("bad.yaml", "devices: [{name: r1}]\n");
    let (good, bad) = (good.unwrap(), bad.unwrap());
    for (source, code, said) in [
        (good.display().to_string(), 0, "good: 1 devices, 0 sites"),
        (bad.display().to_string(), 64, "devices[0]: no address"),
        (
            "/nowhere/inventory.yaml".into(),
            64,
            "/nowhere/inventory.yaml",
        ),
        ("http://127.0.0.1:1".into(), 64, "--inventory.source"),
    ] {
        let output = run(&["--config.check", &format!("--inventory.source={source}")]);
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert_eq!(output.status.code(), Some(code), "{source}: {told}");
        assert!(told.contains(said), "{source}: {told}");
    }
}

#[test]
fn flags_that_cannot_be_kept_are_refused() {
    for (args, said) in [
        (
            &["--timeout-offset=-1"][..],
            "expected seconds, such as 0.5",
        ),
        (
            &["--inventory.username=reader"],
            "--inventory.password-file",
        ),
        (&["--inventory.password-file=p"], "--inventory.username"),
        (
            &[
                "--inventory.username=reader",
                "--inventory.password-file=p",
                "--inventory.bearer-token-file=t",
            ],
            "cannot be used with",
        ),
    ] {
        let output = run(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {error}");
        assert!(error.contains(said), "{args:?}: {error}");
    }
}

#[test]
fn without_permission_it_says_what_to_do_in_one_line() {
    let Some(namespace) =
        namespace::enter("command::without_permission_it_says_what_to_do_in_one_line")
    else {
        return;
    };
    if !namespace.can_change_user {
        testkit::skip("a user namespace with one group cannot forbid it unprivileged ICMP");
        return;
    }
    namespace::allow_groups("1 0");
    let (status, error) = Files::new("devices: []\n", "").run(&namespace);
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(error.contains("no ICMP sockets: "), "{error}");
    assert!(error.contains("CAP_NET_RAW is missing"), "{error}");

    let unprivileged = "sockets: {mode: unprivileged}\n";
    let (status, error) = Files::new("devices: []\n", unprivileged).run(&namespace);
    assert_eq!(status.code(), Some(1), "{error}");
    let line = error
        .lines()
        .find(|line| line.contains("no unprivileged ICMP sockets"))
        .unwrap();
    assert!(
        line.contains("sysctl -w net.ipv4.ping_group_range="),
        "{line}"
    );
    assert!(
        line.contains("(net.ipv4.ping_group_range is \\\"1 0\\\")"),
        "{line}"
    );

    let (status, error) = Files::new("devices: []\n", "sockets: {mode: raw}\n").run(&namespace);
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(
        error.contains("no raw ICMP sockets: grant CAP_NET_RAW"),
        "{error}"
    );
}
