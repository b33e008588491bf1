//! The runner of `make test`, on a test binary that is a shell script: what runs beside what, what is said, and what counts.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sotp_checks::runner::{Outcome, Report, Rules, Test, Verdict, list, minutes, run};
use testkit::TempDir;

/// Writes when it begins and ends, and fails when its name says so: `SCRIPT --exact NAME …`.
const SCRIPT: &str = "#!/bin/sh\necho \"begin $2\" >> log\nsleep 0.2\necho \"end $2\" >> log\n\
                      case $2 in *bad*) echo \"what went wrong in $2\"; exit 101;; esac\n";
const RULES: &str = "alone = ['p exact::']\n[one_at_a_time]\nlab = ['p lab::', 'p demo']\n";

fn tests(folder: &Path, names: &[&str]) -> Vec<Test> {
    let executable = folder.join("binary");
    std::fs::write(&executable, SCRIPT).unwrap();
    std::fs::set_permissions(&executable, PermissionsExt::from_mode(0o755)).unwrap();
    let binary = list::Binary {
        package: "p".to_owned(),
        target: "it".to_owned(),
        executable,
        folder: folder.to_owned(),
    };
    let test = |name: &&str| Test {
        binary: binary.clone(),
        name: (*name).to_owned(),
        ignored: name.contains("ignored"),
    };
    names.iter().map(test).collect()
}

fn verdicts(outcomes: &[Outcome]) -> BTreeMap<&str, Verdict> {
    outcomes
        .iter()
        .map(|outcome| (outcome.test.name.as_str(), outcome.verdict))
        .collect()
}

/// The most that ran at once of those that `chosen` chooses, while any of them did.
fn most(log: &str, chosen: impl Fn(&str) -> bool) -> (usize, usize) {
    let (mut ours, mut all, mut most) = (0usize, 0usize, (0, 0));
    for line in log.lines() {
        let (what, name) = line.split_once(' ').unwrap();
        let change = |count: &mut usize| {
            *count = if what == "begin" {
                *count + 1
            } else {
                *count - 1
            };
        };
        change(&mut all);
        if chosen(name) {
            change(&mut ours);
        }
        if ours > 0 {
            most = (most.0.max(ours), most.1.max(all));
        }
    }
    most
}

#[test]
fn tests_run_beside_each_other_but_for_those_of_a_group_and_those_alone() {
    let folder = TempDir::new().unwrap();
    let names = [
        "a",
        "b",
        "c",
        "lab::x",
        "lab::y",
        "demo",
        "exact::one",
        "exact::two",
        "ignored",
    ];
    let rules = Rules::parse(RULES).unwrap();
    let mut told = 0;
    let outcomes = run(tests(folder.path(), &names), &rules, 4, |_| told += 1);
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    assert_eq!(
        most(&log, |name| name.starts_with("exact::")),
        (1, 1),
        "{log}"
    );
    let group = most(&log, |name| name.starts_with("lab::") || name == "demo");
    assert_eq!(group.0, 1, "{log}");
    assert!(group.1 > 1 && most(&log, |_| true).0 <= 4, "{log}");
    let ran = verdicts(&outcomes);
    assert_eq!((ran.len(), told), (9, 8));
    assert_eq!(ran["ignored"], Verdict::Ignored);
    let report = Report::new(outcomes);
    assert!(report.passed());
    assert_eq!(
        report.result(),
        "test result: ok. 8 passed; 0 failed; 1 ignored"
    );
}

#[test]
fn a_test_that_fails_is_said_with_all_that_it_wrote() {
    let folder = TempDir::new().unwrap();
    let outcomes = run(
        tests(folder.path(), &["bad", "good"]),
        &Rules::default(),
        2,
        |_| {},
    );
    let bad = outcomes
        .iter()
        .find(|outcome| outcome.test.name == "bad")
        .unwrap();
    assert_eq!(bad.verdict, Verdict::Failed);
    assert!(
        bad.output.starts_with("what went wrong in bad\n"),
        "{}",
        bad.output
    );
    let report = Report::new(outcomes);
    assert!(!report.passed());
    assert_eq!(
        report.result(),
        "test result: FAILED. 1 passed; 1 failed; 0 ignored"
    );
    let said = report.to_string();
    assert!(
        said.contains("The slowest tests:") && said.contains("Failed:\n  p bad\n"),
        "{said}"
    );
}

#[test]
fn a_run_of_nothing_has_not_passed() {
    assert!(!Report::new(Vec::new()).passed());
}

#[test]
fn rules_name_tests_that_there_are_and_each_once() {
    let folder = TempDir::new().unwrap();
    let rules = Rules::parse(RULES).unwrap();
    let all = tests(folder.path(), &["lab::x", "exact::one"]);
    assert_eq!(rules.unknown(&all), ["p demo"]);
    let twice = "alone = ['p lab::x']\n[one_at_a_time]\nlab = ['p lab::']\n";
    assert!(
        Rules::parse(twice)
            .unwrap_err()
            .to_string()
            .contains("two places")
    );
}

#[test]
fn the_minutes_of_each_phase_are_told() {
    let text = minutes("1000.5 build\n1130.5 tests\n");
    assert!(text.contains("    2 m 10 s  build\n"), "{text}");
    assert!(
        text.contains("  tests\n") && text.contains("  all of it\n"),
        "{text}"
    );
}
