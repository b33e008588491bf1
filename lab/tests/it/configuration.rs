//! Configurations in a real network: a line typed on a router becomes a version with the name of who typed it.

use std::fmt::Write as _;

use testkit::TempDir;

use crate::demo::run;
use crate::processes::among_others;

/// Waits in the box, at most so many tenths of a second, until a command succeeds.
fn within(tenths: u32, what: &str, command: &str) -> String {
    format!(
        "for i in $(seq {tenths}); do {command} && break; test $i != {tenths} && sleep 0.1 || {{ echo 'not in time: {what}' >&2; exit 1; }}; done\n"
    )
}

#[test]
fn line_typed_by_a_person_is_a_version_with_their_name_within_five_seconds_and_a_broken_rule_a_series_within_ten()
 {
    let _machine = among_others();
    let folder = TempDir::new().unwrap();
    let name = "test-configuration";
    let state = folder.join("sotp-lab").join(name);
    let archive = state.join("stack/ssh-config/archive.git");
    let git = format!("git --git-dir={}", archive.display());
    let query = |query: &str| {
        format!("promtool query instant $SOTP_PROMETHEUS_URL '{query}' | grep -q '=>'")
    };
    let ssh = format!("ssh -F {} -l alice r1", state.join("ssh_config").display());
    let mut script = String::from("set -e\n");
    // The first versions, of every router.
    script += &within(
        300,
        "first versions",
        &format!("test $({git} for-each-ref refs/heads/device/ | wc -l) -ge 3"),
    );
    script += &within(
        100,
        "scraped",
        &query("sshconfig_changes_total{device=\"r1\"} == 0"),
    );
    let _ = writeln!(
        script,
        "{ssh} 'configure terminal\ninterface to-r2\ndescription typed by alice\nend' >&2"
    );
    let author = format!("test \"$({git} log -1 --format=%an device/r1)\" = alice");
    script += &within(50, "a version with the name of alice", &author);
    let _ = writeln!(script, "{git} show --format=%an%n%s%n%b device/r1 >&2");
    let _ = writeln!(
        script,
        "{git} show device/r1 | grep -q '^+ description typed by alice'"
    );
    let _ = writeln!(
        script,
        "{ssh} 'configure terminal\ninterface to-r2\nno description\nend' >&2"
    );
    script += &within(
        100,
        "the broken rule",
        &query("sshconfig_rule_violations{device=\"r1\",rule=\"frr-interface-description\"} == 1"),
    );
    let output = run(name, &folder, &["--steps", "change", "--while-up", &script]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}
