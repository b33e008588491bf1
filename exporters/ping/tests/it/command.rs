//! What the binary says on the command line, and how it refuses to start.

use std::path::Path;
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

fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    if std::env::var_os("SOTP_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    assert_eq!(
        found,
        std::fs::read_to_string(&path).unwrap(),
        "{name}: SOTP_BLESS=1 writes the new one"
    );
}

#[test]
fn help_is_as_in_the_golden_file() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    // The flags that every service has are the toolkit's to test.
    let help = String::from_utf8(output.stdout).unwrap();
    let (about, rest) = help.split_once("Options:\n").unwrap();
    let own = &rest[rest.find("Inventory:\n").unwrap()..];
    golden("help.txt", &format!("{about}{own}"));
}

#[test]
fn the_default_configuration_is_printed() {
    let output = run(&["--config.print-default"]);
    assert!(output.status.success());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("default.yaml");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        std::fs::read_to_string(file).unwrap()
    );
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
