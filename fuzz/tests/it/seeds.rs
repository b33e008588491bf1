//! Every input that is kept — good ones to begin with, and each that once broke something — goes through its target once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The built targets by name.
macro_rules! targets {
    ($($name:literal),* $(,)?) => {
        [$(($name, env!(concat!("CARGO_BIN_EXE_fuzz-", $name)))),*]
    };
}

const TARGETS: [(&str, &str); 13] = targets![
    "icmp",
    "inventory",
    "lists",
    "mib",
    "ping-compat",
    "snmp",
    "syslog",
    "syslog-framing",
    "syslog-rfc3164",
    "syslog-rfc5424",
    "syslog-rules",
    "token",
    "web-config",
];

/// The names in a folder of this crate, as `make fuzz` calls them.
fn names(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let name = |file: std::fs::DirEntry| {
        let path = file.path();
        path.file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .replace('_', "-")
    };
    files.map(name).collect()
}

#[test]
fn every_target_is_built_and_has_seeds() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("targets"), known, "each file is a target");
    assert_eq!(names("seeds"), known, "each target has a folder of seeds");
}

#[test]
fn what_is_kept_breaks_nothing() {
    for (name, program) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("seeds")
            .join(name);
        let mut inputs: Vec<PathBuf> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{}", folder.display());
        // A file as argument is run once; nothing is searched for.
        let output = Command::new(program)
            .args(["-timeout=60", "-rss_limit_mb=2048"])
            .args(&inputs)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        assert_eq!(
            said.matches("Executed ").count(),
            inputs.len(),
            "{name}: {said}"
        );
    }
}
