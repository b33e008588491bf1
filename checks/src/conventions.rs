//! The dependency rule and the house rules that a program can check.

use std::collections::BTreeMap;
use std::path::Path;

use crate::crates::{Crates, Package};
use crate::short;

/// What each library may stand on, of ours. Services, checks and the lab may use all of them.
const LIBRARIES: [(&str, &[&str]); 16] = [
    ("access", &["toolkit"]),
    ("certs", &[]),
    ("devices", &["inventory", "toolkit"]),
    ("git", &[]),
    ("history", &[]),
    ("inventory", &GROUND),
    ("loki", &["spool", "toolkit"]),
    ("netio", &[]),
    ("pdf", &[]),
    ("promapi", &["toolkit"]),
    ("services", &GROUND),
    ("spool", &GROUND),
    ("ssh", &["toolkit"]),
    ("toolkit", &GROUND),
    ("units", &[]),
    ("yaml", &[]),
];
/// What reads flags and files of all of them.
const GROUND: [&str; 2] = ["units", "yaml"];
/// The harness of the tests: never part of what is shipped.
const HARNESS: &str = "testkit";
/// Its doubles of Loki and Grafana stand in a demo where these cannot be had.
const LAB: &str = "sotp-lab";
/// The fuzz targets: they call the insides of whatever reads the network, and nobody depends on them.
const FUZZ: &str = "sotp-fuzz";
/// The one crate that may speak to the kernel without the compiler's guard.
const UNSAFE: &str = "netio";
/// A `main.rs` hands over; it does not work.
const MAIN_LINES: usize = 60;

/// What is wrong with the dependencies between our packages.
#[must_use]
pub fn dependencies(crates: &Crates) -> Vec<String> {
    let ours: BTreeMap<&str, &Package> = crates
        .ours()
        .map(|package| (package.name.as_str(), package))
        .collect();
    let mut problems = Vec::new();
    for package in ours.values() {
        let name = package.name.as_str();
        let library = package
            .folder()
            .parent()
            .is_some_and(|up| up.ends_with("libs"));
        if library && name != HARNESS && !LIBRARIES.iter().any(|(known, _)| *known == name) {
            problems.push(format!(
                "{name}: say in checks/src/conventions.rs what it may stand on, as the map in docs/architecture.md does"
            ));
        }
        for dependency in &package.dependencies {
            let Some(target) = ours.get(dependency.name.as_str()) else {
                continue;
            };
            let (from, to) = (&package.name, &target.name);
            let test_only = dependency.kind.as_deref() == Some("dev");
            if target.is_program() && from != FUZZ {
                problems.push(format!(
                    "{from} depends on {to}, which is a program; talk to it as a process"
                ));
            } else if to == HARNESS && !test_only && from != LAB {
                problems.push(format!(
                    "{from} depends on {HARNESS} outside its tests; make it a dev-dependency"
                ));
            } else if let Some((_, may)) = LIBRARIES.iter().find(|(library, _)| library == from)
                && to != HARNESS
                && !test_only
                && !may.contains(&to.as_str())
            {
                let may = if may.is_empty() {
                    "stands on nothing of ours".to_owned()
                } else {
                    format!("may stand on {} only", may.join(", "))
                };
                problems.push(format!("{from} depends on {to}, but {may}"));
            }
        }
    }
    problems
}

/// What is wrong with the manifest of one of our packages, given as text.
#[must_use]
pub fn manifest(name: &str, text: &str) -> Vec<String> {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("{name}: Cargo.toml does not parse: {error}")],
    };
    let mut problems = Vec::new();
    let doctest = table.get("lib").and_then(|lib| lib.get("doctest"));
    if doctest.is_some_and(|doctest| doctest.as_bool() != Some(false)) {
        problems.push(format!(
            "{name}: nothing runs doctests (`[lib] doctest = false`)"
        ));
    }
    let lints = table
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .and_then(toml::Value::as_bool);
    if lints != Some(true) {
        problems.push(format!(
            "{name}: Cargo.toml must take the lints of the workspace (`[lints] workspace = true`)"
        ));
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (dependency, value) in table
            .get(section)
            .and_then(toml::Value::as_table)
            .into_iter()
            .flatten()
        {
            if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                problems.push(format!(
                    "{name}: {section}.{dependency} must come from the one table (`{dependency}.workspace = true`)"
                ));
            }
        }
    }
    problems
}

/// What is wrong with the tests of one of our packages: they are linked once and run side by side, as modules of `tests/it/main.rs`.
#[must_use]
pub fn tests(package: &Package) -> Vec<String> {
    package
        .targets
        .iter()
        .filter(|target| target.kind.iter().any(|kind| kind == "test"))
        .filter(|target| !target.src_path.ends_with("tests/it/main.rs"))
        .map(|target| {
            format!(
                "{}: a test binary of its own; make it a module of tests/it/main.rs",
                short(&target.src_path)
            )
        })
        .collect()
}

/// What is wrong with one source file of the package `name`, given as text.
#[must_use]
pub fn source(name: &str, path: &Path, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let file = short(path);
    let lines = text.lines().count();
    let ends_with = |ending: &str| path.ends_with(ending);
    if ends_with("src/main.rs") && lines > MAIN_LINES {
        problems.push(format!(
            "{file}: {lines} lines; a main.rs hands over in at most {MAIN_LINES}"
        ));
    }
    if path.file_name().is_some_and(|file| file == "mod.rs") {
        problems.push(format!(
            "{file}: write `foo.rs` beside `foo/` instead of mod.rs"
        ));
    }
    if let Some(line) = runnable(text) {
        problems.push(format!(
            "{file}:{line}: a block of code in a doc comment, which nothing runs; write ```text, or make it a test"
        ));
    }
    let lifts = |level: &str| {
        text.lines()
            .any(|line| line.trim_start().starts_with('#') && line.contains(level))
    };
    if name != UNSAFE && (lifts("allow(unsafe_code") || lifts("expect(unsafe_code")) {
        problems.push(format!("{file}: only {UNSAFE} may allow unsafe code"));
    }
    problems
}

/// The line of the first block of a doc comment that rustdoc would run as a test; no part of `make test` does.
fn runnable(text: &str) -> Option<usize> {
    let mut open = false;
    text.lines().enumerate().find_map(|(at, line)| {
        let comment = line.trim_start();
        let comment = comment
            .strip_prefix("///")
            .or_else(|| comment.strip_prefix("//!"))?;
        let language = comment.trim().strip_prefix("```")?;
        open = !open;
        (open && language != "text").then_some(at + 1)
    })
}

/// Every problem of our manifests and sources.
///
/// # Errors
/// When a file cannot be read.
pub fn sources(crates: &Crates) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in crates.ours() {
        problems.extend(manifest(
            &package.name,
            &std::fs::read_to_string(&package.manifest_path)?,
        ));
        problems.extend(tests(package));
        for path in crate::files(package.folder(), ".rs")? {
            problems.extend(source(
                &package.name,
                &path,
                &std::fs::read_to_string(&path)?,
            ));
        }
    }
    Ok(problems)
}
