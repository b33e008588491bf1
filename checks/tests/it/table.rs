//! The table of services and everything that must know of a service.

use services::Table;
use sotp_checks::crates::Crates;
use sotp_checks::{root, short, table};

/// What `make tables` writes; any other run says what is out of date.
#[test]
fn what_is_written_from_the_table_is_up_to_date() {
    let root = root();
    for (path, text) in table::written(&root, &Table::ours().unwrap()).unwrap() {
        if std::env::var_os("SOTP_UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            there,
            text,
            "{} is out of date: run `make tables`",
            short(&path)
        );
    }
}

#[test]
fn everything_that_must_know_of_a_service_does() {
    let root = root();
    let crates = Crates::read(&root, &[]).unwrap();
    let found = table::problems(&root, &Table::ours().unwrap(), &crates).unwrap();
    assert_eq!(found, Vec::<String>::new());
}

const ENTRY: &str = "[[service]]\nname = 'sotp-new'\nfolder = 'exporters/new'\nabout = 'x'\nshows = 'x'\npages = ['docs/new.md']\n\
                     dashboards = ['network/new.json']\nprograms = ['sotp-extra']\nport = 19999\njob = 'new'\ndevices = 'inventory'\napp = 'new'\n";

/// A service that nobody knows of is missed in every place.
#[test]
fn a_service_that_is_only_in_the_table_is_missed_everywhere() {
    let root = root();
    let crates = Crates::read(&root, &[]).unwrap();
    let found = table::problems(&root, &Table::parse(ENTRY).unwrap(), &crates).unwrap();
    for expected in [
        "sotp-ping: builds a program, but stands not in lab/services.toml",
        "sotp-new: no package of this name in exporters/new",
        "sotp-new: docs/new.md is not there",
        "sotp-new: dashboards/network/new.json is not there",
        "sotp-new: exporters/new/tests/golden/metrics.txt is not there",
        "sotp-new: `make build` does not build it",
        "sotp-new: compose.yaml: expected services.new.build.args.BIN: sotp-new",
        "sotp-new: compose.yaml: expected 127.0.0.1:19999:19999 in services.new.ports",
        "sotp-new: compose.yaml: expected new in services.prometheus.depends_on",
        "sotp-new: compose.yaml: expected inventory in services.new.depends_on",
        "sotp-new: kustomize/apps/new: expected containerPort: 19999",
        "sotp-new: kustomize/base/kustomization.yaml: expected ../apps/new in resources",
        "sotp-new: kustomize/overlays/all-in-one/kustomization.yaml: expected sotp/new in images",
        "sotp-new: kustomize/stack/prometheus/networkpolicy.yaml: expected new among those that Prometheus may ask",
        "sotp-new: kustomize/apps/inventory/networkpolicy.yaml: expected new among those that may ask the inventory",
    ] {
        assert!(
            found.iter().any(|problem| problem == expected),
            "{expected}\nin {found:#?}"
        );
    }
}

/// A program more or less than the table says is found.
#[test]
fn the_programs_of_a_package_are_those_of_the_table() {
    let package = |programs: &[&str]| {
        let targets: Vec<_> = programs
            .iter()
            .map(|name| serde_json::json!({"kind": ["bin"], "name": name, "src_path": "x.rs"}))
            .collect();
        let package = serde_json::json!({"id": "n", "name": "sotp-new", "version": "1.0.0", "license": null,
            "manifest_path": "/x/exporters/new/Cargo.toml", "dependencies": [], "targets": targets});
        serde_json::from_value(
            serde_json::json!({"packages": [package], "workspace_members": ["n"]}),
        )
        .unwrap()
    };
    let table = Table::parse(ENTRY).unwrap();
    let found = |programs: &[&str]| table::packages(&table, &package(programs));
    assert_eq!(found(&["sotp-new", "sotp-extra"]), Vec::<String>::new());
    assert_eq!(
        found(&["sotp-new"]),
        ["sotp-new: its package builds no sotp-extra"]
    );
    assert_eq!(
        found(&["sotp-new", "sotp-extra", "sotp-more"]),
        ["sotp-new: `programs` of lab/services.toml lacks sotp-more"]
    );
}

#[test]
fn a_page_without_the_marks_is_an_error() {
    let text = "# A\n<!-- x: written by `make tables` -->\nold\n<!-- end of x -->\nB\n";
    let new = table::replaced(text, "x", "new\n").unwrap();
    assert_eq!(
        new,
        "# A\n<!-- x: written by `make tables` -->\n\nnew\n\n<!-- end of x -->\nB\n"
    );
    assert_eq!(table::replaced(&new, "x", "new\n").unwrap(), new);
    assert!(table::replaced(text, "y", "").is_err());
}
