//! The dependency rule and the house rules, on our crates and on bad examples.

use std::path::Path;

use sotp_checks::crates::Crates;
use sotp_checks::{conventions, root};

#[test]
fn our_crates_keep_the_dependency_rule() {
    let crates = Crates::read(&root(), &[]).unwrap();
    assert!(crates.ours().count() >= 5, "the workspace has members");
    assert_eq!(conventions::dependencies(&crates), Vec::<String>::new());
}

#[test]
fn our_manifests_and_sources_keep_the_house_rules() {
    let crates = Crates::read(&root(), &[]).unwrap();
    assert_eq!(conventions::sources(&crates).unwrap(), Vec::<String>::new());
}

/// A package: its name, the kind of what it builds, and its dependencies with their kinds.
type Sketch<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

fn workspace(packages: &[Sketch<'_>]) -> Crates {
    let json: Vec<_> = packages
        .iter()
        .map(|(name, kind, dependencies)| {
            let dependencies: Vec<_> = dependencies
                .iter()
                .map(|(name, kind)| serde_json::json!({"name": name, "kind": (!kind.is_empty()).then_some(kind)}))
                .collect();
            serde_json::json!({"id": name, "name": name, "version": "1.0.0", "license": null, "manifest_path": "Cargo.toml",
                "dependencies": dependencies, "targets": [{"kind": [kind], "src_path": "x.rs"}]})
        })
        .collect();
    let members: Vec<_> = packages.iter().map(|(name, ..)| name).collect();
    serde_json::from_value(serde_json::json!({"packages": json, "workspace_members": members}))
        .unwrap()
}

#[test]
fn a_program_in_a_program_is_found() {
    let crates = workspace(&[("ping", "bin", &[]), ("lab", "bin", &[("ping", "")])]);
    assert_eq!(
        conventions::dependencies(&crates),
        ["lab depends on ping, which is a program; talk to it as a process"]
    );
}

#[test]
fn a_program_in_the_tests_of_a_library_is_found() {
    let crates = workspace(&[("ping", "bin", &[]), ("device", "lib", &[("ping", "dev")])]);
    assert_eq!(
        conventions::dependencies(&crates),
        ["device depends on ping, which is a program; talk to it as a process"]
    );
}

#[test]
fn fuzz_targets_may_call_into_a_program_and_nothing_may_call_them() {
    let crates = workspace(&[
        ("sotp-ping", "bin", &[]),
        ("sotp-fuzz", "bin", &[("sotp-ping", "")]),
        ("lab", "lib", &[("sotp-fuzz", "")]),
    ]);
    assert_eq!(
        conventions::dependencies(&crates),
        ["lab depends on sotp-fuzz, which is a program; talk to it as a process"]
    );
}

#[test]
fn a_foundation_that_stands_on_another_is_found_and_its_test_harness_is_not() {
    let crates = workspace(&[
        ("inventory", "lib", &[]),
        ("testkit", "lib", &[]),
        ("toolkit", "lib", &[("inventory", ""), ("testkit", "dev")]),
    ]);
    assert_eq!(
        conventions::dependencies(&crates),
        ["toolkit depends on inventory, but may stand on units, yaml only"]
    );
}

#[test]
fn a_library_that_stands_on_another_than_the_table_says_is_found() {
    let crates = workspace(&[
        ("toolkit", "lib", &[]),
        ("access", "lib", &[("toolkit", ""), ("loki", "")]),
        ("loki", "lib", &[("toolkit", ""), ("access", "dev")]),
        ("git", "lib", &[("toolkit", "")]),
    ]);
    assert_eq!(
        conventions::dependencies(&crates),
        [
            "access depends on loki, but may stand on toolkit only",
            "git depends on toolkit, but stands on nothing of ours",
        ]
    );
}

#[test]
fn a_harness_that_is_shipped_is_found() {
    let crates = workspace(&[("testkit", "lib", &[]), ("ping", "bin", &[("testkit", "")])]);
    assert_eq!(
        conventions::dependencies(&crates),
        ["ping depends on testkit outside its tests; make it a dev-dependency"]
    );
}

#[test]
fn a_manifest_outside_the_table_is_found() {
    let problems = conventions::manifest(
        "x",
        "[dependencies]\nanyhow = \"1\"\nserde.workspace = true\n",
    );
    assert_eq!(
        problems,
        [
            "x: Cargo.toml must take the lints of the workspace (`[lints] workspace = true`)",
            "x: dependencies.anyhow must come from the one table (`anyhow.workspace = true`)",
        ]
    );
}

#[test]
fn a_second_test_binary_is_found() {
    let crates = |file: &str| -> Crates {
        serde_json::from_value(serde_json::json!({"packages": [{"id": "x", "name": "x", "version": "1.0.0", "license": null,
            "manifest_path": "Cargo.toml", "dependencies": [], "targets": [{"kind": ["test"], "src_path": file}]}],
            "workspace_members": ["x"]}))
        .unwrap()
    };
    let problems = |file: &str| conventions::tests(&crates(file).packages[0]);
    assert_eq!(problems("x/tests/it/main.rs"), Vec::<String>::new());
    assert_eq!(
        problems("x/tests/more.rs"),
        ["x/tests/more.rs: a test binary of its own; make it a module of tests/it/main.rs"]
    );
}

#[test]
fn a_long_main_and_a_lifted_guard_are_found() {
    let long = "\n".repeat(61);
    assert_eq!(
        conventions::source("x", Path::new("x/src/main.rs"), &long).len(),
        1
    );
    assert_eq!(
        conventions::source("x", Path::new("x/src/main.rs"), &long[..60]).len(),
        0
    );
    assert_eq!(
        conventions::source("x", Path::new("x/src/foo/mod.rs"), "").len(),
        1
    );
    assert_eq!(
        conventions::source("x", Path::new("x/tests/support/mod.rs"), "").len(),
        1
    );
    let code = |language: &str| format!("/// Words.\n/// ```{language}\n/// let x = 1;\n/// ```\n");
    let found = conventions::source("x", Path::new("x/src/lib.rs"), &code(""));
    assert!(
        found[0].starts_with("x/src/lib.rs:2: a block of code"),
        "{found:?}"
    );
    let text = code("text") + &code("text");
    assert_eq!(
        conventions::source("x", Path::new("x/src/lib.rs"), &text).len(),
        0
    );
    let lifted = format!("#![{}(unsafe_code, reason = \"fast\")]", "allow");
    assert_eq!(
        conventions::source("x", Path::new("x/src/lib.rs"), &lifted).len(),
        1
    );
    assert_eq!(
        conventions::source("netio", Path::new("x/src/lib.rs"), &lifted).len(),
        0
    );
}
