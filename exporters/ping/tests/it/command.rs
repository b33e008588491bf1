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
        let output = run(&["--config.check", &path]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}: {error}");
        assert!(error.contains(said), "{text}: {error}");
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
