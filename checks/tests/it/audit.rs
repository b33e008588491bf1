//! The dependency audit: licences, versions and advisories by `deny.toml`.

use std::path::Path;

use sotp_checks::crates::Package;
use sotp_checks::deny::{self, Rules};
use sotp_checks::{advisories, root, tools};

fn ours() -> (Rules, Vec<Package>) {
    let rules = Rules::read(&root().join("deny.toml")).unwrap();
    let packages = deny::packages(&rules, &root()).unwrap();
    assert!(packages.len() > 50, "cargo names what we are built from");
    (rules, packages)
}

#[test]
fn every_licence_is_on_the_list() {
    let (rules, packages) = ours();
    assert_eq!(deny::licences(&rules, &packages), Vec::<String>::new());
}

#[test]
fn every_second_version_has_a_reason_and_nothing_is_denied() {
    let (rules, packages) = ours();
    assert_eq!(deny::bans(&rules, &packages), Vec::<String>::new());
}

#[test]
fn no_known_advisory_touches_us() {
    let (rules, packages) = ours();
    match advisories::database() {
        Some(database) => assert_eq!(
            advisories::check(&rules, &packages, &database).unwrap(),
            Vec::<String>::new()
        ),
        None => testkit::skip(
            "no advisory database here (SOTP_ADVISORY_DB, or advisory-db in cargo's home)",
        ),
    }
}

#[test]
fn cargo_deny_agrees() {
    if !tools::on_path("cargo-deny") {
        testkit::skip(
            "cargo-deny is not installed; the other tests of this file apply the same rules",
        );
        return;
    }
    let manifest = root().join("Cargo.toml").display().to_string();
    tools::run(
        "cargo-deny",
        &[
            "--offline",
            "--manifest-path",
            &manifest,
            "check",
            "bans",
            "licenses",
            "sources",
        ],
    )
    .unwrap();
}

fn package(name: &str, version: &str, license: Option<&str>) -> Package {
    serde_json::from_value(
        serde_json::json!({"id": "", "name": name, "version": version, "license": license,
        "manifest_path": "", "dependencies": [], "targets": []}),
    )
    .unwrap()
}

fn rules(text: &str) -> Rules {
    toml::from_str(text).unwrap()
}

#[test]
fn bad_licences_are_found() {
    let rules = rules(
        "[licenses]\nallow = ['MIT', 'Apache-2.0 WITH LLVM-exception']\nexceptions = [{ crate = 'e', allow = ['ISC'] }]",
    );
    let verdict =
        |name: &str, license| deny::licences(&rules, &[package(name, "1.0.0", license)]).pop();
    assert_eq!(verdict("a", Some("MIT/GPL-3.0")), None);
    assert_eq!(
        verdict(
            "a",
            Some("GPL-3.0-only OR (MIT AND Apache-2.0 WITH LLVM-exception)")
        ),
        None
    );
    assert_eq!(verdict("e", Some("ISC")), None);
    assert_eq!(
        verdict("a", Some("ISC")).unwrap(),
        "a 1.0.0: licence `ISC` is not on the list of deny.toml"
    );
    assert_eq!(
        verdict("a", Some("MIT AND AGPL-3.0-only")).unwrap(),
        "a 1.0.0: licence `MIT AND AGPL-3.0-only` is not on the list of deny.toml"
    );
    assert_eq!(verdict("a", None).unwrap(), "a 1.0.0: states no licence");
    assert!(
        verdict("a", Some("ours, ask us"))
            .unwrap()
            .contains("is no SPDX expression")
    );
}

#[test]
fn bad_versions_are_found() {
    let packages = [
        package("a", "1.0.0", None),
        package("a", "2.0.0", None),
        package("b", "1.0.0", None),
    ];
    assert_eq!(
        deny::bans(&rules(""), &packages),
        ["a: several versions ([\"1.0.0\", \"2.0.0\"]); choose one, or skip one with a reason"]
    );
    assert_eq!(
        deny::bans(
            &rules("[bans]\nskip = [{ crate = 'a@1.0.0', reason = 'r' }]"),
            &packages
        ),
        Vec::<String>::new()
    );
    assert_eq!(
        deny::bans(&rules("[bans]\nskip = [{ crate = 'a@1.0.0' }]"), &packages),
        ["a@1.0.0: skipped without a reason"]
    );
    let stale = rules(
        "[bans]\nskip = [{ crate = 'a@1.0.0', reason = 'r' }, { crate = 'b@1.0.0', reason = 'r' }]",
    );
    assert_eq!(
        deny::bans(&stale, &packages),
        ["b@1.0.0: skipped, but not there twice; take the line out"]
    );
    assert_eq!(
        deny::bans(
            &rules("[bans]\ndeny = [{ crate = 'b', reason = 'r' }]"),
            &packages[2..]
        ),
        ["b: denied (r)"]
    );
}

#[test]
fn a_touched_version_is_found_and_a_patched_one_is_not() {
    let database = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/advisory-db");
    let verdict = |version| {
        advisories::check(&rules(""), &[package("demo", version, None)], &database).unwrap()
    };
    assert_eq!(verdict("1.0.0").len(), 1);
    assert!(verdict("1.0.0")[0].starts_with("demo 1.0.0: RUSTSEC-2000-0001"));
    assert_eq!(verdict("1.2.0"), Vec::<String>::new());
    assert_eq!(verdict("0.9.0"), Vec::<String>::new());
    let accepted = rules("[advisories]\nignore = [{ id = 'RUSTSEC-2000-0001', reason = 'r' }]");
    assert_eq!(
        advisories::check(&accepted, &[package("demo", "1.0.0", None)], &database).unwrap(),
        Vec::<String>::new()
    );
}
